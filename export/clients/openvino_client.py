"""Calls OpenVINO IR, as `convert_saved_model.py --to=openvino` writes it. Needs openvino.

  python export/clients/openvino_client.py OUT/openvino encode images=images.npy [--out=FOLDER]
"""

import json
import pathlib

import openvino


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  directory = pathlib.Path(directory)
  signatures = json.loads((directory / "signature.json").read_text())["signatures"]
  core = openvino.Core()
  # Without the hint a processor with bfloat16 units answers in bfloat16's precision.
  precise = {"INFERENCE_PRECISION_HINT": "f32"}
  models = {file: core.compile_model(directory / file, "CPU", precise)
            for file in {signature["file"] for signature in signatures.values()}}
  return {key: _function(models[signature["file"]], signature)
          for key, signature in signatures.items()}


def _function(model, signature):
  tensors = {name: entry["tensor"] for name, entry in signature["inputs"].items()}
  fetches = {name: model.output(entry["tensor"]) for name, entry in signature["outputs"].items()}
  request = model.create_infer_request()

  def call(**inputs):
    results = request.infer({tensors[name]: value for name, value in inputs.items()})
    return {name: results[output] for name, output in fetches.items()}
  return call


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
