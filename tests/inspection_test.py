"""tfae.inspection: tensors by the names that people type, and exports that will not do."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
from export_toy import Toy, examples
from tfae import graph, inspection, saved_model
from tfae.errors import InputError
from tfae.images import Wanted


@pytest.fixture(name="frozen", scope="module")
def fixture_frozen():
  return graph.freeze(Toy().signatures())


@pytest.fixture(name="export", scope="module")
def fixture_export(frozen, tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "1"
  saved_model.write(path, frozen, {"border": 0.25})
  return path


@pytest.mark.parametrize("typed, given, found", [
    ("encode/encoder/Conv2D:0", ["images"], "encode/encoder/Conv2D:0"),
    ("encoder/Conv2D:0", ["images"], "reconstruct/encoder/Conv2D:0"),
    ("Encoder/conv2d", ["images"], "reconstruct/encoder/Conv2D:0"),
    ("encoder/layer_1/kernel", [], "encoder/layer_1/kernel:0"),
    ("images", ["images"], "images:0"),
    ("codes", ["codes"], "codes:0"),
    ("encode/codes", ["images"], "encode/codes:0"),
])
def test_a_tensor_is_found_with_and_without_its_signature_and_in_any_case(frozen, typed, given,
                                                                          found):
  assert inspection.find_tensor(frozen, typed, given) == found


def test_of_the_signatures_that_is_taken_whose_inputs_are_given():
  vector = {name: graph.Input(tf.TensorSpec([None, 3]), name) for name in ("x", "z")}
  layer = lambda v: tf.nn.relu(v, name="layer")
  frozen = graph.freeze({
      "decode": graph.Signature(lambda z: {"y": layer(z)}, {"z": vector["z"]}, {"y": "y"}),
      "reconstruct": graph.Signature(lambda x: {"y": layer(2. * x)}, {"x": vector["x"]},
                                     {"y": "y"})})
  assert inspection.find_tensor(frozen, "Layer", ["z"]) == "decode/layer:0"
  assert inspection.find_tensor(frozen, "layer", ["x", "z"]) == "reconstruct/layer:0"
  with pytest.raises(InputError, match="depends on the input x. Give --feed=x=FILE.npy"):
    inspection.find_tensor(frozen, "layer", [])
  with pytest.raises(InputError, match="depends on the input z"):
    inspection.find_tensor(frozen, "decode/layer", ["x"])


@pytest.mark.parametrize("typed, text", [
    ("encoder/Conv2", "no such tensor; --ops lists all. Did you mean 'encoder/conv2d'"),
    ("encoder/layer_1/kernle", "Did you mean 'encoder/layer_1/kernel'"),
    ("images:first", "expected NAME or NAME:NUMBER"),
    ("encode/codes", "depends on the input images. Give --image=FILE"),
])
def test_a_tensor_that_can_not_be_had_says_why(frozen, typed, text):
  with pytest.raises(InputError, match=text):
    inspection.find_tensor(frozen, typed, [])


def test_a_tensor_inside_a_function_is_no_tensor_of_the_graph():
  def loop(x):
    return {"y": tf.while_loop(lambda y: tf.reduce_sum(y) < 9., lambda y: [y + 1.], [x])[0]}
  frozen = graph.freeze({"run": graph.Signature(
      loop, {"x": graph.Input(tf.TensorSpec([None, 3]), "x")}, {"y": "y"})})
  name = next(n for n, op, _ in graph.list_ops(frozen.graph_def)
              if n.startswith("function_") and op == "AddV2")
  with pytest.raises(InputError, match="lies inside a function"):
    inspection.find_tensor(frozen, name, ["x"])


def test_an_export_is_read_as_it_was_frozen(frozen, export):
  found = inspection.Export(export)
  assert found.wanted == Wanted((28, 28, 1), 255, 0.25)
  read = found.frozen()
  assert read.inputs == frozen.inputs and read.outputs == frozen.outputs
  x = examples()
  for key in ("encode", "score"):
    theirs, ours = (graph.call(f, key, {"images": x}) for f in (read, frozen))
    assert sorted(theirs) == sorted(frozen.outputs[key])
    for name, value in ours.items():
      np.testing.assert_array_equal(theirs[name], value)


def damaged(name, change):
  def damage(folder):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
  return damage


def without(*keys):
  def change(content):
    values = json.loads(content)
    inner = values
    for key in keys[:-1]:
      inner = inner[key]
    del inner[keys[-1]]
    return json.dumps(values).encode()
  return change


@pytest.mark.parametrize("damage, text", [
    (lambda folder: (folder / "saved_model.pb").unlink(), "holds no saved_model.pb"),
    (lambda folder: (folder / "signature.json").unlink(), "has no signature.json"),
    (damaged("saved_model.pb", lambda c: c[:-1]), "saved_model.pb: damaged: .* sha256"),
    (damaged("signature.json", lambda c: c[:-9]), "signature.json: damaged .JSONDecodeError"),
    (damaged("signature.json", without("signatures")), "signature.json: damaged .KeyError"),
    (damaged("signature.json", without("signatures", "encode", "inputs", "images", "dtype")),
     "damaged .KeyError"),
])
def test_an_export_that_will_not_do_is_one_clear_error(export, tmp_path, damage, text):
  folder = tmp_path / "1"
  shutil.copytree(export, folder)
  damage(folder)
  with pytest.raises(InputError, match=text):
    inspection.Export(folder).frozen()


def test_a_folder_of_versions_names_the_newest(export):
  (export.parent / "10").mkdir()
  shutil.copy(export / "saved_model.pb", export.parent / "10")
  with pytest.raises(InputError, match=r"holds the versions 1, 10. Name one: .*/10"):
    inspection.Export(export.parent)
