"""A frozen GraphDef: one file, the tensor names of signature.json."""

from tensorflow.core.protobuf import saved_model_pb2

FILE = "graph.pb"


def read(directory):
  """Returns the GraphDef of a SavedModel."""
  content = (directory / "saved_model.pb").read_bytes()
  return saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def


def convert(reference, folder):
  content = read(reference.directory).SerializeToString(deterministic=True)
  (folder / FILE).write_bytes(content)
  return {key: entry(signature, FILE)
          for key, signature in reference.description["signatures"].items()}


def entry(signature, file):
  """Returns the entry of a signature whose tensor names stay as they are."""
  return {"file": file, **{side: {name: info["tensor"] for name, info in signature[side].items()}
                           for side in ("inputs", "outputs")}}
