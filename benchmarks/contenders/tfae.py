"""tfae: the loop alone, or all of `tfae.train` with its log and checkpoints."""

import os
import pathlib
import queue
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import tfae
import workloads
from tfae import run as tfae_run
from tfae import training


class Contender:
  """`train(steps)` goes on by so many steps."""

  def __init__(self, workload, folder, *, whole=False, **changes):
    """Prepares a run.

    Args:
      workload: name of a `Workload`.
      folder: where the run of `whole` leaves its files. tfae makes weights and order itself; the
        others get copies of them.
      whole: the outer loop too, with log, TensorBoard events and checkpoints as by default.
      **changes: fields of `tfae.Experiment`.
    """
    self.versions = {"tfae": tfae.__version__, "tensorflow": tf.__version__}
    if whole:  # the end comes from outside
      changes["epochs"] = 10_000
    experiment = workloads.experiment(workloads.WORKLOADS[workload], **changes)
    data = workloads.data(experiment)
    if whole:
      self._run = training.prepare(experiment, data, pathlib.Path(folder) / "run")
      self._gate = Gate(self._run)
      self._gate.start()
    else:
      self._run = training.prepare(experiment, data)
      self._gate = None

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    began = time.perf_counter()
    if self._gate:
      self._gate.let_pass(steps)
    else:
      run = self._run
      end = run.step + steps
      while run.step < end:
        left = run.batches.steps_per_epoch - run.step % run.batches.steps_per_epoch
        done, _ = run.loop.run(run.step, min(run.loop.steps_per_loop, left, end - run.step))
        run.step += done
    return time.perf_counter() - began, steps

  @property
  def model(self):
    return self._run.model

  def save(self, path):
    workloads.save_weights(path, [v.numpy() for v in self.model.trainable])


class Gate:
  """Runs `Run.to_the_end` in a thread that stops before a step until it may go on.

  What the outer loop does between steps is inside the time of those steps. Its clock stands still
  while it waits, or the pauses would make it save more often than in a run of its own.
  """

  def __init__(self, run):
    self._run, self._inner = run, run.loop.run
    self._allowed, self._reached = queue.Queue(), queue.Queue()
    self._end, self._paused = 0, 0.0
    run.loop.run = self._steps
    tfae_run.time = self  # what `tfae.run` asks for the time
    self._thread = threading.Thread(target=self._train, daemon=True)

  def _train(self):
    try:
      self._run.begin()
      self._run.to_the_end()
    except BaseException as error:
      self._reached.put(error)
      raise

  def start(self):
    """Goes to the first step; a run saves step 0 before it."""
    self._thread.start()
    self._wait()

  def let_pass(self, steps):
    """Lets the run take so many steps and do what comes after them."""
    self._allowed.put(steps)
    self._wait()

  def _wait(self):
    error = self._reached.get()
    if error is not None:
      raise error

  def _steps(self, first, count):
    if first == self._end:
      self._reached.put(None)
      began = time.monotonic()
      self._end += self._allowed.get()
      self._paused += time.monotonic() - began
    return self._inner(first, min(count, self._end - first))

  def monotonic(self):
    return time.monotonic() - self._paused

  def time(self):
    return time.time()
