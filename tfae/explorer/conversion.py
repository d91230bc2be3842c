"""An export's signatures as ONNX graphs that share one file of weights."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tfae
from tfae.errors import InputError

KEYS = ("decode", "encode", "reconstruct", "score")  # what the page asks the model
WEIGHTS = "weights"  # the name that the graphs have for their common file
_CHECKED = 100  # images that each converted signature is compared on
_SMALL = 1024  # bytes up to which a constant stays in its graph


def export_folder():
  """Returns the folder export/: beside tfae in a checkout, inside of it in a wheel."""
  package = pathlib.Path(tfae.__file__).parent
  inside = package / "export_programs"
  return inside if inside.is_dir() else package.parent / "export"


def convert(saved_model, images):
  """Returns ({signature: bytes of an .onnx file}, signature.json of the conversion as a dict).

  Runs export/convert_saved_model.py in a process of its own, which knows nothing of tfae and
  compares each signature with the SavedModel's.

  Args:
    saved_model: folder of the export.
    images: `[n, height, width, channels]` in the data set's units, for that comparison.

  Raises:
    InputError: what the conversion needs is not installed, or it failed.
  """
  with tempfile.TemporaryDirectory() as folder:
    examples, out = pathlib.Path(folder, "examples.npy"), pathlib.Path(folder, "converted")
    np.save(examples, images[:_CHECKED])
    done = subprocess.run(
        [sys.executable, export_folder() / "convert_saved_model.py", "--to=onnx", f"--out={out}",
         f"--saved_model={saved_model}", f"--examples={examples}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
      lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
      raise InputError(f"saved_model={str(saved_model)!r}: can't be converted to ONNX, which the "
                       f"page runs: {lines[-1].removeprefix('convert_saved_model.py: ')}")
    description = json.loads((out / "onnx" / "signature.json").read_text(encoding="utf-8"))
    return {key: (out / "onnx" / description["signatures"][key]["file"]).read_bytes()
            for key in KEYS if key in description["signatures"]}, description


def share(models):
  """Returns (the models without their large constants, those in one file) of bytes of ONNX files.

  A constant that several graphs have is stored once, and so is a matrix that is another one
  transposed, as in the two halves of a tied autoencoder.

  Args:
    models: {key: bytes}.
  """
  import onnx
  from onnx import numpy_helper
  weights, places, graphs = bytearray(), {}, {}
  for key, content in models.items():
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
      value = numpy_helper.to_array(tensor)
      if value.nbytes <= _SMALL:
        continue
      place = _identity(value)
      if place not in places and value.ndim == 2 and _identity(value.T) in places:
        place = _identity(value.T)
        stored = f"{tensor.name}/transposed"
        model.graph.node.insert(0, onnx.helper.make_node("Transpose", [stored], [tensor.name]))
        tensor.name, tensor.dims[:] = stored, value.shape[::-1]
      if place not in places:
        places[place] = len(weights)
        weights += place[2]
      tensor.ClearField("raw_data")
      tensor.data_location = onnx.TensorProto.EXTERNAL
      del tensor.external_data[:]
      for name, entry in (("location", WEIGHTS), ("offset", places[place]),
                          ("length", value.nbytes)):
        tensor.external_data.add(key=name, value=str(entry))
    graphs[key] = model.SerializeToString(deterministic=True)
  return graphs, bytes(weights)


def _identity(array):
  return array.dtype.str, array.shape, array.tobytes()
