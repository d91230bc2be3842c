"""Where ops run: read from the executed graph on logical CPUs, and from a graph with GPU names."""

import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import errors, network, optimizers, placement, randomness
from tfae.data.pipeline import Batches
from tfae.models.autoencoder import Autoencoder
from tfae.specs.layers import (Activation, BatchNorm, Branch, Conv2D, Conv2DTranspose, Dense,
                               Dropout, Flatten, LayerNorm, MaxPool, Upsample)
from tfae.specs.optimizers import Adam
from tfae.specs.sections import Placement

SHAPE = (9, 7, 1)
# Every kind of layer; its mirror has every kind too.
SPECS = [Conv2D(3, 3, 2, activation="relu"), Conv2DTranspose(2, 2, 2, activation="elu"), MaxPool(2),
         Upsample(2), Activation("softplus"), Flatten(), Dropout(0.3),
         Dense(6, activation="sigmoid"), Dense(4, activation="tanh")]
# Moves of tensors, and what a variable's device decides: a shared kernel is read where it is.
MOVES = re.compile(r"_Send|_Recv|_Arg|_Retval|ReadVariableOp|_HostSend|_HostRecv")
HEAVY = re.compile(r"Conv2D|MatMul|MaxPool|BiasAdd|Relu|Elu|Tanh|Sigmoid|Softplus|Concat|Mean|"
                   r"SquaredDifference|StatelessRandomUniformV2|ResourceApply|L2Loss")


def model_on(encoder, decoder, specs=SPECS, **options):
  stack = network.Stack(specs, SHAPE, device=encoder)
  return Autoencoder(stack, network.mirror(stack, device=decoder, output_activation="gelu"),
                     scale=1 / 255, mean=np.full(SHAPE, 0.5), **options)


@pytest.fixture(scope="module", name="executed")
def executed_step():
  """(model, [(device, op type, name), ...]) of a training step: three components, three devices."""
  assert not tf.config.get_soft_device_placement()
  model = model_on("/CPU:1", "/CPU:2")
  data = np.random.default_rng(0).integers(0, 256, (10, *SHAPE)).astype(np.uint8)
  batches = Batches(data, 4, device="/device:CPU:3")
  updater = optimizers.Updater(Adam(clip_norm=1.0, weight_decay=0.1), model.trainable, 10)

  @tf.function(autograph=False)
  def step(number, key):
    with tf.device(batches.device):
      row = batches.indices(number, 1)[0]
    loss, gradients = model.loss_and_gradients(batches.gather(row), key)
    return loss, updater.apply(gradients, number)

  key = randomness.stream(0, "training")
  return model, placement.executed_ops(lambda: step(tf.constant(2, tf.int64), key))


def component_of(name):
  """Returns 'encoder' or 'decoder' if `name` lies in one's scope, forward or backward."""
  found = re.match(r"(?:\w+/)*?(encoder|decoder)/layer_\d+", name)
  return found and found[1]


def test_every_op_of_a_component_runs_on_its_device_forward_and_backward(executed):
  _, ops = executed
  where = {"encoder": "/CPU:1", "decoder": "/CPU:2"}
  seen = {"encoder": 0, "decoder": 0}
  for device, op, name in ops:
    component = component_of(name)
    # A control edge leaves a constant behind where it starts.
    if component and not MOVES.fullmatch(op) and "/ctrl/" not in name:
      assert device == where[component], (device, op, name)
      seen[component] += 1
  assert min(seen.values()) > 30


@pytest.mark.parametrize("names", [
    # Forward, backward to the input, backward to the kernel. Biases and activations are fused
    # into the op before them where TensorFlow can, and then have its device.
    (r"encoder/layer_0/(Relu|Conv2D)", None, r"gradient_tape/encoder/layer_0/Conv2DBackpropFilter"),
    (r"encoder/layer_1/conv2d_transpose/Conv2D", r"gradient_tape/encoder/layer_1/.*/Conv2D",
     r"gradient_tape/encoder/layer_1/.*/Conv2DBackpropFilter"),
    (r"encoder/layer_2/MaxPool2d", r"gradient_tape/encoder/layer_2/.*MaxPoolGrad"),
    (r"encoder/layer_3/concat", r"gradient_tape/encoder/layer_3/.*"),
    (r"encoder/layer_4/Softplus", r"gradient_tape/encoder/layer_4/Sigmoid"),
    (r"encoder/layer_7/(Sigmoid|MatMul|BiasAdd)", r"gradient_tape/encoder/layer_7/MatMul/MatMul",
     r"gradient_tape/encoder/layer_7/MatMul/MatMul_1"),
    (r"gradient_tape/encoder/layer_0/ReluGrad", r"gradient_tape/encoder/layer_1/EluGrad",
     r"gradient_tape/encoder/layer_7/.*SigmoidGrad", r"gradient_tape/encoder/layer_8/TanhGrad"),
    (r"gradient_tape/encoder/layer_\d/BiasAdd/BiasAddGrad",),
    (r"decoder/layer_0/(MatMul|BiasAdd|Sigmoid)", r"gradient_tape/decoder/layer_0/MatMul/MatMul",
     r"gradient_tape/decoder/layer_0/MatMul/MatMul_1"),
    (r"gradient_tape/decoder/layer_\d/BiasAdd/BiasAddGrad",),
    (r"gradient_tape/decoder/layer_\d/conv2d_transpose/Conv2D",
     r"gradient_tape/decoder/layer_\d/conv2d_transpose/Conv2DBackpropFilter"),
])
def test_the_ops_that_are_looked_for_did_run(executed, names):
  for pattern in filter(None, names):
    assert any(re.fullmatch(pattern, name) and not MOVES.fullmatch(op)
               for _, op, name in executed[1]), pattern


def test_no_computation_runs_on_a_device_that_nobody_named(executed):
  for device, op, name in executed[1]:
    if HEAVY.search(op):
      assert device in ("/CPU:1", "/CPU:2"), (device, op, name)
    # What is left to the default device are arguments and results.
    if device == "/CPU:0":
      assert MOVES.fullmatch(op) or op in ("Identity", "NoOp", "Const", "_EagerConst"), (op, name)


def test_the_data_and_their_order_stay_on_the_data_device(executed):
  where = {op: device for device, op, _ in executed[1]
           if op in ("GatherV2", "RandomIndexShuffle")}
  assert where == {"GatherV2": "/CPU:3", "RandomIndexShuffle": "/CPU:3"}


def test_every_slot_is_updated_on_the_device_of_its_variable(executed):
  model, ops = executed
  updates = sorted((name, device) for device, op, name in ops if op == "ResourceApplyAdam")
  # TensorFlow numbers them in the order of the variables.
  number = lambda name: int(name.removeprefix("ResourceApplyAdam").removeprefix("_") or 0)
  assert [device for name, device in sorted(updates, key=lambda u: number(u[0]))] == [
      placement.short(v.device) for v in model.trainable]
  assert {device for _, device in updates} == {"/CPU:1", "/CPU:2"}


def test_variables_are_on_the_device_of_their_component(executed):
  model, _ = executed
  for stack, device in ((model.encoder, "/CPU:1"), (model.decoder, "/CPU:2")):
    assert {placement.short(v.device) for v in stack.own_variables} == {device}


@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_squared_error"])
def test_gpu_names_reach_every_forward_and_gradient_op(loss):
  with tf.Graph().as_default() as graph:
    model = model_on("/GPU:0", "/GPU:1", loss=loss)
    inputs = [tf.compat.v1.placeholder(dtype, shape) for dtype, shape in (
        (tf.uint8, (None, *SHAPE)), (tf.float32, (None,)), (tf.int64, (2,)))]
    before = len(graph.get_operations())
    _, gradients = model.loss_and_gradients(runs.batch(*inputs[:2]), inputs[2])
  where = {"encoder": "/device:GPU:0", "decoder": "/device:GPU:1"}
  seen = {"encoder": set(), "decoder": set()}
  for op in graph.get_operations()[before:]:
    if op.type == "ReadVariableOp":  # beside its variable
      continue
    assert op.device in where.values(), (op.device, op.type, op.name)
    component = component_of(op.name)
    if component:
      assert op.device == where[component], (op.device, op.type, op.name)
      seen[component].add(op.type)
  both = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul", "MaxPool",
          "MaxPoolGrad", "BiasAdd", "BiasAddGrad", "ConcatV2", "Sigmoid", "SigmoidGrad"}
  assert both <= seen["encoder"] and both <= seen["decoder"]
  assert {"ReluGrad", "EluGrad", "TanhGrad", "StatelessRandomUniformFullIntV2"} <= seen["encoder"]
  for variable, gradient in zip(model.trainable, gradients):
    assert variable.device == gradient.device == where[variable.name.split("/")[0]]


def test_encoding_and_decoding_carry_their_devices_too():
  with tf.Graph().as_default() as graph:
    model = model_on("/GPU:0", "/GPU:1")
    images = tf.compat.v1.placeholder(tf.uint8, (None, *SHAPE))
    batch = runs.batch(images, tf.ones(2))
    before = len(graph.get_operations())
    outputs = [model.encode(images), model.reconstruct(images), model.score(images),
               *model.metrics(batch).values()]
    devices = {op.device for op in graph.get_operations()[before:] if op.type != "ReadVariableOp"}
  assert [t.device[-5:] for t in outputs] == ["GPU:0", *["GPU:1"] * 4]
  assert devices <= {"/device:GPU:0", "/device:GPU:1"}


@pytest.mark.parametrize("name, full", [
    ("auto", "/device:CPU:0"), ("/CPU:0", "/device:CPU:0"), ("CPU:2", "/device:CPU:2"),
    ("cpu:1", "/device:CPU:1"), ("CPU", "/device:CPU:0"), ("/device:CPU:3", "/device:CPU:3"),
    ("/job:localhost/replica:0/task:0/device:CPU:1", "/device:CPU:1")])
def test_a_device_may_be_named_in_all_usual_ways(name, full):
  assert placement.canonical(name) == full


@pytest.mark.parametrize("name", ["/GPU:0", "GPU:7", "/CPU:4", "CPU:-1", "gpu"])
def test_a_device_that_does_not_exist_is_refused_and_those_that_do_are_listed(name):
  with pytest.raises(errors.InputError) as caught:
    placement.canonical(name, "placement.encoder")
  assert str(caught.value) == (f"placement.encoder={name!r}: no such device here. Use 'auto' or "
                               "one of /CPU:0, /CPU:1, /CPU:2, /CPU:3.")


@pytest.mark.parametrize("name", ["", "/", "Auto", "the first", "/XYZ:0", "CPU:one", "CPU:1:2",
                                  "/CPU:0/GPU:1", "/job:worker/task:3/CPU:0", "/task:1/CPU:0",
                                  "/job:localhost", None, 0, ["/CPU:0"]])
def test_what_is_no_device_of_this_program_is_refused(name):
  with pytest.raises(errors.InputError) as caught:
    placement.canonical(name)
  assert str(caught.value) == (f"device={name!r}: not a device name. Use 'auto' or one of /CPU:0, "
                               "/CPU:1, /CPU:2, /CPU:3.")


def test_a_graph_may_be_for_another_machine_but_not_with_a_malformed_name():
  with tf.Graph().as_default():
    assert placement.canonical("/GPU:7") == "/device:GPU:7"
    with pytest.raises(errors.InputError, match="not a device name"):
      placement.canonical("/GPU:x")


def test_devices_are_resolved_together_and_errors_name_the_field():
  devices = placement.resolve(Placement("/CPU:1", "auto", "CPU:3"))
  assert (devices["encoder"], devices["decoder"], devices["data"]) == (
      "/device:CPU:1", "/device:CPU:0", "/device:CPU:3")
  for field in ("encoder", "decoder", "data", "latent", "head"):
    with pytest.raises(errors.InputError, match=f"^placement.{field}='/GPU:1': no such device"):
      placement.resolve(Placement(**{field: "/GPU:1"}))


def test_short_names_are_those_that_a_user_writes():
  assert placement.short("/job:localhost/replica:0/task:0/device:CPU:1") == "/CPU:1"
  assert placement.short("/device:GPU:0") == "/GPU:0" and placement.short("") == ""


def test_threads_cannot_be_set_once_tensorflow_runs():
  tf.constant(0)
  with pytest.raises(errors.InputError, match="before the first operation.*start of the program"):
    placement.configure(intra_op_threads=1)


def test_branches_and_normalisation_run_on_the_device_of_their_stack_forward_and_backward():
  stack = network.Stack([Branch(((Conv2D(2, 3, use_bias=False), BatchNorm(), Dropout(0.3)),
                                 (LayerNorm(),))), Flatten(), Dense(3)], (4, 4, 2), device="/CPU:2")

  @tf.function(autograph=False)
  def step(x, key, weights):
    with tf.device(stack.device):
      with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(stack(x, key, weights)))
      return tape.gradient(loss, stack.own_variables)

  ops = placement.executed_ops(lambda: step(tf.ones((4, 4, 4, 2)), randomness.stream(0, "training"),
                                            tf.ones(4)))
  for pattern in (r"encoder/layer_0/branch_0/layer_0/Conv2D",
                  r"gradient_tape/encoder/layer_0/branch_0/layer_0/Conv2DBackpropFilter",
                  r"encoder/layer_0/branch_0/layer_1/SquaredDifference",
                  r"encoder/layer_0/branch_0/layer_1/AssignVariableOp(_1)?",
                  r"encoder/layer_0/branch_0/layer_2/.*stateless.*",
                  r"encoder/layer_0/branch_1/layer_0/moments/mean"):
    assert any(re.fullmatch(pattern, name) for _, _, name in ops), pattern
  for device, op, name in ops:
    if component_of(name) and not MOVES.fullmatch(op) and "/ctrl/" not in name:
      assert device == "/CPU:2", (device, op, name)
