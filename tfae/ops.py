"""The computations of the layers, on tensors; no state.

All take any batch size from 1 on, known or not, and float32, float64 or bfloat16. Images are
`[batch, height, width, channels]`. Each has a gradient and an XLA kernel.
"""

import math

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from tfae import replica

_FUNCTIONS = {
    "linear": tf.identity,
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, alpha=0.2),
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "gelu": lambda x: tf.nn.gelu(x, approximate=True),
    "silu": tf.nn.silu,
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "softplus": tf.nn.softplus,
    "softmax": tf.nn.softmax,
}


def activate(x, name):
  """Returns the activation `name` of x; leaky_relu has slope 0.2, gelu is the tanh form."""
  return x if name == "linear" else _FUNCTIONS[name](x)


def dense(x, kernel, transpose_kernel=False):
  """Returns x W, or x W^T: `[batch, n]` to `[batch, m]`."""
  return tf.matmul(x, kernel, transpose_b=transpose_kernel)


def xla_on_cpu(x):
  """Returns whether XLA compiles, for a CPU, the graph in which the tensor x is being built."""
  return (not tf.executing_eagerly() and "CPU" in x.device
          and control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def sum_of_squares(x):
  """Returns the sum over all elements, a scalar of x's dtype."""
  if not xla_on_cpu(x):
    return 2 * tf.nn.l2_loss(x)
  # XLA stores the squares of a sum, and then adds them up one after the other. A sum of the squares
  # of slices is one loop over vectors.
  def summed(x, function):
    parts = next((n for n in range(16, 1, -1) if x.shape[0] % n == 0), None)
    if parts is None:
      return tf.reduce_sum(function(x), keepdims=True)
    return tf.add_n([function(part) for part in tf.split(x, parts)])

  x = summed(tf.reshape(x, [-1]), tf.square)
  while x.shape[0] > 1:
    x = summed(x, tf.identity)
  return x[0]


def conv2d(x, kernel, stride, padding):
  """Returns the cross-correlation of x with kernel `[kh, kw, in, out]`."""
  if _to_one_channel(kernel, stride) and "GPU" not in x.device and not xla_on_cpu(x):
    return _correlated(x, kernel, padding)
  return tf.nn.conv2d(x, kernel, stride, padding.upper())


def _to_one_channel(kernel, stride):
  """Returns whether `_correlated` can do a convolution, and trains it faster on a CPU."""
  return (tuple(stride) == (1, 1) and kernel.shape[3] == 1 and kernel.shape[2] >= 16
          and kernel.dtype != tf.bfloat16)


def _correlated(x, kernel, padding):
  """A convolution of stride 1 to one channel, whose gradients are products of matrices.

  With a column for each tap of the kernel, which holds the output's gradient dy as that tap meets
  it, both gradients are products of this matrix `[pixels, taps]`: with the kernel, and with x.
  oneDNN's own take 2 to 4 times as long. The matrix is a convolution of dy, each of whose kernels
  is a 1 at one place.
  """
  taps = kernel.shape[0] * kernel.shape[1]
  shifts = np.eye(taps)[::-1].reshape(*kernel.shape[:2], 1, taps)
  # What x has around it, mirrored: dy's windows are as many as x's pixels.
  zeros = [(size - 1 - (size - 1) // 2, (size - 1) // 2) if padding == "same" else
           (size - 1, size - 1) for size in kernel.shape[:2]]
  gradient_scope = _gradient_scope("conv2d")

  @tf.custom_gradient
  def correlated(x, kernel):
    with tf.name_scope("conv2d"):
      y = tf.nn.conv2d(x, kernel, 1, padding.upper())

    def gradient(dy):
      with tf.name_scope(gradient_scope):
        shifted = tf.nn.conv2d(dy, tf.constant(shifts, dy.dtype), 1, [(0, 0), *zeros, (0, 0)])
        shifted = tf.reshape(shifted, [-1, taps])
        dx = tf.matmul(shifted, tf.reshape(kernel, [taps, -1]))
        dkernel = tf.matmul(shifted, tf.reshape(x, [-1, x.shape[3]]), transpose_a=True)
        return tf.reshape(dx, tf.shape(x)), tf.reshape(dkernel, kernel.shape)
    return y, gradient
  return correlated(x, kernel)


def conv2d_transpose(x, kernel, stride, padding, output_size):
  """Returns the transpose of `conv2d`: what its gradient does to its input.

  Args:
    x: `[batch, h', w', in]`.
    kernel: `[kh, kw, out, in]`: that of the convolution which this one undoes.
    stride: pair of ints.
    padding: 'same' or 'valid'.
    output_size: (h, w), a size that `conv2d` takes to (h', w').
  """
  if _few_channels(kernel, stride, padding) and "GPU" not in x.device and not xla_on_cpu(x):
    return _sub_pixel(x, kernel, stride[0], output_size)
  shape = (batch_size(x), *output_size, kernel.shape[2])
  return tf.nn.conv2d_transpose(x, kernel, shape, stride, padding.upper())


def _few_channels(kernel, stride, padding):
  """Returns whether `_sub_pixel` can do a transposed convolution, and is faster on a CPU."""
  step = stride[0]
  return (padding == "same" and stride[1] == step > 1 and kernel.shape[2] <= 8
          and kernel.shape[0] % step == kernel.shape[1] % step == 0)


def _gradient_scope(name):
  """Returns the scope in which the gradients of TensorFlow's own op `name` would be."""
  return "/".join(filter(None, ("gradient_tape", tf.get_current_name_scope(), f"{name}/")))


def _sub_pixel(x, kernel, stride, output_size):
  """A transposed convolution as a convolution that makes blocks of stride x stride pixels at once.

  Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?". oneDNN's
  gradient of a convolution to an input of so few channels takes 1.5 to 2.5 times as long.
  Output pixel (stride p + a) sums x[p - i] kernel[stride i + a] over i.
  """
  taps = tuple(size // stride for size in kernel.shape[:2])
  channels = kernel.shape[2]
  gradient_scope = _gradient_scope("conv2d_transpose")

  @tf.custom_gradient
  def transposed(x, kernel):
    with tf.name_scope("conv2d_transpose"):
      blocks = tf.reshape(kernel, [taps[0], stride, taps[1], stride, channels, -1])
      blocks = tf.transpose(tf.reverse(blocks, [0, 2]), [0, 2, 5, 1, 3, 4])
      blocks = tf.reshape(blocks, [*taps, -1, stride**2 * channels])
      y = tf.nn.conv2d(x, blocks, 1, [[0, 0], *([n - 1] * 2 for n in taps), [0, 0]])
      y = tf.nn.depth_to_space(y, stride)
      top, left = ((y.shape[axis + 1] - output_size[axis]) // 2 for axis in (0, 1))
      y = y[:, top:top + output_size[0], left:left + output_size[1]]

    def gradient(dy):
      with tf.name_scope(gradient_scope):
        return (tf.nn.conv2d(dy, kernel, stride, "SAME"),
                tf.raw_ops.Conv2DBackpropFilter(
                    input=dy, filter_sizes=kernel.shape, out_backprop=x,
                    strides=[1, stride, stride, 1], padding="SAME"))
    return y, gradient
  return transposed(x, kernel)


def max_pool(x, size, stride, padding):
  """Returns the maximum of each window of `size`."""
  return tf.nn.max_pool2d(x, size, stride, padding.upper())


def upsample(x, factor, output_size):
  """Returns x with each pixel repeated `factor` times, cut or edge-padded to `output_size`."""
  x = _repeated(x, factor)
  if any(have > want for have, want in zip(x.shape[1:3], output_size)):  # costs a copy each way
    x = x[:, :output_size[0], :output_size[1]]
  for axis in (1, 2):
    missing = output_size[axis - 1] - x.shape[axis]
    if missing > 0:
      last = x[:, -1:] if axis == 1 else x[:, :, -1:]
      x = tf.concat([x] + [last] * missing, axis)
  return x


def _repeated(x, factor):
  """Returns x with each pixel repeated `factor` times."""
  batch, (height, width, channels) = batch_size(x), x.shape[1:]
  gradient_scope = _gradient_scope("repeat")

  def repeat(x):
    # Not ResizeNearestNeighbor: its gradient has no XLA kernel, and at factors such as 41 rounding
    # shifts its pixels. Copies side by side in memory are the next pixels, or the next rows.
    x = tf.concat([x] * factor[1], 3)
    x = tf.reshape(x, (batch, height, width * factor[1], channels))
    x = tf.concat([x] * factor[0], 2)
    return tf.reshape(x, (batch, height * factor[0], width * factor[1], channels))

  @tf.custom_gradient
  def repeated(x):
    def gradient(dy):
      # A sum over each block: without XLA half the time of adding up the concatenations' parts.
      with tf.name_scope(gradient_scope):
        return tf.nn.avg_pool2d(dy, factor, factor, "VALID") * math.prod(factor)
    return repeat(x), gradient
  return repeat(x) if xla_on_cpu(x) else repeated(x)


def dropout(x, rate, kept):
  """Returns x / (1 - rate) where `kept`, booleans, elsewhere 0, or NaN if x is not finite."""
  # Products are quicker than choices on a CPU, in both directions.
  return x * (tf.cast(kept, x.dtype) * (1 / (1 - rate)))


def batch_moments(x, weights=None):
  """Returns (mean, variance, n) of each channel over all axes of x but the last.

  Args:
    x: `[batch, ..., channels]`, float32 or float64: sums of bfloat16 lose what they add.
    weights: `[batch]`, 1 for an example, 0 for padding, which then counts for nothing; at least
      one is 1. None: all are examples.

  Returns:
    Two `[channels]`, the variance divided by n, and n, a scalar: how many values a channel has. In
    one of several replicas these are of all of them.
  """
  part = replica.current()
  total = part.total if part else lambda x: x
  axes = list(range(x.shape.rank - 1))
  batch = batch_size(x)
  weights = tf.ones([batch], x.dtype) if weights is None else tf.cast(weights, x.dtype)
  n = total(tf.reduce_sum(weights)) * tf.constant(math.prod(x.shape[1:-1]), x.dtype)
  # To another batch size, which would be spread over the examples in silence, this is an error.
  weights = tf.reshape(weights, [batch] + [1] * len(x.shape[1:]))
  mean = total(tf.reduce_sum(weights * x, axes)) / n
  deviations = total(tf.reduce_sum(weights * tf.math.squared_difference(x, mean), axes))
  return mean, deviations / n, n


def layer_moments(x):
  """Returns (mean, variance), both `[..., 1]`, over the last axis of x."""
  return tf.nn.moments(x, [-1], keepdims=True)


def batch_size(x):
  """Returns the size of axis 0: an int where it is known, else a scalar int32 tensor."""
  return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
