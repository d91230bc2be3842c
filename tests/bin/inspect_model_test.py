"""tfae-inspect as a program, on a run of the embedded digits and on its export."""

import pathlib
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build
from tfae import experiment as ex
from tfae import training

RUN, EXPORT = "--workdir={tmp}/run", "--saved_model={tmp}/export"
IMAGE = "--image={tmp}/digit.png"
CASES = {
    "run": [RUN],
    "export": [EXPORT],
    "ops": [RUN, "--ops", "--variables"],
    "ops of the export": [EXPORT, "--ops", "--signatures"],
    "layer": [RUN, "--tensor=encoder/layer_1/relu:0", IMAGE, "--out={tmp}/layer.npy"],
    "layer of the export": [EXPORT, "--tensor=encoder/layer_1/relu:0", IMAGE,
                            "--out={tmp}/exported.npy"],
    "decoded": [EXPORT, "--tensor=decode/reconstruction", "--feed=codes={tmp}/codes.npy",
                "--out={tmp}/decoded.npy"],
    "described": [RUN, "--tensor=encoder/layer_1/kernel"],
    "nearest": [RUN, "--tensor=encoder/layer_1/rel", IMAGE],
    "no input": [EXPORT, "--tensor=decode/reconstruction", IMAGE],
    "no such output": [RUN, "--tensor=encoder/layer_1/Relu:3", IMAGE],
    "wrong feed": [EXPORT, "--tensor=decode/reconstruction", "--feed=codes={tmp}/layer.npy"],
    "unknown feed": [EXPORT, "--tensor=codes", "--feed=coeds={tmp}/codes.npy"],
    "no checkpoint": [RUN, "--checkpoint=77"],
}
# Those which are known before TensorFlow is there.
EARLY = {
    "neither": ([], "give one of --workdir=RUN and --saved_model=EXPORT"),
    "both": ([RUN, EXPORT], "give one of"),
    "no run": (["--workdir={tmp}/nowhere"], "holds no run"),
    "no export": (["--saved_model={tmp}"], "holds no saved_model.pb"),
    "variables of an export": ([EXPORT, "--variables"], "an exported model has none"),
    "checkpoint of an export": ([EXPORT, "--checkpoint=7"], "has one only"),
    "image without a tensor": ([RUN, IMAGE], "--image: is for --tensor=NAME"),
    "out of no array": ([RUN, "--tensor=x", "--out={tmp}/x.png"], "expected a .npy file"),
    "feed without a file": ([RUN, "--tensor=x", "--feed=codes"], "expected NAME=FILE.npy"),
    "image of another size": ([RUN, "--tensor=x", "--image={tmp}/large.png"], "--resize"),
    "positional": ([RUN, "extra"], "unexpected argument 'extra'"),
}


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp_path_factory):
  tmp = tmp_path_factory.mktemp("inspect")
  training.train(ex.Experiment(
      model=ex.Model((tfae.Flatten(), tfae.Dense(16, activation="relu"), tfae.Dense(3))),
      batch_size=100, steps=20, jit_compile="off", logging=runs.QUIET), tmp / "run")
  runs.publish(tmp / "run", tmp / "export")
  image = tfae.load("digits").test.images[0, ..., 0]
  Image.fromarray((image.astype(np.float64) * 255 / 16).round().astype(np.uint8)).save(
      tmp / "digit.png")
  Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp / "large.png")
  np.save(tmp / "codes.npy", np.ones((2, 3)))
  place = lambda flags: ["inspect_model", *(flag.format(tmp=tmp) for flag in flags)]
  ends = runs.many([place(flags) for flags in CASES.values()], tmp_path_factory.mktemp("said"),
                   ["tensorflow", "PIL.Image", "tfae.build", "tfae.workdir", "tfae.saved_model"])
  early = runs.many([place(flags) for flags, _ in EARLY.values()], tmp_path_factory.mktemp("said"),
                    ["PIL.Image", "sklearn.datasets", "tfae.workdir"])
  return tmp, dict(zip([*CASES, *EARLY], ends + early))


def table(out, *begin):
  """The cells of the rows that begin so; columns are two spaces apart."""
  rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()]
  return [row for row in rows if tuple(row[:len(begin)]) == begin]


def test_a_run_shows_its_layers_and_signatures(outcomes):
  code, out, err = outcomes[1]["run"]
  assert (code, err) == (0, "")
  assert table(out, "encoder/layer_1 Dense") == [["encoder/layer_1 Dense", "16", "1,040", "/CPU:0"]]
  assert table(out, "encode", "output")[0][2:6] == ["codes", "encode/codes:0", "float32",
                                                   "[batch, 3]"]
  total = 64 * 16 + 16 + 16 * 3 + 3 + 16 + 64
  assert f"{total:,} parameters in 6 variables" in out
  _, of_export, _ = outcomes[1]["export"]
  assert f"{total:,} values in 6 weights" in of_export
  assert table(of_export, "encoder/layer_1/kernel") == [
      ["encoder/layer_1/kernel", "[64, 16]", "1,024"]]


def test_ops_are_those_of_the_inference_graph_and_the_export_has_the_same(outcomes):
  code, out, _ = outcomes[1]["ops"]
  assert code == 0
  assert table(out, "encode/encoder/layer_1/Relu") == [["encode/encoder/layer_1/Relu", "Relu", "-"]]
  assert table(out, "images") == [["images", "Placeholder", "-"]]
  of_export = outcomes[1]["ops of the export"][1]
  assert out[out.index("op  "):] == of_export[of_export.index("op  "):]


def test_variables_have_shape_dtype_device_and_whether_they_are_trained(outcomes):
  code, out, _ = outcomes[1]["ops"]
  variables = out[:out.index("op  ")]
  assert code == 0 and len(variables.splitlines()) == 7
  assert table(variables, "encoder/layer_1/kernel") == [
      ["encoder/layer_1/kernel", "[64, 16]", "float32", "/CPU:0", "yes"]]


def test_signatures_have_dtype_shape_and_meaning(outcomes):
  _, out, _ = outcomes[1]["ops of the export"]
  (row,) = table(out, "encode", "input")
  assert row[2:] == ["images", "images:0", "float32", "[batch, 8, 8, 1]",
                     "images of 8 x 8 x 1 in the dataset's units, 0 to 16"]
  assert "weight" not in out


def test_a_tensor_of_a_run_and_of_its_export_is_what_the_layer_computes(outcomes):
  tmp, ends = outcomes
  assert [ends[name][0] for name in ("layer", "layer of the export", "decoded")] == [0, 0, 0], ends
  model = build.load_model(tmp / "run")[0]
  image = tfae.load("digits").test.images[:1].astype(np.float64).reshape(1, 64) / 16
  kernel, bias = (v.numpy() for v in (model.encoder.layers[1].kernel, model.encoder.layers[1].bias))
  # A pixel of 16 levels comes through 256 levels of a PNG.
  expected = np.maximum(image @ kernel + bias, 0)
  found = np.load(tmp / "layer.npy")
  np.testing.assert_allclose(found, expected, atol=0.05)
  assert found.max() > 0.2
  np.testing.assert_array_equal(np.load(tmp / "exported.npy"), found)
  np.testing.assert_allclose(np.load(tmp / "decoded.npy"),
                             model.decode(np.ones((2, 3), np.float32)).numpy(), rtol=1e-5)
  _, out, _ = ends["described"]
  numbers = model.encoder.layers[1].kernel.numpy()
  assert out.startswith(f"encoder/layer_1/kernel:0: float32 (64, 16), from {numbers.min():.6g} to ")


@pytest.mark.parametrize("name, text", [
    ("nearest", "Did you mean 'encoder/layer_1/relu'"),
    ("no input", "depends on the input codes. Give --feed=codes=FILE.npy"),
    ("no such output", "the op has no such output"),
    ("wrong feed", "has shape (1, 16); expected (n, 3)"),
    ("unknown feed", "the model has no such input; it has codes, images"),
    ("no checkpoint", "77"),
    *((name, text) for name, (_, text) in EARLY.items())])
def test_a_mistake_is_one_line_with_exit_code_2(outcomes, name, text):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and text in err
  assert err.startswith("error: ") and err.count("\n") == 1
