"""Images of codes: between images, over the prior, drawn from it."""

import numpy as np
import tensorflow as tf

from tfae import evaluation


def decode(model, codes):
  """Returns the images of codes, float32 `[n, height, width, channels]`, clipped to [0, 1].

  Args:
    model: a `tfae.models.model.Model` that makes images.
    codes: `[n, *code_shape]`; so many are on the device at a time as the largest layer allows.
  """
  codes = np.asarray(codes, np.float32)
  size = min(len(codes), evaluation.fitting(model))
  function = tf.function(lambda some: model.decode(some), autograph=False, input_signature=[
      tf.TensorSpec([None, *codes.shape[1:]], tf.float32)])
  images = np.concatenate([function(tf.constant(codes[first:first + size])).numpy()
                           for first in range(0, len(codes), size)])
  return np.clip(images * np.float32(model.scale), 0, 1)


def samples(model, number, seed=0):
  """Returns images of the prior, as `decode` does: means of p(x | z), z drawn from N(0, 1)."""
  noise = np.random.default_rng(seed).standard_normal((number, *model.code_shape), np.float32)
  return decode(model, noise)


def plane(spread):
  """Returns the two dimensions that a plane through the code is laid along, int `[2]`, ascending.

  Those of the largest spread.

  Args:
    spread: `[latent]`, such as the KL of each dimension on average, or its variance.
  """
  return np.sort(np.argsort(-np.asarray(spread), kind="stable")[:2])


def on_plane(points, dimensions, latent):
  """Returns codes `[n, latent]` that have `points` `[n, 2]` in two dimensions and 0 elsewhere."""
  codes = np.zeros((len(points), latent), np.float32)
  codes[:, dimensions] = points
  return codes
