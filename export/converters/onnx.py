"""ONNX by tf2onnx: a file for each signature, the tensor names of signature.json.

ONNX Runtime wants a feed for every input of a graph, so signatures can't share a file. Those whose
files would be the same but for the output's name (serving_default is mostly another one's double)
stay two: a name is worth more than the bytes.
"""

import logging

from converters import graphdef

OPSET = 18


def convert(reference, folder):
  import tf2onnx
  logging.getLogger("tf2onnx").setLevel(logging.ERROR)
  graph_def = graphdef.read(reference.directory)
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
