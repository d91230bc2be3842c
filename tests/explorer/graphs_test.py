"""ONNX graphs that share their constants compute what they computed, in the same bytes."""

import numpy as np
import pytest

from tfae.explorer import graphs

pytestmark = pytest.mark.full  # ONNX is an extra
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

RANDOM = np.random.default_rng(0)
KERNEL, BIAS = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((40, 30), (30,)))


def model(kernel, inputs, shuffle=None):
  """relu(x kernel + bias) + relu(x kernel); `shuffle`: seed of another order and of other names."""
  random = np.random.default_rng(shuffle)
  name = lambda stem: stem if shuffle is None else f"{stem}__{random.integers(1000)}"
  product, summed, one, other, weights, bias = map(name, ("p", "s", "a", "b", "kernel", "bias"))
  node = onnx.helper.make_node
  after = [node("Relu", [summed], [one]), node("Relu", [product], [other])]
  if shuffle:
    after.reverse()
  value = lambda called, size: onnx.helper.make_tensor_value_info(
      called, onnx.TensorProto.FLOAT, ["batch", size])
  constants = [onnx.numpy_helper.from_array(kernel, weights),
               onnx.numpy_helper.from_array(BIAS[:kernel.shape[1]], bias)]
  if shuffle:
    constants.reverse()
  graph = onnx.helper.make_graph(
      [node("MatMul", [inputs, weights], [product]), node("Add", [product, bias], [summed]), *after,
       node("Add", [one, other], ["y:0"])], "g", [value(inputs, kernel.shape[0])],
      [value("y:0", kernel.shape[1])], constants)
  return onnx.helper.make_model(
      graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]).SerializeToString()


def run(content, weights, feeds):
  options = runtime.SessionOptions()
  options.add_external_initializers_from_files_in_memory(
      [graphs.WEIGHTS], [weights], [len(weights)])
  return runtime.InferenceSession(content, options).run(["y:0"], feeds)[0]


def test_constants_are_stored_once_and_a_transposed_matrix_is_too():
  square = KERNEL[:30, :30]
  found, weights = graphs.share({"one": model(square, "x:0"), "two": model(square, "x:0"),
                                 "back": model(np.ascontiguousarray(square.T), "x:0")})
  assert weights == square.tobytes()
  x = RANDOM.normal(size=(5, 30)).astype(np.float32)
  for key, kernel in (("one", square), ("two", square), ("back", square.T)):
    product = x @ kernel
    expected = np.maximum(product + BIAS, 0) + np.maximum(product, 0)
    np.testing.assert_allclose(run(found[key], weights, {"x:0": x}), expected, atol=1e-5)
    assert len(found[key]) < 1000


def test_matrices_that_are_not_the_same_are_all_there():
  found, weights = graphs.share({"one": model(KERNEL, "x:0"), "two": model(2 * KERNEL, "x:0")})
  assert len(weights) == 2 * KERNEL.nbytes
  x = np.eye(40, dtype=np.float32)[:3]
  expected = np.maximum(2 * KERNEL[:3] + BIAS, 0) + np.maximum(2 * KERNEL[:3], 0)
  np.testing.assert_allclose(run(found["two"], weights, {"x:0": x}), expected, atol=1e-5)


def test_another_order_and_other_names_of_the_same_graph_are_the_same_bytes():
  plain, shuffled = (graphs.share({"k": model(KERNEL, "x:0", seed)}) for seed in (None, 7))
  assert plain == shuffled
  assert plain != graphs.share({"k": model(-KERNEL, "x:0")})


def test_what_no_output_needs_is_left_out_and_inputs_keep_their_names():
  spare = onnx.load_from_string(model(KERNEL, "x:0"))
  spare.graph.node.insert(1, onnx.helper.make_node("Exp", ["p"], ["nobody"]))
  assert graphs.share({"k": spare.SerializeToString()}) == graphs.share({"k": model(KERNEL, "x:0")})
  found = onnx.load_from_string(graphs.share({"k": spare.SerializeToString()})[0]["k"])
  assert [value.name for value in (*found.graph.input, *found.graph.output)] == ["x:0", "y:0"]
