"""The computations against plain loops in numpy, in every dtype, with XLA and without."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfae import ops
from tfae.specs.layers import ACTIVATIONS

RANDOM = np.random.default_rng(0)
WINDOWS = [((5, 7), (3, 2), (1, 1)), ((7, 5), (3, 3), (2, 2)), ((8, 9), (2, 4), (3, 2)),
           ((6, 6), (1, 2), (3, 3)), ((3, 4), (3, 4), (2, 1))]


def normal(*shape):
  return RANDOM.normal(size=shape)


def layout(size, window, stride, padding):
  """Returns (number of windows, pixels of padding before the first) along one axis."""
  if padding == "valid":
    return (size - window) // stride + 1, 0
  count = math.ceil(size / stride)
  return count, max((count - 1) * stride + window - size, 0) // 2


def windows(size, window, stride, padding):
  """Yields ((i, j), [(row, column, k, l), ...]): the pixels inside each window."""
  (rows, top), (columns, left) = (layout(*axis, padding) for axis in zip(size, window, stride))
  for i, j in np.ndindex(rows, columns):
    yield (i, j), [(i * stride[0] - top + k, j * stride[1] - left + l, k, l)
                   for k, l in np.ndindex(*window)
                   if 0 <= i * stride[0] - top + k < size[0]
                   and 0 <= j * stride[1] - left + l < size[1]]


def numpy_conv2d(x, kernel, stride, padding):
  size = x.shape[1:3]
  counts = [layout(*axis, padding)[0] for axis in zip(size, kernel.shape, stride)]
  y = np.zeros((len(x), *counts, kernel.shape[3]))
  for (i, j), pixels in windows(size, kernel.shape[:2], stride, padding):
    for row, column, k, l in pixels:
      y[:, i, j] += x[:, row, column] @ kernel[k, l]
  return y


def numpy_conv2d_transpose(x, kernel, stride, padding, size):
  y = np.zeros((len(x), *size, kernel.shape[2]))
  for (i, j), pixels in windows(size, kernel.shape[:2], stride, padding):
    for row, column, k, l in pixels:
      y[:, row, column] += x[:, i, j] @ kernel[k, l].T
  return y


def numpy_max_pool(x, window, stride, padding):
  counts = [layout(*axis, padding)[0] for axis in zip(x.shape[1:3], window, stride)]
  y = np.zeros((len(x), *counts, x.shape[3]))
  for (i, j), pixels in windows(x.shape[1:3], window, stride, padding):
    y[:, i, j] = np.max([x[:, row, column] for row, column, _, _ in pixels], axis=0)
  return y


def numpy_upsample(x, factor, size):
  x = x.repeat(factor[0], 1).repeat(factor[1], 2)[:, :size[0], :size[1]]
  return np.pad(x, [(0, 0), (0, size[0] - x.shape[1]), (0, size[1] - x.shape[2]), (0, 0)], "edge")


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, stride", WINDOWS)
def test_conv2d_is_the_cross_correlation(size, window, stride, padding):
  x, kernel = normal(2, *size, 3), normal(*window, 3, 2)
  np.testing.assert_allclose(ops.conv2d(x, kernel, stride, padding),
                             numpy_conv2d(x, kernel, stride, padding), atol=1e-12)


# (padding, size, window, stride, channels in and out), and whether the gradients are products: from
# 16 channels to one, a pixel at a time.
TO_ONE = [("same", (9, 7), (3, 3), (1, 1), 16, 1, True),
          ("same", (6, 9), (5, 2), (1, 1), 17, 1, True),
          ("valid", (9, 7), (4, 3), (1, 1), 16, 1, True),
          ("same", (3, 3), (1, 1), (1, 1), 16, 1, True),
          ("same", (9, 7), (3, 3), (1, 1), 15, 1, False),
          ("same", (9, 7), (3, 3), (2, 1), 16, 1, False),
          ("same", (9, 7), (3, 3), (1, 1), 16, 2, False)]


@pytest.mark.parametrize("padding, size, window, stride, channels, filters, products", TO_ONE)
def test_conv2d_to_one_channel_is_numpy_s_and_so_are_its_gradients(
    padding, size, window, stride, channels, filters, products):
  x, kernel = normal(2, *size, channels), normal(*window, channels, filters)
  expected = numpy_conv2d(x, kernel, stride, padding)
  out = normal(*expected.shape)

  @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, *x.shape[1:]), tf.float64),
                                                 tf.TensorSpec(kernel.shape, tf.float64)])
  def run(x, kernel):
    with tf.GradientTape() as tape:
      tape.watch((x, kernel))
      y = ops.conv2d(x, kernel, stride, padding)
      loss = tf.reduce_sum(y * out)
    return y, tape.gradient(loss, (x, kernel))

  y, (dx, dkernel) = run(x, kernel)
  np.testing.assert_allclose(y, expected, atol=1e-12)
  used = {op.type for op in run.get_concrete_function().graph.get_operations()}
  assert ("Conv2DBackpropFilter" in used) != products
  # The loss is linear in each of both: its slope along one direction is exact.
  for operand, gradient, at in ((x, dx, 0), (kernel, dkernel, 1)):
    direction = normal(*operand.shape)
    moved = [x, kernel]
    moved[at] = direction
    slope = np.vdot(numpy_conv2d(*moved, stride, padding), out)
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-10)


def test_conv2d_to_one_channel_can_be_differentiated_twice():
  x, kernel = tf.constant(normal(2, 5, 4, 16)), tf.constant(normal(3, 3, 16, 1))

  def slopes(x):
    """Sum of the squared gradients to x of the mean squared output, and its gradient to x."""
    with tf.GradientTape() as outer:
      outer.watch(x)
      with tf.GradientTape() as inner:
        inner.watch(x)
        loss = tf.reduce_mean(tf.square(ops.conv2d(x, kernel, (1, 1), "same")))
      total = tf.reduce_sum(tf.square(inner.gradient(loss, x)))
    return total, outer.gradient(total, x)

  direction, step = normal(*x.shape), 1e-4
  up, down = (slopes(x + sign * step * direction)[0] for sign in (1, -1))
  assert np.vdot(slopes(x)[1], direction) == pytest.approx(float(up - down) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("device, products", [("/CPU:0", True), ("/GPU:0", False)])
def test_gradients_are_products_on_cpus_where_they_were_measured(device, products):
  with tf.Graph().as_default() as graph, tf.device(device):
    x, kernel = tf.constant(normal(1, 4, 4, 16)), tf.constant(normal(3, 3, 16, 1))
    tf.gradients(ops.conv2d(x, kernel, (1, 1), "same"), kernel)
  used = {op.type for op in graph.get_operations()}
  assert ("Conv2DBackpropFilter" in used) != products


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, stride", WINDOWS)
def test_conv2d_transpose_scatters_every_pixel_through_the_kernel(size, window, stride, padding):
  counts = [layout(*axis, padding)[0] for axis in zip(size, window, stride)]
  x, kernel = normal(2, *counts, 2), normal(*window, 3, 2)
  np.testing.assert_allclose(
      ops.conv2d_transpose(tf.constant(x), tf.constant(kernel), stride, padding, size),
      numpy_conv2d_transpose(x, kernel, stride, padding, size), atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, stride", WINDOWS)
def test_conv2d_transpose_is_the_adjoint_of_conv2d(size, window, stride, padding):
  kernel = tf.constant(normal(*window, 3, 2))
  x = tf.constant(normal(2, *size, 3))
  convolved = ops.conv2d(x, kernel, stride, padding)
  y = tf.constant(normal(*convolved.shape))
  back = ops.conv2d_transpose(y, kernel, stride, padding, size)
  left, right = np.vdot(convolved, y), np.vdot(x, back)
  assert abs(left) > 0.1 and abs(left - right) < 1e-11


# What is computed as blocks of pixels: as many channels as that is faster for, and one more.
BLOCKS = [((28, 28), 4, 2, 1), ((27, 31), 4, 2, 8), ((27, 31), 4, 2, 9), ((7, 5), 6, 3, 3),
          ((8, 6), 2, 2, 2), ((9, 9), 6, 2, 1)]


@pytest.mark.parametrize("size, window, stride, channels", BLOCKS)
def test_conv2d_transpose_to_few_channels_is_numpy_s_and_so_are_its_gradients(
    size, window, stride, channels):
  counts = [layout(n, window, stride, "same")[0] for n in size]
  x, kernel = normal(2, *counts, 2), normal(window, window, channels, 2)
  out = normal(2, *size, channels)
  operands = tf.constant(x), tf.constant(kernel)

  @tf.function(autograph=False)
  def run(x, kernel):
    with tf.GradientTape() as tape:
      tape.watch((x, kernel))
      y = ops.conv2d_transpose(x, kernel, (stride, stride), "same", size)
      loss = tf.reduce_sum(y * out)
    return y, tape.gradient(loss, (x, kernel))

  y, (dx, dkernel) = run(*operands)
  expected = numpy_conv2d_transpose(x, kernel, (stride, stride), "same", size)
  np.testing.assert_allclose(y, expected, atol=1e-12)
  used = {op.type for op in run.get_concrete_function(*operands).graph.get_operations()}
  assert ("DepthToSpace" in used) == (channels <= 8)
  # The loss is linear in each of both: its slope along one direction is exact.
  for operand, gradient, at in ((x, dx, 0), (kernel, dkernel, 1)):
    direction = normal(*operand.shape)
    moved = [x, kernel]
    moved[at] = direction
    slope = np.vdot(numpy_conv2d_transpose(*moved, (stride, stride), "same", size), out)
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize("device, blocks", [("/CPU:0", True), ("/GPU:0", False)])
def test_blocks_are_for_cpus_where_they_were_measured(device, blocks):
  with tf.Graph().as_default() as graph, tf.device(device):
    x, kernel = tf.constant(normal(1, 4, 4, 2)), tf.constant(normal(4, 4, 1, 2))
    ops.conv2d_transpose(x, kernel, (2, 2), "same", (8, 8))
  assert ("DepthToSpace" in {op.type for op in graph.get_operations()}) == blocks


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, stride", WINDOWS)
def test_max_pool_is_the_maximum_of_each_window_even_where_all_is_negative(size, window, stride,
                                                                           padding):
  x = normal(2, *size, 3) - 5
  np.testing.assert_array_equal(ops.max_pool(tf.constant(x), window, stride, padding),
                                numpy_max_pool(x, window, stride, padding))


@pytest.mark.parametrize("factor, size", [
    ((1, 1), (3, 4)), ((2, 3), (6, 12)), ((2, 3), (5, 10)), ((2, 2), (9, 8)), ((3, 2), (7, 11)),
    # 3 * 41 pixels: 1 / 41 in float32 is a little less than 1 / 41.
    ((41, 47), (123, 188))])
def test_upsample_repeats_pixels_cut_or_edge_padded_to_the_size(factor, size):
  x = normal(2, 3, 4, 2)
  np.testing.assert_array_equal(ops.upsample(tf.constant(x), factor, size),
                                numpy_upsample(x, factor, size))


def test_dense_multiplies_by_the_kernel_or_its_transpose():
  x, kernel = normal(4, 5), normal(5, 3)
  np.testing.assert_allclose(ops.dense(x, kernel), x @ kernel, atol=1e-13)
  np.testing.assert_allclose(ops.dense(x, kernel.T, transpose_kernel=True), x @ kernel, atol=1e-13)


def erf_free_gelu(x):
  # Hendrycks and Gimpel 2016, the approximation of section 2.
  return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x):
  powers = np.exp(x - x.max(-1, keepdims=True))
  return powers / powers.sum(-1, keepdims=True)


FORMULAS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    # Klambauer et al. 2017, equation 14.
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": erf_free_gelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softmax": softmax,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_its_formula(name):
  x = normal(3, 4, 5) * 3
  # The slope of leaky_relu and gelu's 0.044715 are float32 inside TensorFlow.
  np.testing.assert_allclose(ops.activate(tf.constant(x), name), FORMULAS[name](x), rtol=1e-6,
                             atol=1e-12)


def test_dropout_zeroes_what_is_not_kept_and_scales_the_rest():
  x = tf.constant([[1., 2., 3., 4.]])
  kept = tf.constant([[False, False, True, True]])
  np.testing.assert_allclose(ops.dropout(x, 0.2, kept), [[0, 0, 3.75, 5]], rtol=1e-6)


def test_the_batch_size_is_an_int_where_it_is_known_and_a_tensor_where_not():
  assert ops.batch_size(tf.zeros((3, 2))) == 3
  found = []

  @tf.function(input_signature=[tf.TensorSpec((None, 2))], autograph=False)
  def run(x):
    found.append(ops.batch_size(x))
    return found[0]

  assert run(tf.zeros((5, 2))).numpy() == 5 and found[0].dtype == tf.int32


IMAGE_OPS = {
    "conv2d": lambda x: ops.conv2d(x, tf.ones((3, 2, 2, 3), x.dtype) / 8, (2, 1), "same"),
    "conv2d to one channel": lambda x: ops.conv2d(
        tf.concat([x] * 8, 3), tf.ones((3, 2, 16, 1), x.dtype) / 64, (1, 1), "same"),
    "conv2d_transpose": lambda x: ops.conv2d_transpose(x, tf.ones((3, 2, 3, 2), x.dtype) / 8,
                                                       (2, 1), "same", (9, 4)),
    "max_pool": lambda x: ops.max_pool(x, (2, 3), (2, 1), "same"),
    "upsample": lambda x: ops.upsample(x, (2, 3), (9, 14)),
    "upsample, cut": lambda x: ops.upsample(x, (3, 2), (14, 7)),
    "dense": lambda x: ops.dense(tf.reshape(x, (2, 40)), tf.ones((40, 3), x.dtype) / 8),
    "dropout": lambda x: ops.dropout(x, 0.5, x < 0.5),
    **{name: lambda x, name=name: ops.activate(x, name) for name in ACTIVATIONS},
}


def on_cpu(function):
  """Returns a function whose argument is known to be on a CPU: XLA is treated apart only there."""
  def run(x):
    with tf.device("/device:CPU:0"):
      return function(tf.identity(x))
  return run


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", IMAGE_OPS)
def test_values_and_gradients_are_those_of_float64_with_xla_and_without(name, dtype):
  x = tf.constant(np.random.default_rng(1).permutation(80).reshape(2, 5, 4, 2) / 32 - 1.23)
  function = IMAGE_OPS[name]

  def value_and_gradient(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = function(x)
      loss = tf.reduce_sum(tf.square(tf.cast(y, tf.float64)))
    return y, tape.gradient(loss, x)

  # All are multiples of 2^-5 off by a constant: bfloat16 keeps their order, for max_pool.
  reference = value_and_gradient(x)
  for jit, run in ((False, value_and_gradient), (True, value_and_gradient),
                   (True, on_cpu(value_and_gradient))):
    found = tf.function(run, jit_compile=jit, autograph=False)(tf.cast(x, dtype))
    for a, b in zip(found, reference):
      assert a.dtype == dtype and a.shape == b.shape
      tolerance = {"float32": 2e-5, "bfloat16": 0.06}[dtype]
      np.testing.assert_allclose(tf.cast(a, tf.float64), b, rtol=tolerance,
                                 atol=tolerance * np.abs(b).max(), err_msg=f"jit {jit}")


@pytest.mark.parametrize("name", [n for n in IMAGE_OPS if n not in ("dense", "dropout")])
def test_the_batch_may_be_unknown_when_the_graph_is_made(name):
  function = IMAGE_OPS[name]
  run = tf.function(function, autograph=False,
                    input_signature=[tf.TensorSpec((None, 5, 4, 2), tf.float64)])
  x = tf.constant(normal(3, 5, 4, 2))
  np.testing.assert_allclose(run(x), function(x), atol=1e-12)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("shape", [(), (1,), (7, 37), (1009,), (784, 512), (4, 4, 1, 16)])
def test_the_sum_of_squares_is_numpy_s_with_and_without_xla(jit, shape):
  x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
  found = tf.function(on_cpu(ops.sum_of_squares), jit_compile=jit, autograph=False)(tf.constant(x))
  assert found.shape == ()
  np.testing.assert_allclose(found, np.sum(x.astype(np.float64) ** 2), rtol=1e-6)
