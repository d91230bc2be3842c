"""What the pictures of a run are made of, each computed once, when a picture first asks for it.

Only reads: a run in training is not disturbed, and none is locked. TensorFlow is imported when the
model is asked for.
"""

import math

import numpy as np

from tfae import workdir as workdirs
from tfae.data.datasets import Split
from tfae.data.stored import StoredImages
from tfae.errors import InputError, check_int
from tfae.experiment import load_data
from tfae.specs.losses import LOSSES
from tfae.tasks.variational import Variational
from tfae.views.once import once

_MOST_VALUES = 2**26  # of all images together: 256 MiB of float32
_MOST_SCORED = 20_000  # images whose scores are compared with their classes
_FIT = ("the model was built by hand (tfae.fit) and can't be built again from the folder; what "
        "needs it can't be drawn")


class Material:
  """A run: its images, and what its model makes of them.

  All images are float32 `[n, height, width, channels]` in [0, 1], those of the model clipped to
  it. They are a seeded choice of the test split, in a seeded order, so that no class comes first.

  Every attribute raises InputError if it can't be had; `reason` of one gives that as text.

  Attributes:
    workdir: the folder.
    experiment: the `tfae.experiment.Experiment`, None of a run of tfae.fit.
    config: config.json as a dict.
    image: float32 `[1, height, width, channels]` in [0, 1], whose response maps are drawn; None:
      the first of `images`.
    layer: name of the layer whose responses are drawn, such as 'encoder/layer_1'; None: the views
      choose.
  """

  def __init__(self, workdir, checkpoint="latest", data_dir=None, *, images=1000, seed=0,
               device="auto", image=None, layer=None):
    """Reads config.json and nothing else.

    Args:
      workdir: the run's folder.
      checkpoint: 'latest', 'best' or a step.
      data_dir: where to look for the data first.
      images: at most so many test images, fewer where they are large.
      seed: of every choice and every noise.
      device: where to compute.
      image, layer: see the class.

    Raises:
      InputError: no run, or a bad argument.
    """
    self.workdir, self._checkpoint, self._data_dir = str(workdir), checkpoint, data_dir
    self._most = check_int("images", images, 1)
    self.seed = check_int("seed", seed, 0, 2**31 - 1)
    self._device, self.image, self.layer = device, image, layer
    self.experiment, self.config = workdirs.read_config(workdir)

  def reason(self, name):
    """Returns why the attribute `name` can't be had, in words; None if it can."""
    try:
      getattr(self, name)
    except InputError as error:
      return str(error)
    return None

  # Of the folder and the data.

  @property
  def max_value(self):
    """Largest pixel value in the dataset's units."""
    return self.config["data"]["max_value"]

  @property
  def task(self):
    """Name of the task; None of a run of tfae.fit."""
    return self.experiment and self.experiment.task.name()

  @property
  def corrupts(self):
    """Whether the model is trained to undo a corruption."""
    return self.experiment is not None and self.experiment.corruption.name != "none"

  @once
  def metrics(self):
    """The lines of metrics.jsonl as dicts."""
    return workdirs.read_metrics(self.workdir)

  @once
  def data(self):
    """The `tfae.data.datasets.Dataset` that the run was trained on."""
    if self.experiment is None:
      raise InputError(f"workdir={self.workdir!r}: {_FIT}, nor can its data be loaded again.")
    data = load_data(self.experiment, self._data_dir)
    workdirs.check_data(self.workdir, data)
    return data

  @once
  def split(self):
    """The chosen test images as a `tfae.data.datasets.Split`, in the dataset's units.

    Without the data those few that the run keeps itself, without labels: see `without_data`.
    """
    if self.reason("data"):
      examples = workdirs.read_examples(self.workdir)
      return Split(examples[:self._number(examples)], None)
    images, labels = self.data.test.images, self.data.test.labels
    rows = self._rows(self._number(images))
    # Files are read in their order.
    ascending, order = np.unique(rows, return_inverse=True)
    return Split(_part(images, ascending)[:][order], None if labels is None else labels[rows])

  def _number(self, images):
    return min(len(images), self._most, max(1, _MOST_VALUES // math.prod(images.shape[1:])))

  def _rows(self, number):
    return np.random.default_rng(self.seed).permutation(len(self.data.test))[:number]

  @property
  def without_data(self):
    """Why the images are those of examples.npy, without labels; None: they are the data's."""
    return self.reason("data")

  @once
  def images(self):
    """The chosen test images."""
    return self._unit(self.split.images)

  @property
  def labels(self):
    """Integers `[n]`, of `images`; None without labels."""
    return self.split.labels

  @property
  def class_names(self):
    """A list of str in the order of the labels; None: the numbers are the names."""
    return self.config["data"].get("class_names")

  # Of the model.

  @once
  def _loaded(self):
    if self.experiment is None:
      raise InputError(f"workdir={self.workdir!r}: {_FIT}.")
    from tfae import build
    return build.load_model(self.workdir, self._checkpoint, self._device)

  @property
  def model(self):
    """The `tfae.models.model.Model` with the weights of the checkpoint."""
    return self._loaded[0]

  @property
  def step(self):
    """Of the checkpoint."""
    return self._loaded[3]

  @once
  def codes(self):
    """Float32 `[n, *code shape]`; of a variational model the means, of a classifier what its head
    sees."""
    return self._computed(self.model.encode)

  @once
  def distributions(self):
    """Means and log variances of a variational model's codes, float32 `[n, latent]` each."""
    if not isinstance(self.experiment and self.experiment.task, Variational):
      raise InputError("its codes have no distribution: only those of task.name='variational' do.")
    import tensorflow as tf
    both = self._computed(lambda images: tf.stack(self.model.encode_distribution(images), 1))
    return both[:, 0], both[:, 1]

  @once
  def kl(self):
    """KL(q(z | x) || N(0, 1)) in nats, float64 `[n, latent]`, of a variational model.

    (mean^2 + variance - 1 - log variance) / 2: Kingma and Welling 2014, appendix B.
    """
    mean, log_variance = (values.astype(np.float64) for values in self.distributions)
    return (mean**2 + np.exp(log_variance) - 1 - log_variance) / 2

  @once
  def reconstructions(self):
    """What the model gives back of `images`."""
    self._check_reconstructs()
    return self._unit(self._computed(self.model.reconstruct))

  @once
  def corrupted(self):
    """`images` as a denoising run's encoder sees them in evaluation."""
    return self._unit(self._corrupted)

  @once
  def restored(self):
    """What a denoising model makes of `corrupted`."""
    self._check_reconstructs()
    return self._unit(self._computed(self.model.reconstruct, Split(self._corrupted, None)))

  @once
  def _corrupted(self):
    if not self.corrupts:
      raise InputError("nothing is corrupted: the run has corruption.name='none'.")
    import tensorflow as tf
    from tfae import build, evaluation
    distortion = build.distortion(self.experiment, self.max_value, "/CPU:0")
    # Numbered as the chunks of an evaluation.
    return np.concatenate([distortion(batch, tf.constant(-1 - number), augmented=False).inputs
                           for number, batch in enumerate(evaluation.chunks(
                               self.split, evaluation.chunk_size(self.model)))])

  @once
  def scores(self):
    """Float32 `[n]`: how badly the model does on each image, see `score_unit`.

    The score of an export; of a classifier the cross-entropy of the label.
    """
    if self.experiment is None or self.experiment.task.RECONSTRUCTS:
      return self._computed(self.model.score)
    if self.labels is None:
      raise InputError("a classifier's score is that of the label, and there are no labels.")
    right = self.probabilities[np.arange(len(self.labels)), self.labels]
    return -np.log(np.maximum(right, np.finfo(np.float32).tiny))

  @once
  def detection(self):
    """The `tfae.anomaly.Detection` of all test images, of a seeded choice if they are very many.

    Images are anomalous if their class is one that the run was not trained on.
    """
    from tfae import anomaly, thresholds
    rows = np.sort(self._rows(_MOST_SCORED))
    scores = anomaly.score(self.model, Split(_part(self.data.test.images, rows), None))
    truth = anomaly.anomalous(self.data)
    return anomaly.Detection(scores, None if truth is None else truth[rows],
                             thresholds.of_checkpoint(self.workdir, self.step), self.step)

  @property
  def score_unit(self):
    """What `scores` are, in words."""
    return "negative ELBO at the mean code, nats" if self.task == "variational" else self.loss_unit

  @property
  def loss_unit(self):
    """What the loss of metrics.jsonl is, in words."""
    if self.experiment is None:
      return "loss"
    task = self.experiment.task
    if isinstance(task, Variational):
      return f"minus the {'IWAE bound' if task.objective == 'iwae' else 'ELBO'}, nats"
    if task.RECONSTRUCTS:
      return f"{task.loss.replace('_', ' ')}, {LOSSES[task.loss].unit}"
    return "cross-entropy of the label, nats"

  @once
  def probabilities(self):
    """Of a classifier: float32 `[n, classes]`."""
    if not (self.experiment and self.experiment.task.LABELS):
      raise InputError(f"task.name={self.task!r} gives no classes.")
    return self._computed(lambda images: self.model.classify(images)[0])

  @property
  def predictions(self):
    """Of a classifier: the most probable class, integers `[n]`."""
    return self.probabilities.argmax(1)

  def _check_reconstructs(self):
    if self.experiment and not self.experiment.task.RECONSTRUCTS:
      raise InputError(f"task.name={self.task!r} gives no images back.")

  def _computed(self, function, split=None):
    from tfae import evaluation
    return evaluation.computed(function, split or self.split, evaluation.chunk_size(self.model))

  def _unit(self, images):
    return np.clip(np.asarray(images, np.float32) / np.float32(self.max_value), 0, 1)


def _part(images, rows):
  """Returns some images of an array, or of `StoredImages`, from which nothing is read yet."""
  return images.subset(rows) if isinstance(images, StoredImages) else images[rows]
