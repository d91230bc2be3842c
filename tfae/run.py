"""The outer controller: loops, evaluation, checkpoints, log and signals around the inner loop."""

import dataclasses
import logging
import math
import pathlib
import time

import numpy as np
import tensorflow as tf

from tfae import build, diagnosis, placement
from tfae.checkpoint import Checkpoints
from tfae.data.datasets import Dataset
from tfae.data.pipeline import Batches
from tfae.errors import InputError
from tfae.evaluation import Evaluator, chunk_size, computed
from tfae.loop import LAST, Loop, choose_jit
from tfae.optimizers import Updater
from tfae.signals import Signals
from tfae.strategy import Single
from tfae.watch import Watch

LONGEST_LOOP_SECONDS = 5.0  # a signal waits for the running loop
LONGEST_REPLAY_SECONDS = 60.0  # on the way back to a step that was not finite
_REPLAYED = 10  # steps of one loop on that way

_LOG = logging.getLogger(__name__)


class NotFiniteError(ArithmeticError):
  """A loss, gradient or weight is NaN or infinite.

  The message names the step, the metric, and the layer or the images that did it.
  """


@dataclasses.dataclass(frozen=True)
class Result:
  """How a run ended.

  step: number of steps taken since the run began.
  metrics: {'test': {...}, 'validation': {...}}: the evaluations of this process, newest each.
  evaluated: {name of these: the step of whose weights they are}: the last one, unless a signal
    stopped the run.
  signal: number of the signal that stopped the run early, or None.
  traces: how often the training steps were traced in this process (0: the run was complete).
  stopped_early: whether it ended because the validation loss had stopped falling.
  chief: whether this process is the one that evaluated and wrote; False: of several another is.
  """
  step: int
  metrics: dict
  evaluated: dict
  signal: int | None = None
  traces: int = 0
  stopped_early: bool = False
  chief: bool = True


class _Standing(tf.Module):
  """Where a run stands beyond weights and slots; part of its checkpoint."""

  def __init__(self, loop):
    super().__init__()
    with tf.device("/CPU:0"):
      self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
      self.best_loss = tf.Variable(math.inf, dtype=tf.float64, trainable=False, name="best_loss")
      self.best_step = tf.Variable(-1, dtype=tf.int64, trainable=False, name="best_step")
      # Of early stopping: the loss that has to be undercut, and the evaluations that did not.
      self.stopping_loss = tf.Variable(math.inf, dtype=tf.float64, trainable=False,
                                       name="stopping_loss")
      self.stale = tf.Variable(0, dtype=tf.int64, trainable=False, name="stale")
    self.totals, self.last = loop.totals, loop.last


class Run:
  """A model in training; everything that exists exists after construction.

  Attributes:
    step: int, steps taken so far.
    total_steps: int, where the run ends.
    jit: whether the steps are compiled with XLA; jit_reason: why, in words.
    model, loop, batches, updater: see their classes.
    part: the part of the model that training steps see.
  """

  def __init__(self, experiment, model, data, data_device, workdir=None, strategy=Single()):
    """Makes batches, slots and loop.

    Args:
      experiment: an `Experiment`; its fields data, model and placement are not looked at.
      model: a `tfae.models.model.Model`, such as a `tfae.Autoencoder`.
      data: a `tfae.data.datasets.Dataset`.
      data_device: full device name.
      workdir: folder for checkpoints and log, or None: nothing is written.
      strategy: of `tfae.strategy`, in whose scope the model was made.
    """
    if not isinstance(data, Dataset) or data.test is None:
      raise InputError(f"data={type(data).__name__}: expected what tfae.load(...) returns, or a "
                       "tfae.Dataset of tfae.Splits, with train and test.")
    if tuple(data.train.images.shape[1:]) != model.input_shape:
      raise InputError(f"data: images have shape {tuple(data.train.images.shape[1:])}, the model "
                       f"takes {model.input_shape}.")
    if model.needs_labels and not data.classes:
      raise InputError(f"data: {data.name!r} has no labels, a {type(model).__name__} needs them. "
                       "Use data with labels in all of its splits.")
    if model.needs_labels and data.classes > model.classes:
      raise InputError(f"data: the labels go up to {data.classes - 1}, the model has "
                       f"{model.classes} classes. Let its head end in Dense({data.classes}).")
    experiment.early_stopping.check_data(data)
    self.strategy = strategy
    workdir = workdir if strategy.chief else None
    self._experiment, self._data, self._workdir = experiment, data, workdir
    self.model = model
    self.part, self._inputs = model.trained_part()
    self.batches = Batches(self._training_images(), experiment.batch_size, labels=data.train.labels,
                           seed=experiment.seed, device=data_device,
                           share=strategy.share(experiment.batch_size))
    self.total_steps = experiment.steps or experiment.epochs * self.batches.steps_per_epoch
    with strategy.scope():
      self.updater = Updater(experiment.optimizer, self.part.trainable, self.total_steps)
    self.jit, self.jit_reason = choose_jit(experiment.jit_compile, self.part, data_device,
                                           strategy)
    distortion = build.distortion(experiment, data.max_value, data_device)
    self.loop = Loop(self.part, self.batches, self.updater, seed=experiment.seed, jit=self.jit,
                     steps_per_loop=min(experiment.steps_per_loop, self.batches.steps_per_epoch),
                     distortion=None if self._inputs else distortion,  # codes are no images
                     strategy=strategy)
    self._evaluate = Evaluator(model, seed=experiment.seed, distortion=distortion)
    self._standing = _Standing(self.loop)
    self._evaluated = {}  # {split: step}
    self._checkpoints = None
    if workdir is not None:
      self._checkpoints = Checkpoints(
          pathlib.Path(workdir) / "checkpoints", keep=experiment.checkpoints.keep,
          objects={"model": model, "optimizer": self.updater, "progress": self._standing})
    self.step = 0

  @property
  def variables(self):
    """Every variable of the run, each once: weights, mean image, slots, standing."""
    modules = self.model, self.updater, self._standing
    return list({id(v): v for module in modules for v in module.variables}.values())

  def executed_ops(self):
    """Takes one step; returns (device, op type, name) of what it executed, sorted."""
    return placement.executed_ops(lambda: self.loop.run(self.step, 1))

  def begin(self):
    """Saves step 0: from here on there is always a checkpoint to go back to."""
    if self._checkpoints:
      self._checkpoints.save(0)

  def restore(self):
    """Goes to the newest checkpoint that is whole; InputError if there is none."""
    self.step = self._checkpoints.restore()
    if self._inputs:  # of the weights that the checkpoint has
      self.batches.replace(self._training_images())

  def synchronise(self, identity):
    """Gives all processes the chief's weights, slots and step, after `begin` or `restore`.

    Args:
      identity: what they must have in common, as JSON values.

    Raises:
      InputError: they don't; WorkerLostError: see `tfae.strategy`.
    """
    self._standing.step.assign(self.step)
    self.strategy.begin(self.variables, identity)
    self.step = int(self._standing.step)

  def _training_images(self):
    """Returns what the steps see as images: those of the training set, or their codes."""
    train = self._data.train
    return train.images if self._inputs is None else computed(self._inputs, train,
                                                              chunk_size(self.model))

  def to_the_end(self, identity=None):
    """Trains until `total_steps`, or a signal; evaluates; returns a Result.

    Args:
      identity: what the run is, as JSON values, to be shown; not needed without a workdir.

    Raises:
      NotFiniteError: the checkpoint before it stays the newest.
    """
    _LOG.info("XLA is %s (jit_compile=%r: %s).", "on" if self.jit else "off",
              self._experiment.jit_compile, self.jit_reason)
    watch = Watch(self, self._experiment, self._data, self._workdir, identity)
    evaluations = {}
    try:
      with Signals() as signals:
        self._train(watch, signals, evaluations)
        if signals.received is None and self.strategy.chief:
          if self._data.validation is not None and watch.steps.get("validation") != self.step:
            # For its reader only: a run that is made longer has not seen it, so neither best
            # loss nor early stopping know of it.
            self._evaluate_split("validation", watch, evaluations, closing=True)
          self._evaluate_split("test", watch, evaluations)
        self._save(watch)
        if self.strategy.chief:
          watch.end(complete=signals.received is None)
        self.strategy.decide(0, None)  # nobody leaves before the chief is done
    finally:
      self.batches.close()
      watch.close()
    return Result(self.step, evaluations, self._evaluated, signals.received, self.loop.traces,
                  signals.received is None and self.step < self.total_steps, self.strategy.chief)

  def _train(self, watch, signals, evaluations):
    saved, cap = time.monotonic(), 1
    while count := self._next_steps(cap, watch, signals):
      began = time.monotonic()
      done, good = self.loop.run(self.step, count)
      seconds = time.monotonic() - began
      # From one step upward: how long a step takes is not known before.
      cap = max(1, min(int(count * min(4, LONGEST_LOOP_SECONDS / seconds)),
                       self.loop.steps_per_loop))
      self.step += done
      if not good:
        self._check_finite(zip(LAST, self.loop.last.numpy()), self._fault_of_step)
      watch.after_loop(done)
      improved = False
      if self.step % self.batches.steps_per_epoch == 0:
        improved = self._end_epoch(watch, evaluations)
      if improved or time.monotonic() - saved >= self._experiment.checkpoints.seconds:
        self._save(watch)
        saved = time.monotonic()

  def _next_steps(self, cap, watch, signals):
    """Returns how many steps, at most `cap`, the next loop takes; 0 at the end.

    Of several processes each takes those that the chief says; a signal to one is one to all.
    """
    going = (self.step < self.total_steps and signals.received is None
             and not self._stops_early())
    count = min(cap, min(watch.next_stop(), self.total_steps) - self.step) if going else 0
    count, received = self.strategy.decide(count, signals.received)
    if received:  # what comes meanwhile stays for the next time
      signals.received = received
    return 0 if received else count

  def _check_finite(self, values, find=lambda: None):
    """Raises NotFiniteError if one of the (name, number or array) is not finite.

    `find()` returns the `diagnosis.Fault`, or None; it is called in that case only.
    """
    bad = [f"{name} is {value}" if np.ndim(value) == 0 else f"{name} is not finite"
           for name, value in values if not np.isfinite(value).all()]
    if bad:
      fault = find()
      why = f"; {fault.text}" if fault else ""
      kept = " The last good checkpoint stays." if self._checkpoints else ""
      advice = ("Mend or leave out these images." if fault and fault.of_data else
                "A lower learning rate or the optimizer's clip_norm=1 may help"
                + (", in another workdir." if self._checkpoints else "."))
      raise NotFiniteError(f"step {self.step}: {', '.join(bad)}{why}.{kept} {advice}")

  def _fault_of_step(self):
    """Returns the `diagnosis.Fault` of the step that was just taken, None if it can't be told.

    The step has spoilt the weights that it took. A run is exact, so with a checkpoint they are
    made again, and the step is looked at layer by layer; the model is left as it was before it.
    """
    if self.strategy.replicas > 1:  # steps can't be taken again by one process
      return diagnosis.of_variables(self.model)
    number = self.step - 1
    indices = self.batches.indices(tf.constant(number, tf.int64), 1)[0]
    fault = diagnosis.of_images(self._data.train.images, indices[indices >= 0].numpy(), "training")
    if fault:
      return fault
    if not self._checkpoints or not self._replay(number):
      fault = diagnosis.of_variables(self.model)
    batch = self.loop.batch(indices, tf.constant(number, tf.int64))
    return fault or diagnosis.of_step(self.part, batch, self._experiment.seed, number)

  def _replay(self, step):
    """Goes from the newest checkpoint to `step` again; returns whether it got there in time."""
    deadline = time.monotonic() + LONGEST_REPLAY_SECONDS
    try:
      at, good = self._checkpoints.restore(), True
    except InputError:  # none is usable: what went wrong before matters more
      return False
    while good and at < step and time.monotonic() < deadline:
      in_epoch = self.batches.steps_per_epoch - at % self.batches.steps_per_epoch
      done, good = self.loop.run(at, min(step - at, in_epoch, _REPLAYED,
                                         self.loop.steps_per_loop))
      at += done
    return good and at == step

  def _evaluate_split(self, name, watch, evaluations, closing=False):
    split = getattr(self._data, name)
    evaluations[name] = values = self._evaluate(split)
    self._evaluated[name] = self.step
    self._check_finite(((f"{name} {metric}", value) for metric, value in values.items()),
                       lambda: diagnosis.of_evaluation(self.model, split, name))
    watch.write(name, values, closing=closing)
    return values["loss"]

  def _end_epoch(self, watch, evaluations):
    """Writes the epoch's line, evaluates; returns whether the validation loss is a new best."""
    text, improved = watch.end_epoch(), False
    epoch = self.step // self.batches.steps_per_epoch
    if self._data.validation is not None and self.strategy.chief \
        and epoch % self._experiment.logging.evaluate_epochs == 0:
      loss = self._evaluate_split("validation", watch, evaluations)
      text += f" validation {loss:.5g}"
      improved = loss < self._standing.best_loss.numpy()
      if improved:
        self._standing.best_loss.assign(loss)
        self._standing.best_step.assign(self.step)
      self._note_for_stopping(loss)
      if self._stops_early():
        text += f" stopped early (patience={self._experiment.early_stopping.patience})"
    watch.say(text, always=self.step == self.total_steps or self._stops_early())
    return improved

  def _note_for_stopping(self, loss):
    standing = self._standing
    if loss < standing.stopping_loss.numpy() - self._experiment.early_stopping.min_delta:
      standing.stopping_loss.assign(loss)
      standing.stale.assign(0)
    else:
      standing.stale.assign_add(1)

  def _stops_early(self):
    patience = self._experiment.early_stopping.patience
    return 0 < patience <= int(self._standing.stale)

  def _save(self, watch):
    if self._checkpoints is None:
      return
    # A finite gradient times a large rate can be infinite: not to be saved as the newest.
    self._check_finite((v.name.split(":")[0], v.numpy())
                       for v in (*self.model.variables, *self.updater.variables))
    self._standing.step.assign(self.step)
    watch.sync()  # first: what the checkpoint knows the log must know too
    best = int(self._standing.best_step.numpy())
    self._checkpoints.save(self.step, best if best >= 0 else None)
