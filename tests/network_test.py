"""Stacks and their mirrors: names, devices, summaries, and one variable for a tied kernel."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, graph, network
from tfae.specs.layers import (Activation, BatchNorm, Branch, Conv2D, Conv2DTranspose, Dense,
                               Dropout, Flatten, LayerNorm, MaxPool, Reshape)

CONV_DENSE = [Conv2D(3, 3, 2, activation="tanh"), MaxPool(2), Flatten(),
              Dense(5, activation="tanh"), Dense(2)]
SHAPE = (7, 6, 1)
# Normalisation, a branch, and normalisation and dropout inside one.
BRANCHED = [Conv2D(3, 3, 2, use_bias=False), BatchNorm(0.8), Activation("tanh"),
            Branch(((Conv2D(3, 3, use_bias=False), BatchNorm(0.5), Dropout(0.3)), ())),
            Flatten(), LayerNorm(), Dense(2)]


def names(stack):
  return [v.name for v in stack.own_variables]


def lines(printer):
  found = []
  printer.summary(found.append)
  return found


def test_variables_are_named_by_stack_layer_and_role_and_exist_at_once():
  encoder = network.Stack(CONV_DENSE, SHAPE)
  assert names(encoder) == [
      "encoder/layer_0/kernel:0", "encoder/layer_0/bias:0", "encoder/layer_3/kernel:0",
      "encoder/layer_3/bias:0", "encoder/layer_4/kernel:0", "encoder/layer_4/bias:0"]
  assert [tuple(v.shape) for v in encoder.own_variables] == [
      (3, 3, 1, 3), (3,), (12, 5), (5,), (5, 2), (2,)]
  assert names(network.Stack([Dense(2)], (3,), name="classifier/head")) == [
      "classifier/head/layer_0/kernel:0", "classifier/head/layer_0/bias:0"]
  encoder(tf.ones((1, *SHAPE)))
  assert len(encoder.variables) == 6


def test_a_stack_is_its_layers_one_after_the_other():
  stack = network.Stack([Dense(5, activation="tanh"), Dense(2)], (3,), compute_dtype="float64")
  kernel_0, bias_0, kernel_1, bias_1 = (v.numpy() for v in stack.own_variables)
  x = np.random.default_rng(0).normal(size=(4, 3))
  np.testing.assert_allclose(stack(x), np.tanh(x @ kernel_0 + bias_0) @ kernel_1 + bias_1,
                             atol=1e-13)
  assert (stack.input_shape, stack.output_shape) == ((3,), (2,))


def test_a_seed_decides_the_weights_and_another_gives_others():
  def kernels(seed):
    return [v.numpy() for v in network.Stack(CONV_DENSE, SHAPE, seed=seed).own_variables
            if v.shape.rank > 1]
  for a, b, c in zip(kernels(7), kernels(7), kernels(8)):
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_equal_layers_of_one_stack_start_differently():
  first, second = network.Stack([Dense(4, use_bias=False)] * 2, (4,)).own_variables
  assert not np.array_equal(first, second)


@pytest.mark.parametrize("compute, variables", [("float32", tf.float32), ("bfloat16", tf.float32),
                                                ("float64", tf.float64)])
def test_the_compute_dtype_is_that_of_the_output_and_weights_have_32_bits_at_least(compute,
                                                                                   variables):
  stack = network.Stack(CONV_DENSE, SHAPE, compute_dtype=compute)
  decoder = network.mirror(stack, tied=False)
  codes = stack(tf.ones((2, *SHAPE)))
  assert codes.dtype == compute and decoder(codes).dtype == compute
  assert {v.dtype for v in (*stack.variables, *decoder.variables)} == {variables}


def test_dropout_acts_with_a_key_only_and_each_layer_has_its_own_noise():
  stack = network.Stack([Dropout(0.5), Activation("linear"), Dropout(0.5)], (400,))
  x = tf.ones((1, 400))
  np.testing.assert_array_equal(stack(x), x)
  found = stack(x, tf.constant([1, 2], tf.int64)).numpy()
  # Were both masks the same, half would survive, with value 4; a quarter does.
  assert set(np.unique(found)) == {0, 4} and abs((found > 0).mean() - 0.25) < 0.1
  np.testing.assert_array_equal(found, stack(x, tf.constant([1, 2], tf.int64)))
  assert not np.array_equal(found, stack(x, tf.constant([1, 3], tf.int64)))


def test_a_tied_kernel_is_one_variable():
  encoder = network.Stack(CONV_DENSE, SHAPE)
  decoder = network.mirror(encoder)
  pairs = [(decoder.layers[0], 4), (decoder.layers[1], 3), (decoder.layers[4], 0)]
  for layer, source in pairs:
    assert layer.kernel is encoder.layers[source].kernel and layer.tied
  # Both stacks know the three kernels; there are three, and a bias for each of the six layers.
  assert len({v.ref() for v in (*encoder.variables, *decoder.variables)}) == 3 + 6
  assert len(encoder.own_variables) + len(decoder.own_variables) == 3 + 6
  assert names(decoder) == ["decoder/layer_0/bias:0", "decoder/layer_1/bias:0",
                            "decoder/layer_4/bias:0"]
  before = decoder(tf.ones((1, 2))).numpy()
  encoder.layers[3].kernel.assign_add(tf.ones((12, 5)))
  assert not np.array_equal(before, decoder(tf.ones((1, 2))))


@pytest.mark.parametrize("specs, shape", [
    ([Dense(5, activation="tanh"), Dense(3)], (7,)), (CONV_DENSE, SHAPE),
    ([Conv2DTranspose(3, 3, 2, activation="tanh"), Conv2D(2, 2, 1, "valid")], (3, 2, 2))],
                         ids=["dense", "conv", "transpose"])
def test_a_tied_gradient_is_the_sum_of_both_uses(specs, shape):
  encoder = network.Stack(specs, shape, compute_dtype="float64")
  tied = network.mirror(encoder)
  untied = network.mirror(encoder, tied=False)
  for layer, other in zip(untied.layers, tied.layers):
    if layer.kernel is not None:
      # A dense layer of its own is W, a tied one W^T.
      value = other.kernel.numpy()
      layer.kernel.assign(value.T if isinstance(layer.spec, Dense) else value)
  x = tf.constant(np.random.default_rng(0).normal(size=(3, *shape)))

  def gradients(decoder, variables):
    with tf.GradientTape() as tape:
      reconstruction = decoder(encoder(x))
      loss = tf.reduce_sum(tf.square(reconstruction - x))
    return reconstruction, tape.gradient(loss, variables)

  kernels = [layer.kernel for layer in encoder.layers if layer.kernel is not None]
  reconstruction, together = gradients(tied, kernels)
  own = [layer.kernel for layer in reversed(untied.layers) if layer.kernel is not None]
  same, apart = gradients(untied, kernels + own)
  np.testing.assert_allclose(reconstruction, same, atol=1e-12)
  for total, first, second in zip(together, apart, apart[len(kernels):]):
    if total.shape.rank == 2:
      second = tf.transpose(second)
    assert np.abs(first).max() > 1e-3 and np.abs(second).max() > 1e-3
    np.testing.assert_allclose(total, first + second, rtol=1e-9, atol=1e-11)


def test_an_untied_mirror_has_kernels_of_its_own():
  encoder = network.Stack(CONV_DENSE, SHAPE)
  decoder = network.mirror(encoder, tied=False)
  assert names(decoder) == [f"decoder/layer_{i}/{role}:0" for i in (0, 1, 4)
                            for role in ("kernel", "bias")]
  assert not {v.ref() for v in encoder.variables} & {v.ref() for v in decoder.variables}
  # Dense kernels are stored as (in, out), those of convolutions as the encoder's.
  assert [tuple(v.shape) for v in decoder.own_variables if v.shape.rank > 1] == [
      (2, 5), (5, 12), (3, 3, 1, 3)]


@pytest.mark.parametrize("tied", [(), (0,), [3], (0, 4), (4, 3, 0), {3, 0}])
def test_a_mixture_shares_the_named_layers_and_no_others(tied):
  encoder = network.Stack(CONV_DENSE, SHAPE)
  decoder = network.mirror(encoder, tied=tied)
  for layer, source in zip(decoder.layers, [4, 3, None, None, 0]):
    assert layer.tied == (source in tied)
    if layer.tied:
      assert layer.kernel is encoder.layers[source].kernel
  assert decoder(encoder(tf.ones((2, *SHAPE)))).shape == (2, *SHAPE)


@pytest.mark.parametrize("tied, message", [
    ((1,), r"mirror: tied=\(1,\): encoder layer 1 has no kernel; those with one are \[0, 3, 4\]"),
    ((7,), "encoder layer 7 has no kernel"), (("0",), "encoder layer '0' has no kernel"),
    ((-1,), "encoder layer -1 has no kernel"), ("yes", "mirror: tied='yes'"),
    (1, "mirror: tied=1: expected True, False or the indices"), (None, "mirror: tied=None"),
])
def test_a_mixture_that_cannot_be_is_refused(tied, message):
  with pytest.raises(errors.InputError, match=message):
    network.mirror(network.Stack(CONV_DENSE, SHAPE), tied=tied)


def test_a_mirror_takes_device_and_dtype_from_its_encoder_unless_told():
  encoder = network.Stack([Dense(3)], (4,), device="/CPU:1", compute_dtype="bfloat16")
  decoder = network.mirror(encoder)
  assert (decoder.device, decoder.compute_dtype) == ("/device:CPU:1", tf.bfloat16)
  other = network.mirror(encoder, device="CPU:2", name="other")
  assert other.device == "/device:CPU:2" and names(other) == ["other/layer_0/bias:0"]
  assert other.own_variables[0].device.endswith("CPU:2")
  assert other.layers[0].kernel.device.endswith("CPU:1")


def test_summary_prints_layer_shape_parameters_device_and_what_is_tied():
  encoder = network.Stack(CONV_DENSE, SHAPE, device="/CPU:1")
  assert lines(encoder) == [
      "layer                    output shape  parameters  device  tied to",
      "encoder/layer_0 Conv2D   4 x 3 x 3     30          /CPU:1",
      "encoder/layer_1 MaxPool  2 x 2 x 3     0           /CPU:1",
      "encoder/layer_2 Flatten  12            0           /CPU:1",
      "encoder/layer_3 Dense    5             65          /CPU:1",
      "encoder/layer_4 Dense    2             12          /CPU:1",
      "107 parameters in 6 variables"]
  assert lines(network.mirror(encoder, tied=(0, 4), device="/CPU:2"))[1:] == [
      "decoder/layer_0 Dense            5             5           /CPU:2  encoder/layer_4/kernel",
      "decoder/layer_1 Dense            12            72          /CPU:2",
      "decoder/layer_2 Reshape          2 x 2 x 3     0           /CPU:2",
      "decoder/layer_3 Upsample         4 x 3 x 3     0           /CPU:2",
      "decoder/layer_4 Conv2DTranspose  7 x 6 x 1     1           /CPU:2  encoder/layer_0/kernel",
      "78 parameters in 4 variables"]


def test_thousands_are_separated_in_the_summary():
  assert lines(network.Stack([Dense(512, use_bias=False)], (784,), device="/CPU:0"))[1:] == [
      "encoder/layer_0 Dense  512           401,408     /CPU:0",
      "401,408 parameters in 1 variables"]


@pytest.mark.parametrize("make, message", [
    (lambda: network.Stack([Dense(3)], (4,), device="/GPU:7"),
     "encoder: device='/GPU:7': no such device here.*/CPU:0, /CPU:1, /CPU:2, /CPU:3"),
    (lambda: network.Stack([Dense(3)], (4,), device="gpu zero", name="decoder"),
     "decoder: device='gpu zero': not a device name"),
    (lambda: network.Stack([Dense(3)], (4,), seed=-1), "Stack.seed=-1"),
    (lambda: network.Stack([Dense(3)], (4,), seed=0.5), "Stack.seed=0.5"),
    (lambda: network.Stack([Dense(3)], (4,), compute_dtype="float16"),
     "Stack.compute_dtype='float16'"),
    (lambda: network.Stack([Dense(3)], (4,), compute_dtype=tf.float32), "Stack.compute_dtype="),
    (lambda: network.Stack([Dense(3), Conv2D(2, 2)], (4,)), r"encoder\[1\]: Conv2D"),
    (lambda: network.Stack([], (4,)), "non-empty"),
    (lambda: network.Stack([Dense(3)], 784), "input_shape=784: expected a tuple"),
    (lambda: network.Stack([Dense(3)], (4,), name="my encoder"), "Stack.name='my encoder'"),
    (lambda: network.Stack([Dense(3)], (4,), name=""), "Stack.name=''"),
    (lambda: network.Stack([Dense(3)], (4,), name=None), "Stack.name=None"),
    (lambda: network.Stack([Dense(3)], (4,), kernels={1: tf.Variable(tf.ones((3, 4)))}),
     r"Stack.kernels: there is no layer 1"),
    (lambda: network.Stack([Reshape((2, 2, 1))], (4,), kernels={0: tf.Variable(1.)}),
     "encoder/layer_0.*Reshape has no kernel"),
    (lambda: network.mirror(network.Stack([Dense(3)], (4,)), device="/GPU:3"),
     "decoder: device='/GPU:3'"),
    (lambda: network.mirror(network.Stack([Dense(3)], (4,)), output_activation="sigmod"),
     "output_activation='sigmod'"),
])
def test_a_bad_argument_is_refused(make, message):
  with pytest.raises(errors.InputError, match=message):
    make()


def test_a_stack_is_on_its_device_and_runs_there():
  stack = network.Stack([Dense(3)], (4,), device="CPU:3")
  assert {v.device for v in stack.variables} == {"/job:localhost/replica:0/task:0/device:CPU:3"}
  assert stack(tf.ones((1, 4))).device.endswith("CPU:3")


def test_a_summary_lists_the_layers_of_branches_below_the_branch():
  assert lines(network.Stack(BRANCHED, SHAPE, device="/CPU:0"))[3:] == [
      "encoder/layer_2 Activation                  4 x 3 x 3     0           /CPU:0",
      "encoder/layer_3 Branch (sum of 2)           4 x 3 x 3     0           /CPU:0",
      "encoder/layer_3/branch_0/layer_0 Conv2D     4 x 3 x 3     81          /CPU:0",
      "encoder/layer_3/branch_0/layer_1 BatchNorm  4 x 3 x 3     6           /CPU:0",
      "encoder/layer_3/branch_0/layer_2 Dropout    4 x 3 x 3     0           /CPU:0",
      "encoder/layer_4 Flatten                     36            0           /CPU:0",
      "encoder/layer_5 LayerNorm                   36            72          /CPU:0",
      "encoder/layer_6 Dense                       2             74          /CPU:0",
      "266 parameters in 10 variables"]


@pytest.mark.parametrize("jit", [False, True])
def test_moving_averages_go_on_in_every_step_of_a_loop_with_xla_and_without(jit):
  stack = network.Stack([BatchNorm(0.9), Branch(((BatchNorm(0.5),), ()))], (3,))
  batches = np.random.default_rng(0).normal(2, 3, (7, 5, 3)).astype(np.float32)
  weights = np.ones((7, 5), np.float32)
  weights[6, 3:] = 0  # a last batch with padding

  @tf.function(jit_compile=jit, autograph=False)
  def steps(count):
    def body(i, total):
      return i + 1, total + tf.reduce_sum(stack(tf.constant(batches)[i], tf.stack([i, i]),
                                                tf.constant(weights)[i]))
    return tf.while_loop(lambda i, _: i < count, body, (tf.constant(0, tf.int64), 0.0))

  steps(tf.constant(7, tf.int64))
  mean, variance, inner = np.zeros(3), np.ones(3), np.ones(3)
  for batch, weight in zip(batches, weights):
    rows = batch[weight > 0].astype(np.float64)
    mean = 0.9 * mean + 0.1 * rows.mean(axis=0)
    variance = 0.9 * variance + 0.1 * rows.var(axis=0, ddof=1)
    normal = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-3)
    inner = 0.5 * inner + 0.5 * normal.var(axis=0, ddof=1)
  outer_layer, ((inner_layer,), _) = stack.layers[0], stack.layers[1].branches
  np.testing.assert_allclose(outer_layer.moving_mean, mean, rtol=1e-5)
  np.testing.assert_allclose(outer_layer.moving_variance, variance, rtol=1e-5)
  np.testing.assert_allclose(inner_layer.moving_mean, np.zeros(3), atol=1e-6)
  np.testing.assert_allclose(inner_layer.moving_variance, inner, rtol=1e-5)


def test_a_stack_without_a_key_assigns_nothing_and_freezes_to_a_graph_without_assignments():
  stack = network.Stack(BRANCHED, SHAPE)
  x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
  for step in range(20):
    stack(x, tf.constant([0, step], tf.int64))
  before = [v.numpy() for v in stack.variables]
  signature = graph.Signature(
      lambda images: {"codes": stack(images)},
      {"images": graph.Input(tf.TensorSpec([None, *SHAPE], tf.float32), "images")},
      {"codes": "codes"})
  frozen = graph.freeze({"encode": signature}).graph_def
  assert not [op for _, op, _ in graph.list_ops(frozen) if re.search("Assign|Var|Resource", op)]
  np.testing.assert_allclose(graph.fetch(frozen, "encode/codes", {"images": x}), stack(x),
                             atol=1e-5)
  for value, variable in zip(before, stack.variables):
    np.testing.assert_array_equal(value, variable)


def test_the_outputs_of_single_layers_are_those_of_the_whole_in_training_too():
  key, weights = tf.constant([1, 2], tf.int64), tf.constant([1.0, 1.0, 0.0])
  stack = network.Stack(BRANCHED, SHAPE)
  x = tf.constant(np.random.default_rng(0).normal(size=(3, *SHAPE)), tf.float32)
  for arguments in ((), (key, weights)):
    whole, single = stack(x, *arguments), x
    for index in range(len(BRANCHED)):
      single = stack.layer_output(index, single, *arguments)
    np.testing.assert_array_equal(whole, single)
  assert not np.allclose(stack(x, key, weights), stack(x, key))


def test_a_checkpoint_holds_the_moving_averages_of_branches_too(tmp_path):
  stack, other = network.Stack(BRANCHED, SHAPE), network.Stack(BRANCHED, SHAPE, seed=1)
  x = tf.constant(np.random.default_rng(0).normal(size=(3, *SHAPE)), tf.float32)
  stack(x, tf.constant([1, 2], tf.int64))
  path = tf.train.Checkpoint(model=stack).write(str(tmp_path / "ckpt"))
  assert not np.allclose(stack(x), other(x))
  tf.train.Checkpoint(model=other).read(path).assert_consumed()
  np.testing.assert_array_equal(stack(x), other(x))
  assert {v.name for v in stack.variables} - {v.name for v in stack.own_variables} == {
      f"encoder/{layer}/moving_{moment}:0" for moment in ("mean", "variance")
      for layer in ("layer_1", "layer_3/branch_0/layer_1")}


def test_the_shapes_of_all_values_are_known_those_inside_branches_too():
  stack = network.Stack([Branch(((Dense(9), Dense(2)), (Dense(2),))), Dense(3)], (4,))
  assert stack.value_shapes == [(4,), (2,), (9,), (2,), (2,), (3,)]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear", "tanh", "gelu"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_pooling_gives_what_it_gives_layer_by_layer_with_the_same_gradients(activation, padding):
  layers = [Conv2D(3, 3, activation=activation), MaxPool(2, padding=padding),
            Conv2DTranspose(2, 3, activation=activation), MaxPool(3, 2), MaxPool(2)]
  stack = network.Stack(layers, (13, 11, 2), seed=1, compute_dtype="float64")
  random = np.random.default_rng(0)
  for variable in stack.own_variables:
    variable.assign(random.normal(size=variable.shape))
  x = tf.constant(random.normal(size=(4, 13, 11, 2)))

  def layer_by_layer(y):
    for index in range(len(layers)):
      y = stack.layer_output(index, y)
    return y
  found = []
  for call in (stack, layer_by_layer):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = call(x)
      loss = tf.reduce_sum(tf.sin(y))
    found.append([y, *tape.gradient(loss, [x, *stack.own_variables])])
  np.testing.assert_array_equal(found[0][0], found[1][0])
  for one, other in zip(*found):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_bias_and_activation_come_after_a_pooling_only_where_they_may():
  def ops_of(activation):
    stack = network.Stack([Conv2D(3, 3, activation=activation), MaxPool(2)], (8, 8, 1))
    traced = tf.function(stack).get_concrete_function(tf.TensorSpec([1, 8, 8, 1]))
    return [op.type for op in traced.graph.get_operations() if op.type in ("BiasAdd", "MaxPool")]
  assert ops_of("relu") == ["MaxPool", "BiasAdd"]
  assert ops_of("gelu") == ["BiasAdd", "MaxPool"]
