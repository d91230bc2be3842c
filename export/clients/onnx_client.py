"""Calls ONNX files, as `convert_saved_model.py --to=onnx` writes them. Needs onnxruntime.

  python export/clients/onnx_client.py OUT/onnx encode images=images.npy [--out=FOLDER]
"""

import json
import pathlib

import onnxruntime


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  directory = pathlib.Path(directory)
  signatures = json.loads((directory / "signature.json").read_text())["signatures"]
  sessions = {file: onnxruntime.InferenceSession(directory / file,
                                                 providers=["CPUExecutionProvider"])
              for file in {signature["file"] for signature in signatures.values()}}
  return {key: _function(sessions[signature["file"]], signature)
          for key, signature in signatures.items()}


def _function(session, signature):
  tensors = {name: entry["tensor"] for name, entry in signature["inputs"].items()}
  fetches = {name: entry["tensor"] for name, entry in signature["outputs"].items()}

  def call(**inputs):
    feeds = {tensors[name]: value for name, value in inputs.items()}
    return dict(zip(fetches, session.run(list(fetches.values()), feeds)))
  return call


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
