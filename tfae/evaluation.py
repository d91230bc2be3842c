"""What a model scores on a split, and what PCA of the same code size scores there."""

import math

import numpy as np
import tensorflow as tf


_MOST_IMAGES = 1000
_MOST_VALUES = 2**26  # in one layer's output: 256 MiB of float32


def chunk_size(model):
  """Returns how many images are on the device at a time: at most 1,000, fewer for large layers."""
  largest = max(math.prod(shape) for stack in (model.encoder, model.decoder)
                for shape in stack.value_shapes)
  return max(1, min(_MOST_IMAGES, _MOST_VALUES // largest))


class Evaluator:
  """Means of a model's metrics over all images of a split."""

  def __init__(self, model, chunk=None):
    """Takes a `tfae.Autoencoder`; `chunk` images are on the device at a time, None: what fits."""
    self._chunk = chunk or chunk_size(model)
    self._metrics = tf.function(lambda images: model.metrics(images), autograph=False)
    self._traced = {}

  def __call__(self, images):
    """Returns {metric: mean over images}; `images` `[n, ...]` in the dataset's units, n >= 1."""
    metrics = self._traced_for(tf.TensorSpec([None, *images.shape[1:]], images.dtype))
    sums = {}
    for start in range(0, len(images), self._chunk):
      values = metrics(tf.constant(images[start:start + self._chunk]))
      for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + float(np.sum(value.numpy(), dtype=np.float64))
    return {name: total / len(images) for name, total in sums.items()}

  def _traced_for(self, spec):
    # By hand: TensorFlow takes the first call of each of several evaluators for retracing, and
    # warns of it.
    if spec not in self._traced:
      self._traced[spec] = self._metrics.get_concrete_function(spec)
    return self._traced[spec]


def pca_squared_error(train, test, components, max_value):
  """Returns the squared error per pixel of PCA fitted on `train`, on `test`.

  The linear autoencoder of the lowest squared error (Baldi and Hornik 1989): a network that does
  not beat it at its own code size has learned nothing.

  Args:
    train, test: images `[n, ...]` in the dataset's units.
    components: code size; capped at what `train` allows.
    max_value: pixels are divided by it first.
  """
  from sklearn.decomposition import PCA  # heavy, and only wanted here
  flat = lambda images: images.reshape(len(images), -1).astype(np.float64) / max_value
  pixels = math.prod(train.shape[1:])
  pca = PCA(min(components, pixels, len(train)), svd_solver="covariance_eigh").fit(flat(train))
  images = flat(test)
  return float(np.mean((pca.inverse_transform(pca.transform(images)) - images) ** 2))
