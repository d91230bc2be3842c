"""Reconstruction losses, one value an example; the mean over the batch is the caller's.

Targets and predictions have the same shape `[batch, ...]`; all axes but the first are pixels.
bfloat16 and float16 are cast to float32 before anything is summed, float64 stays float64.
"""

import tensorflow as tf

from tfae.errors import InputError


def mean_squared_error(target, prediction):
  """Returns `[batch]`: the squared error, mean over pixels, in squared pixel units.

  Raises:
    InputError: different shapes, or a dtype that is not floating point.
  """
  target, prediction, pixels = _paired("mean_squared_error", target, "prediction", prediction)
  return tf.reduce_mean(tf.math.squared_difference(prediction, target), pixels)


def sum_squared_error(target, prediction):
  """Returns `[batch]`: the squared error, sum over the pixels of an image, squared pixel units.

  Raises:
    InputError: different shapes, or a dtype that is not floating point.
  """
  target, prediction, pixels = _paired("sum_squared_error", target, "prediction", prediction)
  return tf.reduce_sum(tf.math.squared_difference(prediction, target), pixels)


def binary_cross_entropy(target, logits):
  """Returns `[batch]`: -z log s(x) - (1 - z) log(1 - s(x)), mean over pixels, nats per pixel.

  Args:
    target: z in [0, 1].
    logits: x, any real; s is the logistic function. Exact for large |x|: no log of 0, no clipping.

  Raises:
    InputError: different shapes, or a dtype that is not floating point.
  """
  target, logits, pixels = _paired("binary_cross_entropy", target, "logits", logits)
  return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logits), pixels)


def cosine_distance(target, prediction):
  """Returns `[batch]`: 1 - t p / (|t| |p|), without a unit: 0 (one direction) to 2 (opposite ones).

  Neither the brightness of an image nor how much ink it has counts, only what it shows; so scores
  of different images compare. That of an image of zeros, which has no direction, is 1; lengths
  below 1e-6 are taken for that.

  Raises:
    InputError: different shapes, or a dtype that is not floating point.
  """
  target, prediction, pixels = _paired("cosine_distance", target, "prediction", prediction)
  squares = [tf.maximum(tf.reduce_sum(tf.square(x), pixels), tf.constant(1e-12, x.dtype))
             for x in (target, prediction)]
  return 1 - tf.reduce_sum(target * prediction, pixels) / (
      tf.sqrt(squares[0]) * tf.sqrt(squares[1]))


LOSSES = {loss.__name__: loss for loss in (mean_squared_error, sum_squared_error,
                                           binary_cross_entropy, cosine_distance)}


def _paired(loss, target, name, prediction):
  """Returns both in one dtype of at least 32 bits, and the axes of the pixels."""
  tensors = []
  for argument, value in (("target", target), (name, prediction)):
    value = tf.convert_to_tensor(value)
    if not value.dtype.is_floating:
      raise InputError(f"{loss}: {argument} is {value.dtype.name}; expected a floating-point "
                       "dtype. Scale it to the range of the model and cast it first.")
    tensors.append(value)
  target, prediction = tensors
  # Broadcasting [batch, 784] against [batch, 28, 28, 1] would give a number, and a wrong one.
  ranks = target.shape.rank, prediction.shape.rank
  if None in ranks or 0 in ranks or not target.shape.is_compatible_with(prediction.shape):
    raise InputError(f"{loss}: target has shape {target.shape}, {name} {prediction.shape}; "
                     "expected the same shape, [batch, ...]. Reshape one of them.")
  dtype = tf.float64 if tf.float64 in (target.dtype, prediction.dtype) else tf.float32
  return tf.cast(target, dtype), tf.cast(prediction, dtype), list(range(1, target.shape.rank))
