"""Calls a frozen GraphDef, as `convert_saved_model.py --to=graphdef` writes it. Needs tensorflow.

  python export/clients/graphdef_client.py OUT/graphdef encode images=images.npy [--out=FOLDER]
"""

import json
import pathlib

import tensorflow.compat.v1 as tf


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  directory = pathlib.Path(directory)
  signatures = json.loads((directory / "signature.json").read_text())["signatures"]
  functions = {}
  for key, signature in signatures.items():
    graph_def = tf.GraphDef.FromString((directory / signature["file"]).read_bytes())
    with tf.Graph().as_default() as graph:
      tf.import_graph_def(graph_def, name="")
    functions[key] = _function(tf.Session(graph=graph), signature)
  return functions


def _function(session, signature):
  names = sorted(signature["inputs"])
  call = session.make_callable(
      {name: entry["tensor"] for name, entry in signature["outputs"].items()},
      [signature["inputs"][name]["tensor"] for name in names])
  return lambda **inputs: call(*(inputs[name] for name in names))


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
