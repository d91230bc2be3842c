"""What is seen of a run while it trains: its log, progress, film and TensorBoard.

Nothing of it changes what is trained.
"""

import math
import pathlib
import time

import tensorflow as tf

from tfae import diagnosis, film, metrics
from tfae import experiment as experiments
from tfae.data.datasets import Split
from tfae.evaluation import chunk_size, computed
from tfae.events import FOLDER

_DEVELOP_SECONDS = 60.0  # between two GIFs of the film
_IMAGES = 10  # a picture for TensorBoard, where the film does not say how many
_NO_HPARAMS = ("checkpoints", "logging", "placement")  # they do not change what is trained


class Watch:
  """Writes lines, frames and events as a run goes on.

  Attributes:
    steps: {kind: step of the newest line of the log of that kind}.
  """

  def __init__(self, run, experiment, data, workdir, identity):
    """Opens the files, and shows how the run stands.

    Args:
      run: the `tfae.run.Run`, of which step, total_steps, model, batches, loop and strategy are
        read.
      experiment: its `Experiment`.
      data: its `tfae.data.datasets.Dataset`.
      workdir: the run's folder; None: nothing is written.
      identity: what the run is, as JSON values: its hyperparameters.

    Raises:
      InputError: a full disk, or a file that can't be read or written.
    """
    self._run, self._data, self._identity, self._workdir = run, data, identity, workdir
    self._logging = experiment.logging
    self._log = metrics.MetricsLog(workdir, step=run.step, epochs=run.step // self._per_epoch,
                                   tensorboard=self._logging.tensorboard)
    self.steps, self._events = self._log.steps, self._log.events
    self._bar = metrics.Progress(run.total_steps, run.step, quiet=not run.strategy.chief)
    self._wait = metrics.InputWait(lambda: run.batches.waited)
    self._lap = time.monotonic(), run.step
    # Of this process: (step, loss), (epoch, mean loss), mean loss.
    self._first_loss = self._worst_epoch = self._last_epoch_loss = None
    self._began, self._developed = time.time(), time.monotonic()
    self._camera = self._forward = None
    if workdir is None:
      return
    drawn = run.model.makes_images and run.model.input_shape[-1] in (1, 3)
    pictures = drawn and bool(self._events and self._logging.image_epochs)
    if drawn and self._logging.film or pictures or self._events and self._logging.graph:
      self._forward = _forward(run.model)
    if pictures or drawn and self._logging.film:
      self._images = tf.constant(data.test.images[:self._logging.film or _IMAGES], tf.float32)
      self._originals = film.to_bytes(self._images, data.max_value)
    if drawn and self._logging.film:
      self._camera = film.Camera(workdir, self._originals, step=run.step,
                                 steps_per_epoch=self._per_epoch)
    self._pictures = pictures
    if self._events:
      self._describe()
    self._show()

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
    stops = [after(self._per_epoch), after(self._logging.steps)]
    if self._camera:
      stops.append(film.next_frame(self._run.step, self._per_epoch))
    return min(stops)

  def after_loop(self, steps):
    """Notes that `steps` steps were taken; writes the line of an interval that ends here."""
    run, last = self._run, self._run.loop.last.numpy()
    loss, norm, learning_rate = map(float, last)
    self._first_loss = self._first_loss or (run.step, loss)
    self._bar.advance(steps)
    if run.step % self._logging.steps == 0:
      (began, first), self._lap = self._lap, (time.monotonic(), run.step)
      rate = (run.step - first) * run.batches.batch_size / (self._lap[0] - began)
      self._write("train", {"loss": run.loop.reset("interval"), "gradient_norm": norm,
                            "learning_rate": learning_rate},
                  {"images_per_second": rate, **self._wait.lap()})
    self._show()

  def end_epoch(self):
    """Writes the line of an epoch that ends here; returns what there is to say of it."""
    run = self._run
    last_batch = float(run.loop.last.numpy()[0])
    self._last_epoch_loss = loss = run.loop.reset("epoch")
    if self._worst_epoch is None or loss > self._worst_epoch[1]:
      self._worst_epoch = self._epoch, loss
    self._write("epoch", {"loss": loss, "last_batch_loss": last_batch})
    return f"epoch {self._epoch} step {run.step}/{run.total_steps} loss {loss:.5g}"

  def evaluated(self, kind, values, closing=False):
    """Writes the line of an evaluation; see `tfae.metrics.MetricsLog.write`."""
    self._write(kind, values, closing=closing)

  def _write(self, kind, values, timing=None, closing=False):
    self._log.write(kind, self._run.step, self._epoch, values,
                    {"time": time.time(), **(timing or {})}, closing=closing)

  def say(self, text, always=False):
    """Shows one line of progress; see `tfae.metrics.Progress.say`."""
    self._bar.say(text, always)

  def sync(self):
    """Puts all lines on the disk: before a checkpoint, which must not know more than the log."""
    self._log.sync()
    if self._camera and time.monotonic() - self._developed > _DEVELOP_SECONDS:
      self._camera.develop()
      self._developed = time.monotonic()

  def end(self, complete):
    """Writes what is known at the end; of a `complete` run, logs what is finite and still wrong."""
    if summary := self._wait.summary():
      self._bar.say(summary, always=True)
    if self._camera:
      self._camera.develop()
    if not complete:
      return
    if self._events:
      self._describe(ended=True)
      if self._logging.projector:
        self._project()
    diagnosis.warn_of_stuck_units(self._run.model, self._data.test, "test")
    if self._first_loss and self._worst_epoch:
      diagnosis.warn_of_loss(*self._first_loss, *self._worst_epoch, self._last_epoch_loss)

  def close(self):
    """Closes the files."""
    self._bar.close()
    self._log.close()

  def _show(self):
    """Takes the frame, and adds the pictures and histograms, whose turn it is at this step."""
    step, per_epoch = self._run.step, self._per_epoch
    def due(every):
      return self._events and every and step % (every * per_epoch) == 0
    takes = self._camera and film.next_frame(step - 1, per_epoch) == step
    draws = self._pictures and due(self._logging.image_epochs)
    if takes or draws:
      (output,) = self._forward(self._images).values()
      frame = film.to_bytes(output, self._data.max_value)
      if takes:
        self._camera.take(step, frame)
      if draws:
        self._events.image("reconstructions", film.pairs(self._originals, frame), step)
    if due(self._logging.histogram_epochs):
      self._events.histograms(self._histograms(), step)

  def _histograms(self):
    """Returns {tag: values} of the weights, and of their gradients that the next step takes."""
    part = self._run.part
    values = {f"weights/{v.name.split(':')[0]}": v for v in part.trainable}
    if self._run.strategy.replicas == 1:
      with part.unmoved():
        _, gradients = self._run.loop.gradients(self._run.step)
      values.update((f"gradients/{v.name.split(':')[0]}", gradient)
                    for v, gradient in zip(part.trainable, gradients))
    return values

  def _describe(self, ended=False):
    graph = self._forward.graph.as_graph_def() if self._logging.graph else None
    hparams = None
    if self._logging.hparams:
      hparams = {name: _hparam(value) for name, value in experiments.flat(self._identity).items()
                 if value is not None and name.split(".")[0] not in _NO_HPARAMS}
    self._events.about(graph, hparams, self._began, ended)

  def _project(self):
    from tfae import projector  # once a run
    test, model = self._data.test, self._run.model
    n = projector.shown(min(self._logging.projector, len(test)), math.prod(model.code_shape))
    part = Split(test.images[:n], None if test.labels is None else test.labels[:n])
    images = None
    if model.input_shape[-1] in (1, 3):
      images = film.to_bytes(part.images, self._data.max_value)
    projector.write(pathlib.Path(self._workdir) / FOLDER,
                    computed(model.encode, part, chunk_size(model)), images, part.labels)


def _forward(model):
  """Returns the traced function from images, float32, to {name: what a served model gives}."""
  function = model.signatures()["serving_default"].function
  return tf.function(lambda images: function(images=images), autograph=False
                     ).get_concrete_function(
                         tf.TensorSpec([None, *model.input_shape], tf.float32, "images"))


def _hparam(value):
  """Returns a JSON value as a bool, a number or a text; a layer by its type and sizes."""
  if isinstance(value, (bool, int, float, str)):
    return value
  if isinstance(value, dict):
    sizes = [str(v) for v in value.values() if type(v) is int]  # no bool
    return " ".join([value.get("type", ""), *sizes])
  return ", ".join(str(_hparam(item)) for item in value)
