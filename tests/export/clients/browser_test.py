"""The browser client in real Chromium, which reaches nothing but this machine."""

import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import threading

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

import convert_saved_model as converting
import export_toy
from check_saved_model import difference
from converters import targets
from tfae import graph, saved_model
from tfae.data import encoded

HERE = pathlib.Path(__file__).parent
PAGE = pathlib.Path(converting.__file__).parent / "clients" / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", name="site_of")
def fixture_site_of(images, tmp_path_factory):
  """A function of an export: the page beside that model, as its Makefile puts it together."""
  for program, found in (("chromium", CHROMIUM), ("node", shutil.which("node")),
                         ("npm", shutil.which("npm")), ("make", shutil.which("make"))):
    if not found:
      pytest.skip(f"{program} is not installed")
  if targets.TARGETS["onnx"].missing():
    pytest.skip(targets.TARGETS["onnx"].missing())
  if not (HERE / "node_modules" / "playwright-core").is_dir():
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"],
                          cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
      pytest.skip(f"playwright-core can't be had: npm says {done.stderr.strip()[:200]}")

  def site_of(export):
    folder = tmp_path_factory.mktemp("browser")
    assert converting.main([f"--saved_model={export}", f"--examples={images}", f"--out={folder}",
                            "--to=onnx"]) == 0
    done = subprocess.run(
        ["make", "-C", PAGE, "site", f"MODEL={folder}/onnx", f"SITE={folder}/site"],
        capture_output=True, text=True, check=False)
    if "npm ERR" in done.stderr or "npm error" in done.stderr:
      pytest.skip(f"onnxruntime-web can't be had: npm says {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    return folder / "site"
  return site_of


@pytest.fixture(scope="module", name="site")
def fixture_site(site_of, export):
  return site_of(export)


@pytest.fixture(name="drive")
def fixture_drive():
  """Serves a folder on this machine, drives its page; returns what browser_driver.mjs saw."""
  class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
      pass

  servers = []

  def drive(folder, *steps):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    servers.append(server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = subprocess.run(["node", HERE / "browser_driver.mjs",
                           f"http://127.0.0.1:{server.server_port}/", CHROMIUM, *steps],
                          cwd=HERE, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

  yield drive
  for server in servers:
    server.shutdown()
    server.server_close()


def test_a_picture_gets_the_code_reconstruction_and_score_of_the_saved_model(
    drive, site, export, tmp_path):
  pixels = np.rint(export_toy.examples(1)[0]).astype(np.uint8)
  Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
  seen = drive(site, f"file={tmp_path}/a.png")
  assert seen["blocked"] == []
  step, = seen["steps"]
  assert (step["error"], step["invert"]) == ("", False) and step["status"].startswith("Done.")
  served = tf.saved_model.load(str(export)).signatures
  for key in ("encode", "reconstruct", "score"):
    (name, expected), = served[key](images=tf.constant(pixels[None], tf.float32)).items()
    found = step["answer"][key][name]
    assert difference(np.reshape(found["data"], (1, *found["shape"])), expected.numpy()) <= 1e-5
  assert float(step["score"]) == pytest.approx(float(expected[0]), rel=1e-5)
  np.testing.assert_array_equal(np.reshape(step["answer"]["seen"], pixels.shape), pixels)


def test_the_score_is_said_to_be_an_anomaly_s_or_none(drive, site_of, judging_export, tmp_path):
  images = np.rint(export_toy.examples(100)).astype(np.uint8)
  found = tf.saved_model.load(str(judging_export)).signatures["score"](
      images=tf.constant(images, tf.float32))
  order = np.argsort(found["score"])
  for name, index in (("none", order[0]), ("anomaly", order[-1])):
    Image.fromarray(images[index, ..., 0]).save(tmp_path / f"{name}.png")
  steps = drive(site_of(judging_export), f"file={tmp_path}/none.png",
                f"file={tmp_path}/anomaly.png")["steps"]
  for step, index, verdict in zip(steps, order[[0, -1]], ("no anomaly", "an anomaly")):
    score, said = step["score"].split(", ")
    assert said == verdict
    assert float(score) == pytest.approx(float(found["score"][index]), rel=1e-5)


def test_of_a_variational_model_the_code_is_the_mean_and_a_sample_can_be_asked_for(
    drive, site_of, toy, tmp_path):
  signatures = toy.signatures()
  vector = graph.Input(tf.TensorSpec([None, 8]), "noise")
  frozen = graph.freeze({
      "encode": graph.Signature(
          lambda images: {"mean": toy.encode(images), "log_variance": 0 * toy.encode(images) - 3},
          signatures["encode"].inputs, {"mean": "the mean", "log_variance": "of the variance"}),
      "sample": graph.Signature(lambda noise: {"samples": toy.decode(noise) * 255},
                                {"noise": vector}, {"samples": "images"})})
  saved_model.write(tmp_path / "1", frozen)
  pixels = np.rint(export_toy.examples(1)[0]).astype(np.uint8)
  Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
  first, second = drive(site_of(tmp_path / "1"), f"file={tmp_path}/a.png", "sample")["steps"]
  mean = toy.encode(pixels[None].astype(np.float32)).numpy()[0]
  np.testing.assert_allclose(list(map(float, first["code"])), mean, atol=1e-4)
  assert first["sampled"] != second["sampled"]


def test_a_model_of_image_files_gets_a_picture_as_its_training_did(drive, site_of, toy, tmp_path):
  frozen = graph.freeze({"encode": toy.signatures()["encode"]})
  saved_model.write(tmp_path / "1", frozen, {"dataset": "images"})
  site = site_of(tmp_path / "1")
  for index, size in enumerate([(40, 160), (90, 31), (9, 12)]):  # wide, high, to be enlarged
    pixels = np.random.default_rng(index).integers(0, 256, size).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    step, = drive(site, f"file={tmp_path}/a.png")["steps"]
    expected = encoded.decode(tf.constant((tmp_path / "a.png").read_bytes()), (28, 28, 1)).numpy()
    found = np.reshape(step["answer"]["seen"], (28, 28, 1))
    # A mean of just a half is rounded by the last bit.
    assert np.abs(found - expected).max() <= 1.001 and np.mean(found != expected) < .02, size


def test_a_drawing_is_what_the_model_sees_and_changes_its_answer(drive, site):
  step, = drive(site, "draw")["steps"]
  assert step["error"] == ""
  seen = np.reshape(step["answer"]["seen"], (28, 28))
  assert seen[7, 12:16].min() > 200 and seen[20:, 20:].max() == 0  # the stroke, and beside it
  assert np.ptp(step["answer"]["encode"]["codes"]["data"]) > 0


def test_what_is_no_picture_is_said_and_the_next_one_works(drive, site, tmp_path):
  (tmp_path / "words.png").write_text("words")
  Image.fromarray(np.full((40, 56, 3), 90, np.uint8)).save(tmp_path / "b.png")
  first, second = drive(site, f"file={tmp_path}/words.png", f"file={tmp_path}/b.png")["steps"]
  assert first["error"] == ("words.png is not an image that this browser can read. Choose a PNG or "
                            "JPEG file.")
  # Another size, and colour, for a grey model of 28 x 28.
  assert second["error"] == "" and set(np.rint(second["answer"]["seen"])) == {90}


def test_a_missing_model_is_said_with_the_way_out(drive, site, tmp_path):
  shutil.copytree(site, tmp_path / "site")
  shutil.rmtree(tmp_path / "site/model")
  step, = drive(tmp_path / "site", "wait")["steps"]
  assert step["error"].startswith("There is no model/signature.json beside this page. Start it with")


def test_a_damaged_model_is_said(drive, site, tmp_path):
  shutil.copytree(site, tmp_path / "site")
  (tmp_path / "site/model/encode.onnx").write_bytes(b"no model")
  step, = drive(tmp_path / "site", "wait")["steps"]
  assert step["error"].startswith("encode.onnx could not be loaded: either it is damaged")
