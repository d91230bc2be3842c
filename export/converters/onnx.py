"""ONNX by tf2onnx: a file for each signature, the tensor names of signature.json.

ONNX Runtime wants a feed for every input of a graph, so signatures can't share a file. Those whose
files would be the same but for the output's name (serving_default is mostly another one's double)
stay two: a name is worth more than the bytes.
"""

import logging

import numpy as np
import tensorflow.compat.v1 as tf

from converters import graphdef

OPSET = 18


def convert(reference, folder):
  import tf2onnx
  logging.getLogger("tf2onnx").setLevel(logging.ERROR)
  graph_def = without_1p(graphdef.read(reference.directory))
  entries = {}
  for key, signature in sorted(reference.description["signatures"].items()):
    entry = graphdef.entry(signature, f"{key}.onnx")
    model, _ = tf2onnx.convert.from_graph_def(
        graph_def, input_names=list(entry["inputs"].values()),
        output_names=list(entry["outputs"].values()), opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
      # tf2onnx numbers unknown sizes as it goes; all of these are the batch.
      value.type.tensor_type.shape.dim[0].dim_param = "batch"
    (folder / entry["file"]).write_bytes(model.SerializeToString(deterministic=True))
    entries[key] = entry
  return entries


def without_1p(graph_def):
  """Returns a GraphDef with log(1 + x) for Log1p, exp(x) - 1 for Expm1, which ONNX lacks.

  Names stay. For an x near 0 it is less exact, at most by float32's epsilon: the check decides.
  """
  result = tf.GraphDef()
  for node in graph_def.node:
    kept = result.node.add()
    kept.CopyFrom(node)
    if node.op in ("Log1p", "Expm1"):
      dtype = node.attr["T"].type
      one = result.node.add(name=f"{node.name}/one", op="Const")
      one.attr["dtype"].type = dtype
      one.attr["value"].tensor.CopyFrom(
          tf.make_tensor_proto(np.ones([], tf.as_dtype(dtype).as_numpy_dtype)))
      inner = result.node.add(name=f"{node.name}/inner")
      inner.attr["T"].type = dtype
      if node.op == "Log1p":
        inner.op, kept.op = "AddV2", "Log"
        inner.input.extend([node.input[0], one.name])
        kept.input[0] = inner.name
      else:
        inner.op, kept.op = "Exp", "Sub"
        inner.input.append(node.input[0])
        kept.input[0] = inner.name
        kept.input.insert(1, one.name)
  result.library.CopyFrom(graph_def.library)
  result.versions.CopyFrom(graph_def.versions)
  return result
