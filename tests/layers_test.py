"""Layers: their variables, and their derivatives against finite differences in float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, layers, randomness
from tfae.specs.layers import (ACTIVATIONS, LAYERS, Activation, BatchNorm, Branch, Conv2D,
                               Conv2DTranspose, Dense, Dropout, Flatten, LayerNorm, MaxPool, Normal,
                               Reshape, Upsample)

KEY = randomness.stream(0, "dropout")


def build(spec, input_shape, dtype=tf.float64, **options):
  options = {"path": "encoder/layer_0", "seed": 1, **options}
  return layers.make(spec, input_shape, dtype=dtype, **options)


def normal(*shape):
  return np.random.default_rng(len(shape)).normal(size=shape)


def check_derivatives(function, x, variables, step=1e-5):
  """Compares the tape with central differences, for every value of x and of every variable.

  Args:
    function: from a float64 tensor to one; what it returns is weighed with fixed random numbers.
    x: float64 array.
    variables: of float64, that `function` uses.
    step: the error is of the order of its square.
  """
  weights = np.random.default_rng(9).normal(size=function(tf.constant(x)).shape)
  scalar = tf.function(lambda x: tf.reduce_sum(function(x) * weights), autograph=False)
  argument = tf.Variable(x)
  arguments = [argument, *variables]
  with tf.GradientTape() as tape:
    loss = scalar(argument.value())
  for variable, found in zip(arguments, tape.gradient(loss, arguments)):
    value = variable.numpy()
    expected = np.zeros_like(value)
    for index in np.ndindex(value.shape):
      sides = []
      for sign in (1, -1):
        moved = value.copy()
        moved[index] += sign * step
        variable.assign(moved)
        sides.append(scalar(argument.value()))
      expected[index] = (sides[0] - sides[1]) / (2 * step)
    variable.assign(value)
    assert np.abs(expected).max() > 1e-3, variable.name  # or there is nothing to compare
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=variable.name)


def give_values(layer):
  """Moves the variables away from where they start: biases of 0 hide what they should do."""
  random = np.random.default_rng(4)
  for variable in layer.variables:
    if variable.shape.rank == 1:
      variable.assign(random.uniform(0.5, 2, variable.shape))


# Every kind of layer: (spec, shape of its input).
KINDS = [
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
    (Dropout(0.4), (3, 4)),
    *((Activation(name), (3, 2)) for name in ACTIVATIONS),
    (BatchNorm(), (3,)),
    (BatchNorm(0.5, epsilon=0.1), (2, 3, 2)),
    (BatchNorm(center=False), (2, 2)),
    (BatchNorm(scale=False), (3,)),
    (LayerNorm(), (4,)),
    (LayerNorm(epsilon=0.1), (2, 2, 3)),
    (LayerNorm(center=False), (4,)),
    (LayerNorm(scale=False), (4,)),
    (Branch(((Conv2D(2, 1),), (Conv2D(2, 3, activation="tanh"),))), (3, 3, 2)),
    (Branch(((Dense(2, use_bias=False), BatchNorm(), Dropout(0.3)), (), (Dense(3),)), "concat"),
     (3,)),
    (Branch(((Branch(((Dense(3, activation="tanh"), Dense(2)), ()), "concat"), Dense(2)), ())),
     (2,)),
]


@pytest.mark.parametrize("spec, shape", KINDS, ids=repr)
def test_derivatives_agree_with_finite_differences(spec, shape):
  layer = build(spec, shape)
  give_values(layer)
  weights = tf.constant([1.0, 0.0, 1.0, 1.0])
  check_derivatives(lambda x: layer(x, KEY, weights), normal(4, *shape), layer.own_variables)
  if isinstance(spec, (BatchNorm, Branch)):
    check_derivatives(layer, normal(4, *shape), layer.own_variables)


def test_every_kind_of_layer_is_among_those_whose_derivatives_are_looked_at():
  assert {type(spec).__name__ for spec, _ in KINDS} == set(LAYERS)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("spec, shape", [
    (BatchNorm(0.5), (2, 3, 2)), (LayerNorm(), (4,)),
    (Branch(((Conv2D(2, 3, use_bias=False), BatchNorm(), Dropout(0.3)),
             (Branch(((LayerNorm(),), ()), "concat"), Conv2D(2, 1)))), (3, 3, 2))], ids=repr)
def test_xla_gives_the_same_outputs_derivatives_and_averages(spec, shape, dtype):
  layer = build(spec, shape, tf.float32)
  x, weights = tf.constant(normal(4, *shape), dtype), tf.constant([1.0, 1.0, 0.0, 1.0])

  def step(x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layer(x, KEY, weights)
      loss = tf.reduce_sum(tf.square(tf.cast(y, tf.float32)) * tf.constant(normal(*y.shape),
                                                                           tf.float32))
    return [y, *tape.gradient(loss, [x, *layer.own_variables])]

  results = []
  for jit in (False, True):
    give_values(layer)
    found = tf.function(step, jit_compile=jit, autograph=False)(x)
    results.append([tf.cast(value, tf.float32).numpy() for value in (*found, *layer.variables)])
  for one, other in zip(*results):
    near = 1e-5 if dtype == tf.float32 else 0.05
    np.testing.assert_allclose(one, other, rtol=near, atol=near * max(1, np.abs(one).max()))


@pytest.mark.parametrize("spec, inverse, shape", [
    (Dense(3), Dense(4, activation="tanh"), (4,)),
    (Conv2D(2, 3, 2), Conv2DTranspose(1, 3, 2, output_size=(5, 4)), (5, 4, 1)),
    (Conv2DTranspose(2, 3, 2), Conv2D(1, 3, 2), (3, 2, 1)),
], ids=repr)
def test_the_derivative_of_a_shared_kernel_agrees_with_finite_differences(spec, inverse, shape):
  first = build(spec, shape)
  second = build(inverse, first.output_shape, path="decoder/layer_0", kernel=first.kernel)

  check_derivatives(lambda x: second(first(x)), normal(2, *shape), [first.kernel])


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


@pytest.mark.parametrize("rate", [0, 0.0, 1e-17])
def test_dropout_of_a_rate_that_is_nothing_beside_1_changes_nothing(rate):
  x = tf.constant(normal(100, 100))
  np.testing.assert_array_equal(build(Dropout(rate), (100,))(x, randomness.stream(0, "a")), x)


def numpy_moments(rows):
  """(mean, variance divided by n, variance divided by n - 1) of each channel, in plain loops."""
  rows = rows.reshape(-1, rows.shape[-1])
  mean = [sum(column) / len(column) for column in rows.T]
  squares = [sum((v - m) ** 2 for v in column) for column, m in zip(rows.T, mean)]
  return (np.array(mean), np.array(squares) / len(rows), np.array(squares) / (len(rows) - 1))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_batch_norm_is_numpy_s_over_the_examples_and_not_over_the_padding(shape):
  layer = build(BatchNorm(0.9, epsilon=0.01), shape)
  layer.gamma.assign([1.0, -2.0, 0.5])
  layer.beta.assign([0.0, 3.0, -1.0])
  layer.moving_mean.assign([1.0, 2.0, 3.0])
  layer.moving_variance.assign([4.0, 5.0, 6.0])
  x = normal(6, *shape) * 3 + 5
  mean, variance, unbiased = numpy_moments(x[:4])
  for padding in (0.0, 1e3):
    layer.moving_mean.assign([1.0, 2.0, 3.0])
    layer.moving_variance.assign([4.0, 5.0, 6.0])
    x[4:] = padding
    found = layer(tf.constant(x), KEY, tf.constant([1.0, 1.0, 1.0, 1.0, 0.0, 0.0]))
    expected = (x - mean) / np.sqrt(variance + 0.01) * [1, -2, 0.5] + [0, 3, -1]
    np.testing.assert_allclose(found[:4], expected[:4], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * np.array([1, 2, 3]) + 0.1 * mean)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * np.array([4, 5, 6]) + 0.1 * unbiased)


def test_batch_norm_without_weights_takes_every_row_for_an_example():
  ones, none = build(BatchNorm(), (3,)), build(BatchNorm(), (3,))
  x = tf.constant(normal(5, 3))
  np.testing.assert_array_equal(ones(x, KEY, tf.ones(5)), none(x, KEY))
  np.testing.assert_array_equal(ones.moving_variance, none.moving_variance)
  np.testing.assert_allclose(none.moving_mean, 0.01 * x.numpy().mean(axis=0))


def test_weights_of_another_batch_are_an_error_and_not_spread_over_it():
  with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
    build(BatchNorm(), (3,))(tf.constant(normal(5, 3)), KEY, tf.ones(1))


def test_outside_training_batch_norm_takes_the_moving_averages_and_leaves_them():
  layer = build(BatchNorm(epsilon=0.01, center=False), (3,))
  give_values(layer)
  mean, variance, gamma = (v.numpy() for v in (layer.moving_mean, layer.moving_variance,
                                               layer.gamma))
  x = normal(5, 3)
  np.testing.assert_allclose(layer(tf.constant(x), None, tf.zeros(5)),
                             (x - mean) / np.sqrt(variance + 0.01) * gamma, atol=1e-12)
  np.testing.assert_array_equal(layer.moving_mean, mean)
  np.testing.assert_array_equal(layer.moving_variance, variance)


def test_one_vector_normalises_to_beta_and_moves_no_average_to_infinity():
  layer = build(BatchNorm(0.5), (3,))
  np.testing.assert_array_equal(layer(tf.constant(normal(1, 3)), KEY), np.zeros((1, 3)))
  np.testing.assert_array_equal(layer.moving_variance, [0.5] * 3)


def test_layer_norm_is_numpy_s_along_the_last_axis_in_and_outside_training():
  layer = build(LayerNorm(epsilon=0.01), (2, 2, 5))
  layer.gamma.assign([1.0, 2.0, 3.0, 4.0, 5.0])
  layer.beta.assign([5.0, 4.0, 3.0, 2.0, 1.0])
  x = normal(3, 2, 2, 5) * 2 + 7
  expected = np.zeros_like(x)
  for at in np.ndindex(3, 2, 2):
    mean, variance, _ = numpy_moments(x[at][:, None])
    expected[at] = (x[at] - mean) / np.sqrt(variance + 0.01) * [1, 2, 3, 4, 5] + [5, 4, 3, 2, 1]
  for key in (None, KEY):
    np.testing.assert_allclose(layer(tf.constant(x), key), expected, rtol=1e-12)


@pytest.mark.parametrize("spec", [BatchNorm(), LayerNorm()])
def test_in_bfloat16_the_statistics_are_float32(spec):
  half, full = build(spec, (64,), tf.float32), build(spec, (64,), tf.float32)
  x = tf.constant(normal(500, 64) + 30, tf.bfloat16)
  found, expected = half(x, KEY), full(tf.cast(x, tf.float32), KEY)
  assert found.dtype == tf.bfloat16 and expected.dtype == tf.float32
  np.testing.assert_array_equal(found, tf.cast(expected, tf.bfloat16))
  assert {v.dtype for v in half.variables} == {tf.float32}
  for one, other in zip(half.variables, full.variables):
    np.testing.assert_array_equal(one, other)


def test_the_averages_of_batch_norm_are_no_trained_variables_and_all_have_names():
  layer = build(BatchNorm(), (4, 4, 2), tf.float32)
  assert [v.name for v in layer.own_variables] == ["encoder/layer_0/gamma:0",
                                                   "encoder/layer_0/beta:0"]
  assert {v.name: v.trainable for v in layer.variables} == {
      "encoder/layer_0/gamma:0": True, "encoder/layer_0/beta:0": True,
      "encoder/layer_0/moving_mean:0": False, "encoder/layer_0/moving_variance:0": False}
  assert len(build(LayerNorm(scale=False), (4,)).variables) == 1


def test_a_branch_is_the_sum_or_the_concatenation_of_its_branches():
  for merge, merged in (("sum", sum), ("concat", lambda parts: np.concatenate(parts, -1))):
    layer = build(Branch(((Conv2D(2, 1),), (Conv2D(2, 3, activation="relu"), MaxPool(1)), ()),
                         merge), (4, 4, 2))
    give_values(layer)
    (first,), (second, _), _ = layer.branches
    x = tf.constant(normal(3, 4, 4, 2))
    np.testing.assert_allclose(layer(x), merged([first(x).numpy(), second(x).numpy(), x.numpy()]),
                               atol=1e-14)


def test_variables_in_branches_are_named_by_branch_and_layer():
  layer = build(Branch(((Dense(3), BatchNorm()), (Branch(((Dense(3, use_bias=False),), ())),))),
                (3,))
  assert [v.name for v in layer.own_variables] == [
      f"encoder/layer_0/{name}:0" for name in (
          "branch_0/layer_0/kernel", "branch_0/layer_0/bias", "branch_0/layer_1/gamma",
          "branch_0/layer_1/beta", "branch_1/layer_0/branch_0/layer_0/kernel")]
  own = {v.ref() for v in layer.own_variables}
  assert {v.name for v in layer.variables if v.ref() not in own} == {
      "encoder/layer_0/branch_0/layer_1/moving_mean:0",
      "encoder/layer_0/branch_0/layer_1/moving_variance:0"}
  first, _, _, _, second = layer.own_variables
  assert not np.array_equal(first, second)  # equal specs start differently


def test_dropout_draws_other_numbers_in_every_branch_at_every_depth():
  drop = Dropout(0.5)
  spec = Branch(((drop,), (drop,), (Activation("linear"), drop),
                 (Branch(((drop,), (drop,)), "concat"),)), "concat")
  found = build(spec, (200,))(tf.ones((1, 200), tf.float64), KEY).numpy().reshape(5, 200)
  assert set(np.unique(found)) == {0, 2}
  agreement = np.array([[(a == b).mean() for b in found] for a in found])
  assert (np.abs(agreement - 0.5)[~np.eye(5, dtype=bool)] < 0.2).all()
  # Nor are two in one branch the same: a quarter survives both, not a half.
  twice = build(Branch(((drop, drop),)), (200,))(tf.ones((1, 200), tf.float64), KEY).numpy()
  assert set(np.unique(twice)) == {0, 4} and abs((twice > 0).mean() - 0.25) < 0.15
  np.testing.assert_array_equal(
      found, build(spec, (200,))(tf.ones((1, 200), tf.float64), KEY).numpy().reshape(5, 200))
