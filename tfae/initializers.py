"""First values of kernels.

Sources: Glorot and Bengio 2010, equation 16; He et al. 2015, equation 10; LeCun et al. 1998,
"Efficient BackProp", section 4.6; Saxe et al. 2014 (orthogonal).
"""

import math

import tensorflow as tf

from tfae import randomness
from tfae.specs.layers import Normal

# Variance of the kernel as a function of (fan in, fan out).
_VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


def initial_value(initializer, shape, key, dtype, fan_axes=(-2, -1)):
  """Returns the first value of a kernel.

  Args:
    initializer: a name of `tfae.specs.layers.INITIALIZERS`, or a `Normal`.
    shape: the kernel's; the leading axes but two are the receptive field.
    key: int64 [2] from `randomness.stream`.
    dtype: float32 or float64.
    fan_axes: axes of the input and the output channels, (-1, -2) for a transposed convolution.

  Returns:
    A tensor of `shape` and `dtype`; the normal ones are not truncated.
  """
  if isinstance(initializer, Normal):
    return randomness.normal(shape, key, initializer.stddev, dtype)
  if initializer in ("zeros", "ones"):
    return tf.fill(shape, tf.cast(initializer == "ones", dtype))
  field = math.prod(shape[:-2])
  fan_in, fan_out = (field * shape[axis] for axis in fan_axes)
  if initializer == "orthogonal":
    rows, columns = math.prod(shape) // shape[-1], shape[-1]
    draw = randomness.normal((max(rows, columns), min(rows, columns)), key, 1.0, dtype)
    q, r = tf.linalg.qr(draw)
    # Signs from R's diagonal make Q uniform among the orthogonal matrices (Mezzadri 2007).
    q *= tf.sign(tf.linalg.diag_part(r))
    return tf.reshape(q if rows >= columns else tf.transpose(q), shape)
  family, distribution = initializer.split("_")
  variance = _VARIANCES[family](fan_in, fan_out)
  if distribution == "normal":
    return randomness.normal(shape, key, math.sqrt(variance), dtype)
  limit = math.sqrt(3 * variance)
  return randomness.uniform(shape, key, -limit, limit, dtype)
