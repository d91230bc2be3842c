"""OpenVINO IR: an .xml and a .bin for each signature, float32 weights, names of signature.json.

OpenVINO reads a SavedModel itself, but serving_default only; the others come from its GraphDef.
"""

import pathlib
import tempfile

from converters import constants, graphdef


def convert(reference, folder):
  import openvino
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
      openvino.save_model(model, folder / entry["file"], compress_to_fp16=False)
      entries[key] = entry
  return entries
