"""Noise on images, in the graph: see `tfae.specs.distortions.Corruption` for what and whence."""

import tensorflow as tf

from tfae import randomness
from tfae.errors import check_float32


def corrupt(images, key, corruption, max_value):
  """Returns corrupted images, float32, or `images` themselves where the corruption is 'none'.

  Args:
    images: `[batch, ...]`, any numeric dtype, in the dataset's units.
    key: int64 [2], of this step and purpose; another key is other noise.
    corruption: a `tfae.specs.distortions.Corruption`.
    max_value: the dataset's largest value, > 0: salt, and the unit of `stddev`.

  Returns:
    The shape of `images`, in the dataset's units, not rounded to them. With and without XLA the
    same values are hit; Gaussian noise differs by rounding.

  Raises:
    InputError: a max_value that is not above 0.
  """
  max_value = check_float32("corrupt: max_value", max_value, above=True)
  if corruption.name == "none":
    return images
  images = tf.cast(images, tf.float32)
  if corruption.name == "gaussian":
    return images + randomness.normal(tf.shape(images), key, corruption.stddev * max_value)
  draws, rate = randomness.uniform(tf.shape(images), key), corruption.rate
  if corruption.name == "masking":
    kept = images / (1 - rate) if corruption.rescale else images
    return tf.where(draws < rate, 0.0, kept)
  return tf.where(draws < rate / 2, 0.0, tf.where(draws < rate, max_value, images))
