"""Freezing functions into one graph."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
from export_toy import Toy, examples
from tfae import graph
from tfae.errors import InputError

VECTOR = {"x": graph.Input(tf.TensorSpec([None, 3]), "a vector")}


def one(function, outputs=("y",), inputs=VECTOR, key="run"):
  return {key: graph.Signature(function, inputs, {name: name for name in outputs})}


def content(signatures):
  return graph.freeze(signatures).graph_def.SerializeToString(deterministic=True)


def awkward(device, traces=0):
  """A loop, and a function that is compiled: both stay functions of the frozen graph."""
  for _ in range(traces):
    tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([]))
  weight = tf.Variable([1., 2., 3.], name="weight")

  @tf.function(jit_compile=True)
  def compiled(x):
    with tf.device(device):
      return x * weight

  def run(x):
    def body(i, y):
      with tf.device(device):
        return i + 1, y + weight
    return {"y": tf.while_loop(lambda i, y: i < 4, body, [tf.constant(0), compiled(x)])[1]}

  return one(run)


def test_the_frozen_graph_computes_the_function_on_the_weights_of_the_moment():
  kernel = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2), name="kernel")
  frozen = graph.freeze(one(lambda x: {"y": tf.nn.relu(x @ kernel - 5.)}))
  kernel.assign(tf.zeros([3, 2]))
  x = np.array([[1, 2, 3], [-1, 0, 1]], np.float32)
  expected = np.maximum(x @ np.arange(6).reshape(3, 2) - 5, 0)
  np.testing.assert_array_equal(graph.fetch(frozen.graph_def, "run/y", {"x": x}), expected)


def test_tensors_and_weights_have_the_names_that_their_owner_gave():
  frozen = graph.freeze(Toy().signatures())
  assert {key: [info.name for info in infos.values()] for key, infos in frozen.inputs.items()} == {
      "decode": ["codes:0"], "encode": ["images:0"], "reconstruct": ["images:0"],
      "score": ["images:0"], "serving_default": ["images:0"]}
  assert {key: [info.name for info in infos.values()] for key, infos in frozen.outputs.items()} == {
      "decode": ["decode/reconstruction:0"], "encode": ["encode/codes:0"],
      "reconstruct": ["reconstruct/reconstruction:0"], "score": ["score/error:0"],
      "serving_default": ["serving_default/reconstruction:0"]}
  assert frozen.outputs["score"]["error"].shape == (None,)
  assert frozen.outputs["decode"]["reconstruction"].shape == (None, 28, 28, 1)
  ops = {name: op for name, op, _ in graph.list_ops(frozen.graph_def)}
  assert [ops[name] for name in ("images", "encode/codes", "encoder/layer_0/kernel",
                                 "encode/encoder/Conv2D")] == [
                                     "Placeholder", "Identity", "Const", "Conv2D"]
  assert [node.name for node in frozen.graph_def.node] == sorted(ops)


def test_every_weight_is_stored_once_for_all_signatures():
  toy = Toy()
  frozen = graph.freeze(toy.signatures())
  sizes = [tf.make_ndarray(node.attr["value"].tensor).size for node in frozen.graph_def.node
           if node.op == "Const" and node.name.startswith("encoder/")]
  assert sorted(sizes) == sorted(int(np.prod(v.shape)) for v in toy.variables)
  assert frozen.graph_def.ByteSize() < 4 * toy.parameters + 15_000


def test_an_array_that_each_signature_writes_into_the_graph_is_stored_once():
  table = np.random.RandomState(0).normal(size=(3, 500)).astype(np.float32)
  signatures = {key: graph.Signature(lambda x, k=key: {"y": x @ table + len(k)}, VECTOR,
                                     {"y": "y"}) for key in ("a", "bb", "ccc")}
  frozen = graph.freeze(signatures)
  assert frozen.graph_def.ByteSize() < 1.5 * table.nbytes
  x = np.ones((1, 3), np.float32)
  for key in signatures:
    np.testing.assert_allclose(graph.fetch(frozen.graph_def, f"{key}/y", {"x": x}),
                               x @ table + len(key), rtol=1e-6)


def test_one_function_under_two_keys_is_traced_once():
  calls = []

  def function(x):
    calls.append(x)
    return {"y": x}
  frozen = graph.freeze(one(function) | one(function, key="serving_default"))
  assert len(calls) == 1
  assert sorted(frozen.outputs) == ["run", "serving_default"]


def test_no_device_is_named_even_inside_functions():
  frozen = graph.freeze(awkward("/GPU:7"))
  ops = graph.list_ops(frozen.graph_def)
  assert {device for _, _, device in ops} == {""}
  assert any(name.startswith("function_") and op == "Mul" for name, op, _ in ops)
  text = frozen.graph_def.SerializeToString().lower()
  assert b"device:" not in text and b"gpu" not in text.replace(b"use_cudnn_on_gpu", b"")


@pytest.mark.parametrize("make", [awkward, lambda device, _: Toy(device).signatures()])
def test_neither_placement_nor_earlier_traces_leave_a_mark_in_the_bytes(make):
  assert content(make("/GPU:7", 0)) == content(make("/CPU:0", 5))


def test_functions_that_stay_functions_compute_the_same():
  x = np.array([[1, 1, 1]], np.float32)
  frozen = graph.freeze(awkward("/CPU:0"))
  np.testing.assert_array_equal(graph.fetch(frozen.graph_def, "run/y", {"x": x}), [[5, 10, 15]])


def test_a_signature_runs_without_the_inputs_of_the_others():
  # tf.function makes every output wait for the loop and the call of awkward(), which need x.
  frozen = graph.freeze(awkward("/CPU:0") | one(
      lambda z: {"y": 2. * z}, inputs={"z": graph.Input(tf.TensorSpec([None]), "z")}, key="other"))
  assert graph.fetch(frozen.graph_def, "other/y", {"z": [1., 2.]}).tolist() == [2, 4]


def test_an_output_keeps_its_name_when_the_function_has_a_node_of_that_name():
  def function(x):
    return {"y": tf.identity(x, name="z") + 1., "z": tf.identity(2. * x, name="y")}
  frozen = graph.freeze(one(function, ("y", "z")))
  x = np.ones((1, 3), np.float32)
  assert graph.fetch(frozen.graph_def, "run/y", {"x": x}).tolist() == [[2, 2, 2]]
  assert graph.fetch(frozen.graph_def, "run/z", {"x": x}).tolist() == [[2, 2, 2]]
  function = lambda x: {"y": tf.negative(x, name="y") * 3., "z": x}
  frozen = graph.freeze(one(function, ("y", "z")))
  assert graph.fetch(frozen.graph_def, "run/y", {"x": x}).tolist() == [[-3, -3, -3]]


def test_two_variables_of_one_name_stay_two():
  first, second = tf.Variable([1., 0., 0.], name="w"), tf.Variable([0., 1., 0.], name="w")
  frozen = graph.freeze(one(lambda x: {"y": x + first + 10. * second}))
  x = np.zeros((1, 3), np.float32)
  assert graph.fetch(frozen.graph_def, "run/y", {"x": x}).tolist() == [[1, 10, 0]]
  assert {"w", "w_1"} <= {node.name for node in frozen.graph_def.node}


def test_an_input_that_no_output_uses_is_still_there():
  frozen = graph.freeze(one(lambda x, unused: {"y": x}, inputs=VECTOR | {
      "unused": graph.Input(tf.TensorSpec([None]), "nothing")}))
  assert "unused" in {node.name for node in frozen.graph_def.node}


def test_any_tensor_can_be_fetched_by_name_and_a_wrong_name_brings_the_nearest():
  toy = Toy()
  frozen = graph.freeze(toy.signatures())
  np.testing.assert_array_equal(graph.fetch(frozen.graph_def, "encoder/layer_1/kernel:0", {}),
                                toy.dense)
  with pytest.raises(InputError, match="Did you mean 'encoder/layer_1/kernel'"):
    graph.fetch(frozen.graph_def, "encoder/layer_1/kernle", {})
  with pytest.raises(InputError, match="Did you mean 'images'"):
    graph.fetch(frozen.graph_def, "encode/codes", {"image": examples()})


def test_an_output_that_an_op_does_not_have_is_one_clear_error():
  frozen = graph.freeze(Toy().signatures())
  with pytest.raises(InputError, match="encode/codes:1.*the op has no such output"):
    graph.fetch(frozen.graph_def, "encode/codes:1", {"images": examples()})


def test_a_signature_of_a_frozen_graph_is_called_by_its_key():
  frozen = graph.freeze(one(lambda x: {"y": 2. * x, "z": x + 1.}, ("y", "z")))
  found = graph.call(frozen, "run", {"x": [[1., 2., 3.]]})
  assert {name: value.tolist() for name, value in found.items()} == {
      "y": [[2, 4, 6]], "z": [[2, 3, 4]]}


def test_the_inputs_that_a_node_depends_on_are_known():
  pair = VECTOR | {"z": graph.Input(tf.TensorSpec([None, 3]), "another")}
  frozen = graph.freeze(one(lambda x, z: {"y": tf.nn.relu(x, name="half") + z}, inputs=pair))
  assert graph.inputs_of(frozen.graph_def, "run/half") == {"x"}
  assert graph.inputs_of(frozen.graph_def, "run/y") == {"x", "z"}


@pytest.mark.parametrize("signatures, message", [
    ({}, "at least one Signature"),
    (one(lambda x: {"z": x}), r"returned outputs \['z'\]: expected \['y'\]"),
    (one(lambda x: {"y": tf.reduce_sum(x)}), r"output 'y' of signature 'run' is \(\)"),
    (one(lambda x: {"y": 3}), "output 'y' of signature 'run' is None"),
    (one(lambda x: {"y": x}, key="a/b"), "signature name 'a/b'"),
    (one(lambda x: {"y": x}, inputs={"x": graph.Input(tf.TensorSpec([3, 3]), "")}),
     r"input 'x' of signature 'run' has shape \(3, 3\): expected \[None, ...\]"),
    (one(lambda x: {"y": x}, inputs={"x": graph.Input(tf.TensorSpec([None, None]), "")}),
     "all other sizes known"),
    (one(lambda: {"y": tf.zeros([])}, inputs={}), "signature 'run' has no input"),
    (one(lambda x: {"y": x}) | one(lambda x: {"y": x}, key="walk", inputs={
        "x": graph.Input(tf.TensorSpec([None, 4]), "")}),
     r"input 'x' of signature 'walk' is float32 \(None, 4\), but float32 \(None, 3\) in another"),
])
def test_what_does_not_fit_together_is_refused_by_name(signatures, message):
  with pytest.raises(InputError, match=message):
    graph.freeze(signatures)
