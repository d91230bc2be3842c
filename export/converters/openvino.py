"""OpenVINO IR: an .xml and a .bin for each signature, float32 weights, names of signature.json.

OpenVINO reads a SavedModel itself, but serving_default only; the others come from its GraphDef.
"""

import pathlib
import tempfile

from converters import constants, graphdef


def convert(reference, folder):
  import openvino
  import openvino.opset13
  # Its TensorFlow frontend can't reverse a kernel along two axes: constants are computed before.
  graph_def = constants.fold(graphdef.read(reference.directory))
  entries = {}
  with tempfile.TemporaryDirectory() as scratch:
    path = pathlib.Path(scratch) / graphdef.FILE
    path.write_bytes(graph_def.SerializeToString())
    for key, signature in sorted(reference.description["signatures"].items()):
      entry = graphdef.entry(signature, f"{key}.xml")
      model = openvino.convert_model(path, input=list(entry["inputs"].values()),
                                     output=list(entry["outputs"].values()))
      unshare(openvino, model)
      openvino.save_model(model, folder / entry["file"], compress_to_fp16=False)
      entries[key] = entry
  return entries


def unshare(openvino, model):
  """Gives transposed convolutions kernels of their own bytes: as the negative of a constant.

  Equal constants become one in the file, and OpenVINO 2026.4.1 then computes a transposed
  convolution with the kernel as it was packed for the convolution that shares it.
  """
  for node in model.get_ordered_ops():
    if node.get_type_name() == "ConvolutionBackpropData":
      kernel = node.input(1).get_source_output().get_node()
      if kernel.get_type_name() == "Constant":
        constant = openvino.opset13.constant(-kernel.data)
        node.input(1).replace_source_output(openvino.opset13.negative(constant).output(0))
