"""An export's signatures as ONNX models, by the converter of export/."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import tfae
from tfae.errors import InputError

KEYS = ("decode", "encode", "reconstruct", "score")  # what the page asks the model
_CHECKED = 100  # images that each converted signature is compared on


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
