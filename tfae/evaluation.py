"""What a model scores on a split, and what PCA of the same code size scores there."""

import math

import numpy as np
import tensorflow as tf

from tfae import randomness
from tfae.data.pipeline import Batch

_MOST_IMAGES = 1000
_MOST_VALUES = 2**26  # in one layer's output: 256 MiB of float32
# In an evaluation beside training, which is not to need much more memory than a step does.
_MOST_BESIDE = 2**24
_CLIPPED = 1e-7  # no logarithm of 0


def fitting(model, values=_MOST_VALUES):
  """Returns how many examples, or codes, the largest layer has room for at a time."""
  largest = max(math.prod(shape) for stack in model.components.values()
                for shape in stack.value_shapes)
  return max(1, values // largest)


def chunk_size(model):
  """Returns how many images are on the device at a time: at most 1,000, fewer for large layers."""
  return max(1, min(_MOST_IMAGES, fitting(model, _MOST_BESIDE) // model.copies))


def chunks(split, size):
  """Yields a `Batch` of at most `size` examples after the other, all of a split."""
  for start in range(0, len(split), size):
    images = tf.constant(split.images[start:start + size])
    labels = (None if split.labels is None
              else tf.constant(split.labels[start:start + size], tf.int32))
    yield Batch(images, images, labels, tf.ones(len(images)))


def computed(function, split, size):
  """Returns what `function(images)` gives for all images of a split: an array `[n, ...]`.

  Args:
    function: from images `[batch, ...]` in the dataset's units to a tensor `[batch, ...]`.
    split: a `tfae.data.datasets.Split`.
    size: how many images are on the device at a time.
  """
  # By hand: TensorFlow takes the first call of each of several functions for retracing.
  traced = tf.function(function, autograph=False).get_concrete_function(
      tf.TensorSpec([None, *split.images.shape[1:]], split.images.dtype))
  return np.concatenate([traced(tf.constant(batch.images)).numpy()
                         for batch in chunks(split, size)])


class Evaluator:
  """Means of a model's metrics over all examples of a split."""

  def __init__(self, model, chunk=None, seed=0, distortion=None):
    """Takes a `tfae.models.model.Model`.

    With a corruption the model sees corrupted images, as in training; its metrics on the images as
    they are stand beside those, as `clean_<metric>`.

    Args:
      model: the model, with the weights that it has when the evaluator is called.
      chunk: how many images are on the device at a time; None: what fits.
      seed: of the noise, where the metrics draw some: it is the same in every evaluation.
      distortion: a `tfae.data.distortion.Distortion`, or None.
    """
    self._chunk = chunk or chunk_size(model)
    root = randomness.stream(seed, "evaluation")

    def metrics(batch, number):
      key = randomness.fold_in(root, number)
      if distortion is None or not distortion.corrupts:
        return model.metrics(batch, key)
      clean = model.metrics(batch, key)
      return {**model.metrics(distortion(batch, -1 - number, augmented=False), key),
              **{f"clean_{name}": value for name, value in clean.items()}}

    self._metrics = tf.function(metrics, autograph=False)
    self._traced = {}

  def __call__(self, split):
    """Returns {metric: mean over the examples} of a `tfae.data.datasets.Split`."""
    sums = {}
    for number, batch in enumerate(chunks(split, self._chunk)):
      values = self._traced_for(batch)(batch, tf.constant(number))
      for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + float(np.sum(value.numpy(), dtype=np.float64))
    return {name: total / len(split) for name, total in sums.items()}

  def _traced_for(self, batch):
    # By hand: TensorFlow takes the first call of each of several evaluators for retracing, and
    # warns of it.
    specs = Batch(*(None if x is None else tf.TensorSpec([None, *x.shape[1:]], x.dtype)
                    for x in batch))
    if specs not in self._traced:
      self._traced[specs] = self._metrics.get_concrete_function(
          specs, tf.TensorSpec([], tf.int32))
    return self._traced[specs]


def pca_errors(train, test, components, max_value):
  """Returns what PCA fitted on `train` loses of `test`.

  The linear autoencoder of the lowest squared error (Baldi and Hornik 1989): a network that does
  not beat it at its own code size has learned nothing.

  Args:
    train, test: images `[n, ...]` in the dataset's units; those in files are all decoded.
    components: code size; capped at what `train` allows.
    max_value: pixels are divided by it first.

  Returns:
    dict of floats, means over the pixels: `squared_error`; `cross_entropy`, nats, of the
    reconstructions clipped to [0, 1], and 1e-7 within it.
  """
  from sklearn.decomposition import PCA  # heavy, and only wanted here
  flat = lambda images: np.asarray(images).reshape(len(images), -1).astype(np.float64) / max_value
  pixels = math.prod(train.shape[1:])
  pca = PCA(min(components, pixels, len(train)), svd_solver="covariance_eigh").fit(flat(train))
  images = flat(test)
  found = pca.inverse_transform(pca.transform(images))
  p = np.clip(found, _CLIPPED, 1 - _CLIPPED)
  return {"squared_error": float(np.mean((found - images) ** 2)),
          "cross_entropy": float(-np.mean(images * np.log(p) + (1 - images) * np.log1p(-p)))}
