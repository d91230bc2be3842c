"""What a run in training shows beside its numbers: the film, and TensorBoard's pictures,
histograms, graph, hyperparameters and codes."""

import math
import pathlib
import time

import tensorflow as tf

from tfae import events, film
from tfae import experiment as experiments
from tfae.data.datasets import Split
from tfae.evaluation import chunk_size, computed

_DEVELOP_SECONDS = 60.0  # between two GIFs of the film
_IMAGES = 10  # of a picture, where the film does not say how many
# Sections that do not change what is trained; those of which a default says nothing.
_NO_HPARAMS = ("checkpoints", "logging", "placement")
_SELDOM = ("augmentation", "corruption", "data", "early_stopping", "transfer")


class Pictures:
  """Takes frames and adds pictures as a run goes on; changes nothing of it."""

  def __init__(self, run, logging, data, workdir, to, identity):
    """Opens the film, and shows how the run stands.

    Args:
      run: the `tfae.run.Run`, of which step, model, part, batches, loop and strategy are read.
      logging: a `tfae.specs.sections.Logging`.
      data: a `tfae.data.datasets.Dataset`.
      workdir: the run's folder.
      to: a `tfae.events.Events`, or None.
      identity: what the run is, as JSON values: its hyperparameters.

    Raises:
      InputError: a full disk, or a file that can't be read or written.
    """
    self._run, self._logging, self._data, self._workdir = run, logging, data, workdir
    self._events, self._identity = to, identity
    self._per_epoch = run.batches.steps_per_epoch
    self._began, self._developed = time.time(), time.monotonic()
    self._camera = None
    self._in_colours = run.model.input_shape[-1] in (1, 3)
    self._draws = run.model.makes_images and self._in_colours
    films, adds = self._draws and logging.film, self._draws and to and logging.image_epochs
    if films or adds or to and logging.graph:
      self._forward = _forward(run.model)
    if films or adds:
      self._images = tf.constant(data.test.images[:logging.film or _IMAGES], tf.float32)
      self._originals = film.to_bytes(self._images, data.max_value)
    if films:
      self._camera = film.Camera(workdir, self._originals, step=run.step,
                                 steps_per_epoch=self._per_epoch)
    if to:
      self._describe()
    self.show()

  def next_stop(self):
    """Returns the next step of which there is a frame; infinity without a film."""
    return film.next_frame(self._run.step, self._per_epoch) if self._camera else math.inf

  def show(self):
    """Takes the frame, and adds the picture and the histograms, whose turn it is at this step."""
    step = self._run.step
    def due(every):
      return self._events and every and step % (every * self._per_epoch) == 0
    films = self._camera and film.next_frame(step - 1, self._per_epoch) == step
    adds = self._draws and due(self._logging.image_epochs)
    if films or adds:
      (output,) = self._forward(self._images).values()
      frame = film.to_bytes(output, self._data.max_value)
      if films:
        self._camera.take(step, frame)
      if adds:
        self._events.image("reconstructions", film.pairs(self._originals, frame), step)
    if due(self._logging.histogram_epochs):
      self._events.histograms(self._histograms(), step)

  def sync(self):
    """Writes the film's GIF, now and then."""
    if time.monotonic() - self._developed > _DEVELOP_SECONDS:
      self._develop()

  def end(self, complete):
    """Writes the film's GIF, and what TensorBoard shows of a `complete` run."""
    self._develop()
    if complete and self._events:
      self._describe(ended=True)
      if self._logging.projector:
        self._project()

  def _develop(self):
    if self._camera:
      self._camera.develop()
    self._developed = time.monotonic()

  def _histograms(self):
    """Returns {tag: values} of the weights, and of their gradients that the next step takes."""
    part = self._run.part
    values = {f"weights/{_name(v)}": v for v in part.trainable}
    if self._run.strategy.replicas == 1:
      with part.unmoved():
        _, gradients = self._run.loop.gradients(self._run.step)
      values.update((f"gradients/{_name(v)}", gradient)
                    for v, gradient in zip(part.trainable, gradients))
    return values

  def _describe(self, ended=False):
    graph = self._forward.graph.as_graph_def() if self._logging.graph else None
    hparams = _hparams(self._identity) if self._logging.hparams else None
    self._events.about(graph, hparams, self._began, ended)

  def _project(self):
    from tfae import projector  # once a run
    test, model = self._data.test, self._run.model
    n = projector.shown(min(self._logging.projector, len(test)), math.prod(model.code_shape))
    part = Split(test.images[:n], None if test.labels is None else test.labels[:n])
    names = part.labels
    if names is not None and self._data.class_names:
      names = [self._data.class_names[label] for label in names]
    projector.write(pathlib.Path(self._workdir) / events.FOLDER,
                    computed(model.encode, part, chunk_size(model)),
                    film.to_bytes(part.images, self._data.max_value) if self._in_colours else None,
                    names)


def _name(variable):
  return variable.name.split(":")[0]


def _forward(model):
  """Returns the traced function from images, float32, to {name: what a served model gives}."""
  function = model.signatures()["serving_default"].function
  return tf.function(lambda images: function(images=images), autograph=False
                     ).get_concrete_function(
                         tf.TensorSpec([None, *model.input_shape], tf.float32, "images"))


def _hparams(identity):
  """Returns {name: bool, number or text} of JSON values of an experiment, what seldom changes only
  where it is not the default."""
  defaults, found = experiments.flat(experiments.to_json(experiments.Experiment())), {}
  for name, value in experiments.flat(identity).items():
    section = name.split(".")[0]
    if value is None or section in _NO_HPARAMS or section in _SELDOM and value == defaults[name]:
      continue
    found[name] = _hparam(value)
  return found


def _hparam(value):
  """Returns a JSON value as a bool, a number or a text; a layer by its type and sizes."""
  if isinstance(value, (bool, int, float, str)):
    return value
  if isinstance(value, dict):
    sizes = [str(v) for v in value.values() if type(v) is int]  # no bool
    return " ".join([value.get("type", ""), *sizes])
  return ", ".join(str(_hparam(item)) for item in value if item is not None)
