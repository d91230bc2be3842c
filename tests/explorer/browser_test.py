"""The explorer in real Chromium, opened as a file and served: numbers beside the SavedModel's."""

import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import threading

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
for folder in (ROOT / "tests", ROOT / "export"):  # for whatever import mode pytest runs in
  sys.path.append(str(folder))
import runs
import tfae
from check_saved_model import difference
from converters import targets
from tfae import experiment as ex
from tfae import build, graph, saved_model, thresholds, training

DRIVER = ROOT / "tests" / "export" / "clients"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome")
BOUND = 1e-4
MODELS = {
    "plane": (ex.Model((tfae.Flatten(), tfae.Dense(32, activation="relu")),
                       (tfae.Dense(32, activation="relu"), tfae.Dense(64),
                        tfae.Reshape((8, 8, 1))), tied=False, latent=2), tfae.Variational()),
    "map": (ex.Model((tfae.Conv2D(3, 3, stride=2, activation="relu"),
                      tfae.Conv2D(2, 3, stride=2))), tfae.Reconstruct()),
}

pytestmark = pytest.mark.full


@pytest.fixture(name="tmp", scope="module")
def fixture_tmp(tmp_path_factory):
  """A folder with the exports of MODELS and their pages, the map's from a file of examples."""
  for program in ("chromium", "node", "npm"):
    if not (CHROMIUM if program == "chromium" else shutil.which(program)):
      pytest.skip(f"{program} is not installed")
  if targets.TARGETS["onnx"].missing():
    pytest.skip(targets.TARGETS["onnx"].missing())
  if not (DRIVER / "node_modules" / "playwright-core").is_dir():
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"],
                          cwd=DRIVER, capture_output=True, text=True, check=False)
    if done.returncode:
      pytest.skip(f"playwright-core can't be had: npm says {done.stderr.strip()[:200]}")
  tmp = tmp_path_factory.mktemp("explorer")
  for name, (model, task) in MODELS.items():
    run, export = tmp / name / "run", tmp / name / "export"
    training.train(ex.Experiment(model=model, task=task, batch_size=100, steps=150,
                                 jit_compile="off", logging=runs.QUIET), run)
    built, _, _, _ = build.load_model(run, device="/CPU:0")
    metadata, signatures = {"border": 0.0, "dataset": "digits"}, built.signatures(16)
    if name == "map":
      examples = tf.constant(np.load(run / "examples.npy"), tf.float32)
      scores = signatures["score"].function(images=examples)["score"]
      metadata["threshold"] = {"value": float(np.median(scores))}
      signatures = thresholds.add(signatures, metadata["threshold"]["value"])
    saved_model.write(export, graph.freeze(signatures), metadata)
    given = f"--examples={run}/examples.npy" if name == "map" else f"--workdir={run}"
    done = subprocess.run([sys.executable, "-m", "tfae.bin.explore", f"--saved_model={export}",
                           f"--out={tmp / name}", given], env=runs.ENVIRONMENT,
                          capture_output=True, text=True, check=False)
    if "onnxruntime-web" in done.stderr and "can't be had" in done.stderr:
      pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
  return tmp


@pytest.fixture(name="drive", scope="module")
def fixture_drive(tmp):
  """Drives the page of a model; returns what explorer_driver.mjs saw."""
  def drive(name, *steps, url=None):
    page = tmp / name / "index.html"
    done = subprocess.run(["node", DRIVER / "explorer_driver.mjs", url or page.as_uri(), CHROMIUM,
                           *map(str, steps)],
                          cwd=DRIVER, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["blocked"] == [] and seen["faults"] == []
    assert seen["asked"] == [url or page.as_uri()]  # the page itself, and nothing else
    return seen["steps"]
  return drive


@pytest.fixture(name="served", scope="module")
def fixture_served(tmp):
  """{model: its SavedModel's signatures, of one example each, as arrays}."""
  loaded = {name: tf.saved_model.load(str(tmp / name / "export")) for name in MODELS}

  def call(name, key, example):
    signature = loaded[name].signatures[key]
    (given, spec), = signature.structured_input_signature[1].items()
    values = tf.constant(np.reshape(example, (1, *spec.shape[1:])), tf.float32)
    return {output: value.numpy()[0] for output, value in signature(**{given: values}).items()}
  return call


def same(found, expected):
  """Whether a flat list of the page has the values of an array, within BOUND."""
  return difference(np.reshape(found, (1, *np.shape(expected))), expected[None]) <= BOUND


def test_keys_move_the_point_and_what_is_decoded_there_is_the_saved_models(drive, served):
  start, right, up, far, home = drive("plane", "focus=#plane", "key=ArrowRight", "key=ArrowUp",
                                      "key=Shift+ArrowLeft", "key=Home")
  assert start["focus"] == "plane"
  step = np.subtract(right["code"], start["code"])
  assert step[0] > 0 and step[1] == 0
  assert np.subtract(up["code"], right["code"])[1] > 0
  np.testing.assert_allclose(np.subtract(far["code"], up["code"]), [-10 * step[0], 0], rtol=1e-4)
  assert home["code"] == start["code"]
  for seen in (start, right, up, far):
    decoded = served("plane", "decode", seen["code"])["reconstruction"]
    assert same(seen["decoded"], decoded)
  assert not same(far["decoded"], served("plane", "decode", start["code"])["reconstruction"])


def test_a_drag_ends_where_the_pointer_does_and_neighbours_are_those_of_numpy(drive, served):
  data = tfae.load("digits").test.images
  codes = np.stack([served("plane", "encode", image)["mean"] for image in data])
  low, high = codes.min(axis=0), codes.max(axis=0)
  seen, = drive("plane", "drag=.5,.5,.25,.1")
  room = .04 * (high - low)
  least, most = low - room, high + room
  expected = least + [.25, .9] * (most - least)
  np.testing.assert_allclose(seen["code"], expected, atol=.01 * (most - least).max())
  distances = np.linalg.norm(codes - seen["code"], axis=1)
  assert [example for example, _ in seen["neighbours"]] == np.argsort(distances)[:8].tolist()
  np.testing.assert_allclose([d for _, d in seen["neighbours"]], np.sort(distances)[:8], rtol=1e-3)
  assert same(seen["decoded"], served("plane", "decode", seen["code"])["reconstruction"])


def test_a_picture_gets_the_code_reconstruction_and_score_of_the_saved_model(
    drive, served, tmp_path):
  pixels = tfae.load("digits").test.images[5, ..., 0]
  Image.fromarray(np.uint8(np.rint(pixels * 255 / 16))).save(tmp_path / "a.png")
  Image.fromarray(np.full((20, 12, 3), 90, np.uint8)).save(tmp_path / "b.png")
  (tmp_path / "words.png").write_text("words")
  bad, seen, moved, back, bad_again, dropped = drive(
      "plane", f"file={tmp_path}/words.png", f"file={tmp_path}/a.png", "click=#to-zero",
      "click=#to-code", f"drop={tmp_path}/words.png", f"drop={tmp_path}/b.png")
  for step in (bad, bad_again):
    assert step["error"].startswith("words.png is not an image that this browser can read")
  assert seen["error"] == dropped["error"] == ""
  np.testing.assert_allclose(seen["image"]["values"],
                             np.rint(pixels * 255 / 16).ravel() * 16 / 255, atol=1e-5)
  np.testing.assert_allclose(dropped["image"]["values"], 90 * 16 / 255, atol=1e-5)
  for step in (seen, dropped):
    image = step["image"]["values"]
    code = served("plane", "encode", image)["mean"]
    assert same(step["image"]["code"], code) and same(step["code"], code)
    assert same(step["image"]["reconstruction"],
                served("plane", "reconstruct", image)["reconstruction"])
    score = float(served("plane", "score", image)["score"])
    assert step["image"]["score"] == pytest.approx(score, rel=BOUND)
  assert moved["code"] == [0, 0] and back["code"] == seen["code"]


def test_the_same_file_is_taken_again_and_of_two_files_the_one_chosen_last(drive, tmp_path):
  for name, side in (("small", 8), ("large", 3000)):
    Image.fromarray(np.uint8(np.random.default_rng(0).integers(0, 256, (side, side)))).save(
        tmp_path / f"{name}.png")
  Image.new("L", (8, 8), 90).save(tmp_path / "grey.png")
  small, grey, again, last = drive(
      "plane", f"file={tmp_path}/small.png", f"drop={tmp_path}/grey.png",
      f"file={tmp_path}/small.png", f"hurry={tmp_path}/large.png,{tmp_path}/grey.png")
  assert again["image"]["values"] == small["image"]["values"] != grey["image"]["values"]
  assert last["image"]["values"] == grey["image"]["values"]


def test_what_is_wrong_with_a_file_is_said_in_sight_and_the_image_before_it_stays(drive, tmp_path):
  (tmp_path / "words.png").write_text("words")
  Image.new("1", (10_000, 6_000)).save(tmp_path / "large.png")
  drawn, bad, large, turned = drive(
      "plane", "draw", "size=400x700", f"file={tmp_path}/words.png", f"file={tmp_path}/large.png",
      "click=#invert")
  assert bad["error"] and 0 <= bad["errorTop"] < 700
  assert large["error"].startswith("large.png has 10000 × 6000 pixels; here a picture may have 50")
  np.testing.assert_allclose(turned["image"]["values"],
                             16 - np.array(drawn["image"]["values"]), atol=1e-5)


def test_a_point_beyond_the_plane_is_said_to_be_there(drive, served, tmp_path):
  data = tfae.load("digits").test.images
  codes = np.stack([served("plane", "encode", image)["mean"] for image in data])
  room = .04 * np.ptp(codes, axis=0)
  least, most = codes.min(axis=0) - room, codes.max(axis=0) + room
  pixels = np.random.default_rng(0).integers(0, 256, (200, 8, 8)).astype(np.uint8)
  noise = np.stack([served("plane", "encode", image * (16 / 255))["mean"] for image in pixels])
  far = np.maximum(least - noise, noise - most)
  odd = int(np.argmax(far.max(axis=1)))
  outside = far[odd] > 0
  assert outside.any()
  Image.fromarray(pixels[odd]).save(tmp_path / "odd.png")
  start, seen = drive("plane", "run=1", f"file={tmp_path}/odd.png")
  assert "beyond" not in start["where"]
  assert ["beyond the plane" in line for line in seen["where"].split("\n")] == outside.tolist()


def test_the_right_button_moves_no_point(drive):
  before, after = drive("plane", "run=1", "menu=.1,.1")
  assert after["code"] == before["code"]


def test_sliders_have_names_follow_the_point_and_are_no_live_regions(drive, served):
  data = tfae.load("digits").test.images
  codes = np.stack([served("plane", "encode", image)["mean"] for image in data])
  # The slider keeps the focus.
  _, end, mean = drive("plane", 'focus=role=slider[name="code 0"]', "key=End",
                       "run=document.getElementById('to-mean').click()")
  assert end["code"][0] == pytest.approx(codes[:, 0].max(), rel=1e-3)
  order = np.argsort(-codes.var(axis=0), kind="stable")
  expected, steps = codes.mean(axis=0)[order], np.ptp(codes, axis=0)[order] / 200
  assert (np.abs(mean["sliders"] - expected) <= .6 * steps).all()
  assert sorted(mean["live"]) == ["error", "spoken", "status"]


def test_a_drawing_moves_the_point_to_its_code(drive, served):
  seen, = drive("plane", "draw")
  values = np.reshape(seen["image"]["values"], (8, 8))
  assert values[1:3, 3:5].sum(axis=0).min() > 8 and values[6:, 6:].max() == 0  # in it, beside it
  assert same(seen["code"], served("plane", "encode", values)["mean"])


def test_a_neighbour_is_taken_as_the_image(drive, served):
  before, seen = drive("plane", "run=1", "click=#neighbours button:nth-child(3)")
  example = before["neighbours"][2][0]
  image = tfae.load("digits").test.images[example]
  np.testing.assert_array_equal(seen["image"]["values"], image.ravel())
  assert same(seen["code"], served("plane", "encode", image)["mean"])
  assert seen["neighbours"][0][0] == example and not seen["canInvert"]


def test_the_way_from_a_to_b_begins_and_ends_at_their_codes(drive):
  _, a, _, b, half, end = drive("plane", "drag=.5,.5,.2,.3", "click=#set-a", "drag=.5,.5,.7,.6",
                                "click=#set-b", "slide=#between,50", "slide=#between,100")
  assert a["code"] != b["code"]
  np.testing.assert_allclose(half["code"], np.add(a["code"], b["code"]) / 2, rtol=1e-5)
  assert (end["code"], end["decoded"]) == (b["code"], b["decoded"])


# A frame each time the browser paints, so at least the first and the last, however busy it is.
@pytest.mark.parametrize("motion, fewest, most", [("run=1", 2, 1000), ("still", 8, 8)])
def test_playing_goes_to_b_in_steps_for_who_asks_for_less_motion(motion, fewest, most, drive):
  _, _, b, _, a, _, _, played = drive(
      "plane", motion, "drag=.5,.5,.7,.6", "click=#set-b", "drag=.5,.5,.3,.2", "click=#set-a",
      "run=new MutationObserver(() => (window.shares ??= []).push(1)).observe("
      "document.getElementById('share'), {childList: true})", "click=#play",
      "wait=share,100 %")
  assert played["code"] == b["code"] != a["code"]
  assert fewest <= played["shares"] <= most


def test_a_finger_moves_the_point_and_what_it_comes_to_is_said_once_it_is_still(drive):
  before, touched, said = drive(
      "plane", "run=1", "tap=.75,.25",
      "wait=spoken,Nearest: example")
  assert touched["code"][0] > before["code"][0] and touched["code"][1] > before["code"][1]
  x, y = (f"{value:.4g}".replace("-", "\u2212") for value in said["code"])
  assert said["spoken"].startswith(f"code 0 {x}") and f"code 1 {y}" in said["spoken"]
  assert f"Nearest: example {said['neighbours'][0][0]}, class " in said["spoken"]


def test_of_a_map_any_two_dimensions_make_the_plane_and_sliders_move_the_others(
    drive, served, tmp):
  codes = np.stack([served("map", "encode", image)["codes"].ravel()
                    for image in np.load(tmp / "map" / "run" / "examples.npy")])
  order = np.argsort(-codes.var(axis=0), kind="stable")
  across, up, other = order[0], order[1], order[2]
  start, right, slid, _, _, moved = drive(
      "map", "focus=#plane", "key=ArrowRight",
      f"slide=#sliders label:nth-child(3) input,{float(codes[:, other].max())}",
      f"choose=#across,{order[5]}", "focus=#plane", "key=ArrowRight")
  changed = lambda one, two: np.flatnonzero(np.subtract(one["code"], two["code"])).tolist()
  np.testing.assert_allclose(start["code"], codes.mean(axis=0), atol=1e-4)
  assert changed(start, right) == [across] and changed(right, slid) == [other]
  assert changed(slid, moved) == [order[5]] and up not in (across, other)
  assert same(slid["decoded"], served("map", "decode", slid["code"])["reconstruction"])


def test_an_export_with_a_threshold_says_what_is_an_anomaly(drive, served, tmp, tmp_path):
  images = np.load(tmp / "map" / "run" / "examples.npy")
  scores = [served("map", "score", image)["score"] for image in images]
  for name, index in (("plain", np.argmin(scores)), ("odd", np.argmax(scores))):
    Image.fromarray(np.uint8(np.rint(images[index, ..., 0] * (255 / 16)))).save(
        tmp_path / f"{name}.png")
  plain, odd = drive("map", f"file={tmp_path}/plain.png", f"file={tmp_path}/odd.png")
  for seen, verdict in ((plain, False), (odd, True)):
    expected = served("map", "score", seen["image"]["values"])
    assert seen["image"]["score"] == pytest.approx(float(expected["score"]), rel=BOUND)
    assert seen["image"]["isAnomaly"] == bool(expected["is_anomaly"]) == verdict


def test_a_browser_that_is_too_old_is_told_so(drive, tmp):
  (tmp / "old").mkdir()
  text = (tmp / "plane" / "index.html").read_text()
  (tmp / "old" / "index.html").write_text(text.replace(
      "<head>", "<head><script>delete window.DecompressionStream; window.explorer = {}</script>", 1))
  seen, = drive("old", "run=1")
  assert seen["error"].startswith("This browser is too old for this page.")


def test_the_page_works_from_a_server_too(drive, served, tmp):
  class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
      pass

  server = http.server.ThreadingHTTPServer(
      ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp / "plane")))
  threading.Thread(target=server.serve_forever, daemon=True).start()
  try:
    seen, = drive("plane", "drag=.5,.5,.3,.3", url=f"http://127.0.0.1:{server.server_port}/")
  finally:
    server.shutdown()
    server.server_close()
  assert same(seen["decoded"], served("plane", "decode", seen["code"])["reconstruction"])
