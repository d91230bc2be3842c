"""tfae-explore as a program: what it writes of a run of the digits, and what it refuses."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
for folder in (ROOT, ROOT / "explorer"):  # for whatever import mode pytest runs in
  sys.path.append(str(folder))
import explorer_pages as pages
import runs
import tfae
from tfae import experiment as ex
from tfae import graph, saved_model, training

EXPORT, RUN, OUT = "--saved_model={tmp}/export", "--workdir={tmp}/run", "--out={tmp}/site"
FILE = "--examples={tmp}/run/examples.npy"
# {name: (flags, what the line says)}
MISTAKES = {
    "no model": ([RUN, OUT], "--saved_model is missing"),
    "no export": (["--saved_model={tmp}", RUN, OUT], "holds no saved_model.pb"),
    "a classifier": (["--saved_model={tmp}/classifier", RUN, OUT],
                     "has no signature 'decode' and no 'encode', but classify"),
    "a code of one number": (["--saved_model={tmp}/narrow", RUN, OUT], "codes of one number"),
    "four channels": (["--saved_model={tmp}/deep", RUN, OUT], "images of 4 channels"),
    "no out": ([EXPORT, RUN], "--out is missing"),
    "a file as out": ([EXPORT, RUN, "--out={tmp}/run/config.json"], "is a file. Give a folder"),
    "a file where out would be": ([EXPORT, RUN, "--out={tmp}/run/config.json/site"],
                                  "config.json is a file. Give a folder"),
    "a stranger's page": ([EXPORT, RUN, "--out={tmp}/strange"],
                          "an index.html that tfae-explore did not write"),
    "no examples": ([EXPORT, OUT], "give one of --workdir=RUN and --examples=FILE"),
    "two kinds of examples": ([EXPORT, RUN, FILE, OUT], "give one of"),
    "no such run": ([EXPORT, "--workdir={tmp}/nowhere", OUT], "holds no run"),
    "another run's data": (["--saved_model={tmp}/elsewhere", RUN, OUT], "are not those that"),
    "examples of another size": ([EXPORT, "--examples={tmp}/large.npy", OUT], "has shape"),
    "no images": ([EXPORT, RUN, OUT, "--images=0"], "--images"),
    "no runtime": ([EXPORT, RUN, OUT], "npm is not installed. Install npm, or put the files into"),
}


def write(folder, image=(8, 8, 1), code=2, keys=("encode", "decode"), **metadata):
  """An export of these signatures, which says little."""
  images = {"images": graph.Input(tf.TensorSpec([None, *image]), "images", (0, 16))}
  codes = {"codes": graph.Input(tf.TensorSpec([None, code]), "codes")}
  flat = int(np.prod(image))
  signatures = {
      "encode": graph.Signature(lambda images: {"codes": tf.reshape(images, [-1, flat])[:, :code]},
                                images, {"codes": "codes"}),
      "decode": graph.Signature(lambda codes: {"reconstruction": tf.zeros([1, *image]) + tf.reshape(
          codes[:, 0], [-1, 1, 1, 1])}, codes, {"reconstruction": "images"}),
      "classify": graph.Signature(lambda images: {"classes": tf.reduce_sum(images, [1, 2, 3])},
                                  images, {"classes": "classes"})}
  saved_model.write(folder, graph.freeze({key: signatures[key] for key in keys}), metadata)


@pytest.fixture(name="tmp", scope="module")
def fixture_tmp(tmp_path_factory):
  """A folder with the run of a variational model of two numbers, its export, and bad ones."""
  tmp = tmp_path_factory.mktemp("explore")
  training.train(ex.Experiment(
      model=ex.Model((tfae.Flatten(), tfae.Dense(16, activation="relu")),
                     (tfae.Dense(16, activation="relu"), tfae.Dense(64), tfae.Reshape((8, 8, 1))),
                     tied=False, latent=2),
      task=tfae.Variational(), batch_size=100, steps=40, jit_compile="off", logging=runs.QUIET),
                 tmp / "run")
  runs.publish(tmp / "run", tmp / "export")
  write(tmp / "classifier", keys=["classify"])
  write(tmp / "narrow", code=1)
  write(tmp / "deep", image=(8, 8, 4))
  write(tmp / "elsewhere", dataset_sha256="0" * 64)
  np.save(tmp / "large.npy", np.zeros((3, 9, 9, 1)))
  (tmp / "strange").mkdir()
  (tmp / "strange" / "index.html").write_text("<p>mine</p>")
  return tmp


@pytest.fixture(name="ends", scope="module")
def fixture_ends(tmp, tmp_path_factory):
  cases = [["explore", *(flag.format(tmp=tmp) for flag in flags)] for flags, _ in MISTAKES.values()]
  environment = {"TFAE_CACHE": str(tmp / "empty"), "PATH": ""}
  with pytest.MonkeyPatch.context() as patch:
    for name, value in environment.items():
      patch.setitem(runs.ENVIRONMENT, name, value)
    ends = runs.many(cases, tmp_path_factory.mktemp("said"),
                     ["PIL.Image", "sklearn.datasets", "tfae.workdir"])
  return dict(zip(MISTAKES, ends))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_before_tensorflow_is_imported_and_writes_nothing(name, ends, tmp):
  code, out, err = ends[name]
  error = [line for line in err.splitlines() if line.startswith("error:")]
  assert code == 2 and out == "" and len(error) == 1, (code, out, err)
  assert MISTAKES[name][1] in error[0]
  assert not (tmp / "site").exists()
  assert (tmp / "strange" / "index.html").read_text() == "<p>mine</p>"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused_before_the_conversion(tmp, tmp_path):
  (tmp_path / "closed").mkdir(mode=0o500)
  done = subprocess.run([sys.executable, "-m", "tfae.bin.explore", EXPORT.format(tmp=tmp),
                         RUN.format(tmp=tmp), f"--out={tmp_path}/closed/site"],
                        env=runs.ENVIRONMENT, capture_output=True, text=True,
                        check=False)
  assert done.returncode == 2 and "you may not write in" in done.stderr, done.stderr


@pytest.fixture(name="explore", scope="module")
def fixture_explore(tmp):
  """Runs tfae-explore; returns (exit code, stdout, stderr)."""
  pytest.importorskip("tf2onnx")

  def explore(*flags):
    done = subprocess.run([sys.executable, "-m", "tfae.bin.explore",
                           *(flag.format(tmp=tmp) for flag in flags)], env=runs.ENVIRONMENT,
                          capture_output=True, text=True, check=False)
    if "onnxruntime-web" in done.stderr and "can't be had" in done.stderr:
      pytest.skip(done.stderr)
    return done.returncode, done.stdout, done.stderr
  return explore


@pytest.mark.full
def test_the_page_holds_the_first_test_images_with_what_the_saved_model_says_of_them(explore, tmp):
  code, out, _ = explore(EXPORT, RUN, OUT, "--images=50")
  first = (tmp / "site" / "index.html").read_bytes()
  assert code == 0 and f"{len(first):,} bytes" in out
  (tmp / "site" / ".index.html.tmp-7").touch()  # of a writer that was killed
  assert explore(EXPORT, RUN, OUT, "--images=50")[0] == 0  # ours is replaced
  assert (tmp / "site" / "index.html").read_bytes() == first
  assert [path.name for path in (tmp / "site").iterdir()] == ["index.html"]
  facts, parts = pages.facts(first.decode()), pages.parts(first.decode())
  test = tfae.load("digits").test
  served = tf.saved_model.load(str(tmp / "export")).signatures
  images = tf.constant(test.images[:50], tf.float32)
  mean = served["encode"](images=images)["mean"].numpy()
  codes = np.frombuffer(parts["codes"], "<f4").reshape(50, 2)
  np.testing.assert_allclose(codes, mean, atol=1e-5)
  np.testing.assert_allclose(facts["codes"]["variance"], mean.var(axis=0), rtol=1e-4)
  np.testing.assert_allclose(facts["scores"], served["score"](images=images)["score"].numpy(),
                             rtol=1e-5)
  np.testing.assert_array_equal(
      np.frombuffer(parts["images"], np.uint8).reshape(50, 8, 8, 1), test.images[:50])
  assert facts["labels"] == test.labels[:50].tolist() and facts["white"] == 16 and facts["prior"]
  assert [row[:2] for row in facts["classes"]] == [
      [label, str(label)] for label in sorted(set(facts["labels"]))]
