"""What is seen of a run while it trains: its log, its progress, its pictures."""

import math
import time

from tfae import diagnosis, metrics
from tfae.pictures import Pictures


class Watch:
  """Writes lines and pictures as a run goes on; changes nothing of it.

  Attributes:
    steps: {kind: step of the newest line of the log of that kind}.
  """

  def __init__(self, run, experiment, data, workdir, identity):
    """Opens the files, and shows how the run stands.

    Args:
      run: the `tfae.run.Run`, of which step, total_steps, model, part, batches, loop and strategy
        are read.
      experiment: its `Experiment`.
      data: its `tfae.data.datasets.Dataset`.
      workdir: the run's folder; None: nothing is written.
      identity: what the run is, as JSON values: its hyperparameters.

    Raises:
      InputError: a full disk, or a file that can't be read or written.
    """
    self._run, self._data, self._every = run, data, experiment.logging.steps
    self._log = metrics.MetricsLog(workdir, step=run.step, epochs=run.step // self._per_epoch,
                                   tensorboard=experiment.logging.tensorboard)
    self.steps = self._log.steps
    self._bar = metrics.Progress(run.total_steps, run.step, quiet=not run.strategy.chief)
    self._wait = metrics.InputWait(lambda: run.batches.waited)
    self._lap = time.monotonic(), run.step
    # Of this process: (step, loss), (epoch, mean loss), mean loss.
    self._first_loss = self._worst_epoch = self._last_epoch_loss = None
    self._pictures = None
    if workdir is not None:
      self._pictures = Pictures(run, experiment.logging, data, workdir, self._log.events, identity)

  @property
  def _per_epoch(self):
    return self._run.batches.steps_per_epoch

  @property
  def _epoch(self):
    """Number of epochs begun."""
    return -(-self._run.step // self._per_epoch)

  def next_stop(self):
    """Returns the next step at which something is to be done outside the graph."""
    def after(every):
      return (self._run.step // every + 1) * every
    return min(after(self._per_epoch), after(self._every),
               self._pictures.next_stop() if self._pictures else math.inf)

  def after_loop(self, steps):
    """Notes that `steps` steps were taken; writes the line of an interval that ends here."""
    run, last = self._run, self._run.loop.last.numpy()
    loss, norm, learning_rate = map(float, last)
    self._first_loss = self._first_loss or (run.step, loss)
    self._bar.advance(steps)
    if run.step % self._every == 0:
      (began, first), self._lap = self._lap, (time.monotonic(), run.step)
      rate = (run.step - first) * run.batches.batch_size / (self._lap[0] - began)
      self.write("train", {"loss": run.loop.reset("interval"), "gradient_norm": norm,
                            "learning_rate": learning_rate},
                  {"images_per_second": rate, **self._wait.lap()})
    if self._pictures:
      self._pictures.show()

  def end_epoch(self):
    """Writes the line of an epoch that ends here; returns what there is to say of it."""
    run = self._run
    last_batch = float(run.loop.last.numpy()[0])
    self._last_epoch_loss = loss = run.loop.reset("epoch")
    if self._worst_epoch is None or loss > self._worst_epoch[1]:
      self._worst_epoch = self._epoch, loss
    self.write("epoch", {"loss": loss, "last_batch_loss": last_batch})
    return f"epoch {self._epoch} step {run.step}/{run.total_steps} loss {loss:.5g}"

  def write(self, kind, values, timing=None, closing=False):
    """Writes a line of this step; see `tfae.metrics.MetricsLog.write`."""
    self._log.write(kind, self._run.step, self._epoch, values,
                    {"time": time.time(), **(timing or {})}, closing=closing)

  def say(self, text, always=False):
    """Shows one line of progress; see `tfae.metrics.Progress.say`."""
    self._bar.say(text, always)

  def sync(self):
    """Puts all lines on the disk: before a checkpoint, which must not know more than the log."""
    self._log.sync()
    if self._pictures:
      self._pictures.sync()

  def end(self, complete):
    """Writes what is known at the end; of a `complete` run, logs what is finite and still wrong."""
    if summary := self._wait.summary():
      self._bar.say(summary, always=True)
    if self._pictures:
      self._pictures.end(complete)
    if not complete:
      return
    diagnosis.warn_of_stuck_units(self._run.model, self._data.test, "test")
    if self._first_loss and self._worst_epoch:
      diagnosis.warn_of_loss(*self._first_loss, *self._worst_epoch, self._last_epoch_loss)

  def close(self):
    """Closes the files."""
    self._bar.close()
    self._log.close()
