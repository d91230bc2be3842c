"""Calls a LiteRT file, as `convert_saved_model.py --to=litert` or `litert_int8` writes it.

  python export/clients/litert_client.py OUT/litert encode images=images.npy [--out=FOLDER]

Needs ai-edge-litert; signatures and their names are inside the file.
"""

import json
import pathlib

from ai_edge_litert.interpreter import Interpreter


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  directory = pathlib.Path(directory)
  signatures = json.loads((directory / "signature.json").read_text())["signatures"]
  interpreters = {file: Interpreter(str(directory / file))
                  for file in {signature["file"] for signature in signatures.values()}}
  # A runner takes the batch that it is given: it resizes when the shape is another one.
  return {key: interpreters[signature["file"]].get_signature_runner(key)
          for key, signature in signatures.items()}


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
