"""Real inputs of every signature, and what the SavedModel itself answers to them."""

import copy
import pathlib

import numpy as np

import check_saved_model as checker
from runtimes import floor


class Reference:
  """A SavedModel, the inputs of its signatures and its answers.

  `description` is signature.json as a dict, `feeds` {signature: {input: array [100, ...]}},
  `outputs` {signature: {output: array [100, ...]}}, `products` the sizes of its matrix products or
  None, `tolerance` the bound of a float runtime as a multiple of the larger of 1 and an output's
  largest value.
  """

  def __init__(self, tf, directory, description, graph_def, images):
    self.directory, self.description = pathlib.Path(directory), description
    self.tolerance = description.get("tolerance", 1e-5)
    signatures = tf.saved_model.load(str(directory)).signatures

    def run(key, feeds):
      tensors = {name: tf.constant(value) for name, value in feeds.items()}
      return {name: value.numpy() for name, value in signatures[key](**tensors).items()}

    feeder = checker.Feeder(tf, description, run, images)
    self.feeds = {key: feeder(key) for key in sorted(description["signatures"])}
    self.outputs = {key: run(key, feeds) for key, feeds in self.feeds.items()}
    with tf.Graph().as_default() as graph:
      tf.import_graph_def(graph_def, name="")
    # Of the timed signature at batch 1: floor.products.
    self.products = floor.products(graph, [
        entry["tensor"] for entry in description["signatures"][self.timed]["outputs"].values()])

  @property
  def encoded(self):
    """The signatures that take strings, encoded images."""
    return [key for key, signature in sorted(self.description["signatures"].items())
            if any(entry["dtype"] == "string" for entry in signature["inputs"].values())]

  def without(self, keys):
    """Returns the Reference without some of its signatures."""
    rest = copy.copy(self)
    rest.description = {**self.description, "signatures": {
        key: signature for key, signature in self.description["signatures"].items()
        if key not in keys}}
    rest.feeds = {key: feeds for key, feeds in self.feeds.items() if key not in keys}
    return rest

  @property
  def timed(self):
    """The signature whose calls are timed."""
    return "serving_default" if "serving_default" in self.feeds else min(self.feeds)


def read(directory, files, allow_ops=""):
  """Returns the Reference of a SavedModel and image files.

  The files are checked before TensorFlow is imported, the graph's ops before it runs: `allow_ops`
  names, separated by commas, those that may do more than compute. Raises checker.UserError: no
  export, no example, a file that holds no images of the model, or such an op.
  """
  description = checker.read_signature_file(directory)
  if not files:
    raise checker.UserError(
        "--examples: none given; a model is compared on real examples, such as "
        "--examples=W/examples.npy of the run W that it was exported from.")
  try:
    entry = checker.images_entry(description)
    for file in files:
      checker.check_image_file(file, entry["shape"][1:])
  except checker.UserError as error:
    raise checker.UserError(str(error).replace("--images", "--examples", 1)) from None
  tf = checker.import_tensorflow()
  digest, meta_graph = checker.read_meta_graph(directory)
  if digest != description.get("saved_model_sha256"):
    raise checker.UserError(f"--saved_model={directory}: saved_model.pb is not the file that was "
                            "exported, its sha256 is not signature.json's. Export the model again.")
  failures = []
  try:
    unsafe = checker.check_graph(tf, directory, description, failures)
  except (TypeError, ValueError) as error:  # a dtype or a shape that there is not
    failures.append(f"damaged ({error})")
  if failures:
    raise checker.UserError(f"--saved_model={directory}: {failures[0]}.")
  refused = ",".join(sorted(unsafe.keys() - set(allow_ops.split(","))))
  if refused:
    raise checker.UserError(
        f"--saved_model={directory}: not run, for it has ops that can do more than compute: "
        f"{refused}. If you trust whoever made it: --allow_ops={refused}")
  try:
    images = checker.read_images(tf, files, entry)
  except checker.UserError as error:
    raise checker.UserError(str(error).replace("--images", "--examples", 1)) from None
  with checker.quiet():
    return Reference(tf, directory, description, meta_graph.graph_def, np.asarray(images))
