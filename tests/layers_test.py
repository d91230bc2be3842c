"""Layers: their variables, and their derivatives against finite differences in float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, layers, randomness
from tfae.specs.layers import (ACTIVATIONS, Activation, Conv2D, Conv2DTranspose, Dense, Dropout,
                               Flatten, MaxPool, Normal, Reshape, Upsample)


def build(spec, input_shape, dtype=tf.float64, **options):
  options = {"path": "encoder/layer_0", "seed": 1, **options}
  return layers.Layer(spec, input_shape, dtype=dtype, **options)


def normal(*shape):
  return np.random.default_rng(len(shape)).normal(size=shape)


def check_derivatives(function, arguments, step=1e-5):
  """Compares the tape with central differences, for every value of every argument.

  Args:
    function: from float64 tensors to one; what it returns is weighed with fixed random numbers.
    arguments: float64 arrays.
    step: the error is of the order of its square.
  """
  weights = np.random.default_rng(9).normal(size=function(*map(tf.constant, arguments)).shape)
  scalar = tf.function(lambda *a: tf.reduce_sum(function(*a) * weights), autograph=False)
  tensors = [tf.constant(a) for a in arguments]
  with tf.GradientTape() as tape:
    tape.watch(tensors)
    loss = scalar(*tensors)
  for position, found in enumerate(tape.gradient(loss, tensors)):
    array = arguments[position]
    expected = np.zeros_like(array)
    for index in np.ndindex(array.shape):
      sides = []
      for sign in (1, -1):
        moved = array.copy()
        moved[index] += sign * step
        sides.append(scalar(*tensors[:position], tf.constant(moved), *tensors[position + 1:]))
      expected[index] = (sides[0] - sides[1]) / (2 * step)
    assert np.abs(expected).max() > 1e-3  # or there is nothing to compare
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def with_values(layer, **values):
  """Returns a copy of `layer` with tensors in the place of variables."""
  copy = object.__new__(layers.Layer)
  copy.__dict__.update(layer.__dict__, **values)
  return copy


def layer_derivatives(layer, x, key=None):
  names = [name for name in ("kernel", "bias") if getattr(layer, name) is not None]
  check_derivatives(lambda x, *values: with_values(layer, **dict(zip(names, values)))(x, key),
                    [x, *(getattr(layer, name).numpy() for name in names)])


@pytest.mark.parametrize("spec, shape", [
    (Dense(3, activation="tanh"), (4,)),
    (Dense(2, use_bias=False), (3,)),
    (Conv2D(2, 3, 2), (5, 4, 2)),
    (Conv2D(2, (2, 3), (1, 2), "valid", activation="softplus"), (4, 5, 1)),
    (Conv2DTranspose(2, 3, 2), (3, 2, 2)),
    (Conv2DTranspose(1, (2, 3), (3, 1), "valid", (8, 4), activation="tanh"), (3, 2, 2)),
    (MaxPool(2), (5, 4, 2)),
    (MaxPool((2, 3), 1, "valid"), (4, 4, 1)),
    (Upsample((2, 3)), (2, 3, 2)),
    (Upsample((3, 2), (4, 5)), (2, 3, 2)),
    (Upsample(2, (5, 8)), (2, 3, 1)),
    (Flatten(), (2, 3, 2)),
    (Reshape((3, 2, 2)), (2, 6)),
    *((Activation(name), (3, 2)) for name in ACTIVATIONS),
], ids=repr)
def test_derivatives_agree_with_finite_differences(spec, shape):
  layer = build(spec, shape)
  if layer.bias is not None:
    layer.bias.assign(normal(*layer.bias.shape))
  layer_derivatives(layer, normal(2, *shape))


def test_the_derivative_of_dropout_agrees_with_finite_differences():
  layer_derivatives(build(Dropout(0.4), (3, 4)), normal(2, 3, 4), randomness.stream(0, "dropout"))


@pytest.mark.parametrize("spec, inverse, shape", [
    (Dense(3), Dense(4, activation="tanh"), (4,)),
    (Conv2D(2, 3, 2), Conv2DTranspose(1, 3, 2, output_size=(5, 4)), (5, 4, 1)),
    (Conv2DTranspose(2, 3, 2), Conv2D(1, 3, 2), (3, 2, 1)),
], ids=repr)
def test_the_derivative_of_a_shared_kernel_agrees_with_finite_differences(spec, inverse, shape):
  first = build(spec, shape)
  second = build(inverse, first.output_shape, path="decoder/layer_0", kernel=first.kernel)

  def function(x, kernel):
    return with_values(second, kernel=kernel)(with_values(first, kernel=kernel)(x))

  check_derivatives(function, [normal(2, *shape), first.kernel.numpy()])


def test_a_dense_layer_is_its_formula_and_a_tied_one_uses_the_transpose():
  first = build(Dense(3, activation="tanh"), (4,))
  first.bias.assign(normal(3))
  second = build(Dense(4), (3,), kernel=first.kernel)
  second.bias.assign(normal(4))
  x = normal(2, 4)
  code = np.tanh(x @ first.kernel.numpy() + first.bias.numpy())
  np.testing.assert_allclose(first(tf.constant(x)), code, atol=1e-12)
  np.testing.assert_allclose(second(tf.constant(code)),
                             code @ first.kernel.numpy().T + second.bias.numpy(), atol=1e-12)


def test_a_bias_is_added_to_each_channel_of_a_convolution():
  layer = build(Conv2D(3, 2, activation="relu"), (4, 4, 2))
  plain = build(Conv2D(3, 2, use_bias=False), (4, 4, 2), kernel=layer.kernel)
  layer.bias.assign([-1., 0., 2.])
  x = tf.constant(normal(2, 4, 4, 2))
  np.testing.assert_allclose(layer(x), np.maximum(plain(x) + np.array([-1., 0., 2.]), 0))


def test_flatten_and_reshape_keep_row_major_order():
  x = tf.constant(normal(2, 3, 4, 2))
  flat = build(Flatten(), (3, 4, 2))(x)
  np.testing.assert_array_equal(flat, x.numpy().reshape(2, 24))
  np.testing.assert_array_equal(build(Reshape((3, 4, 2)), (24,))(flat), x)


def test_variables_are_named_by_their_path_and_typed_as_told():
  layer = build(Conv2D(3, 2), (4, 4, 2), tf.float32)
  assert [v.name for v in layer.own_variables] == ["encoder/layer_0/kernel:0",
                                                   "encoder/layer_0/bias:0"]
  assert {v.dtype for v in layer.own_variables} == {tf.float32}
  assert layer.kernel.shape == (2, 2, 2, 3)
  np.testing.assert_array_equal(layer.bias, np.zeros(3))
  assert (layer.input_shape, layer.output_shape, layer.tied) == ((4, 4, 2), (4, 4, 3), False)


@pytest.mark.parametrize("spec", [MaxPool(), Upsample(), Flatten(), Reshape((32,)),
                                  Activation("relu"), Dropout(0.5)], ids=repr)
def test_the_other_layers_have_no_variables(spec):
  layer = build(spec, (4, 4, 2))
  assert layer.variables == () and layer.kernel is None and layer.bias is None


def test_a_tied_layer_owns_its_bias_only():
  first = build(Dense(3), (4,))
  second = build(Dense(4), (3,), path="decoder/layer_0", kernel=first.kernel)
  assert second.kernel is first.kernel and second.tied
  assert [v.name for v in second.own_variables] == ["decoder/layer_0/bias:0"]


@pytest.mark.parametrize("spec, shape, message", [
    (Dense(5), (3,), r"decoder/layer_0: can't share encoder/layer_0/kernel:0 of shape \(4, 3\); "
                     r"Dense needs \(5, 3\)"),
    (Conv2D(3, 4), (5, 5, 1), r"Conv2D needs \(4, 4, 1, 3\)"),
    (Flatten(), (5, 5, 1), "Flatten has no kernel"),
])
def test_a_kernel_that_does_not_fit_is_refused(spec, shape, message):
  kernel = build(Dense(3), (4,)).kernel
  with pytest.raises(errors.InputError, match=message):
    build(spec, shape, path="decoder/layer_0", kernel=kernel)


def test_a_transposed_convolution_starts_with_the_spread_of_its_own_fans():
  # lecun: variance 1 / (3 * 3 * 40 input channels), not 1 / (3 * 3 * 5 filters).
  layer = build(Conv2DTranspose(5, 3, kernel_initializer="lecun_normal"), (4, 4, 40))
  assert abs(layer.kernel.numpy().std() * math.sqrt(360) - 1) < 0.1


def test_first_values_are_a_function_of_seed_and_name():
  make = lambda **options: build(Dense(3, kernel_initializer=Normal(1.)), (4,), **options).kernel
  np.testing.assert_array_equal(make(), make())
  assert not np.array_equal(make(), make(seed=2))
  assert not np.array_equal(make(), make(path="encoder/layer_1"))


def test_dropout_needs_a_key_and_keeps_the_mean():
  layer = build(Dropout(0.25), (100, 100))
  x = tf.ones((1, 100, 100), tf.float64)
  np.testing.assert_array_equal(layer(x), x)
  found = layer(x, randomness.stream(0, "dropout")).numpy()
  np.testing.assert_allclose(np.unique(found), [0, 4 / 3])
  assert abs(np.mean(found == 0) - 0.25) < 5 * math.sqrt(0.25 * 0.75) / 100
  np.testing.assert_array_equal(layer(x, randomness.stream(0, "dropout")), found)
  assert not np.array_equal(layer(x, randomness.stream(1, "dropout")), found)


def test_dropout_is_the_same_with_xla_and_without():
  layer = build(Dropout(0.5), (50,), tf.float32)
  key = randomness.stream(0, "dropout")
  compiled = tf.function(lambda x: layer(x, key), jit_compile=True, autograph=False)
  np.testing.assert_array_equal(compiled(tf.ones((4, 50))), layer(tf.ones((4, 50)), key))


@pytest.mark.parametrize("rate", [0, 0.0])
def test_dropout_of_rate_zero_changes_nothing(rate):
  x = tf.constant(normal(2, 5))
  np.testing.assert_array_equal(build(Dropout(rate), (5,))(x, randomness.stream(0, "a")), x)
