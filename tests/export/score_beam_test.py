"""Batch scoring by Beam's direct runner, beside what the SavedModel itself says."""

import importlib.util
import json
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))  # for whatever import mode pytest runs in
import export_toy
from tfae import graph, saved_model

pytestmark = pytest.mark.full
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 28, 28, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def program():
  pytest.importorskip("apache_beam", reason="pip install tfae[beam]")
  spec = importlib.util.spec_from_file_location("score_beam", ROOT / "export" / "score_beam.py")
  module = importlib.util.module_from_spec(spec)
  sys.modules["score_beam"] = module  # Beam pickles its functions by name
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope="module")
def toy():
  return export_toy.Toy()


@pytest.fixture(scope="module")
def exported(toy, tmp_path_factory):
  directory = tmp_path_factory.mktemp("served") / "1"
  saved_model.write(directory, graph.freeze(toy.signatures()))
  return directory


@pytest.fixture
def folder(tmp_path):
  """Seven PNG files, some below a folder of their own."""
  (tmp_path / "images" / "more").mkdir(parents=True)
  for index, pixels in enumerate(PIXELS):
    path = tmp_path / "images" / ("more" if index > 3 else "") / f"{index}.png"
    path.write_bytes(tf.io.encode_png(pixels).numpy())
  return tmp_path / "images"


def lines(path):
  return {line["key"]: line for line in map(json.loads, path.read_text().splitlines())}


def test_every_file_of_a_folder_has_its_line_with_its_key_and_its_score(program, exported, toy,
                                                                        folder, tmp_path):
  assert program.run([f"--saved_model={exported}", f"--images={folder}", "--batch=3",
                      f"--out={tmp_path}/scores", "--runner=DirectRunner"]) == 0
  found = lines(tmp_path / "scores-00000-of-00001.jsonl")
  expected = toy.score(PIXELS.astype(np.float32))["error"].numpy()
  assert sorted(found) == ["0.png", "1.png", "2.png", "3.png", "more/4.png", "more/5.png",
                           "more/6.png"]
  for index, error in enumerate(expected):
    assert found[("more/" if index > 3 else "") + f"{index}.png"]["error"] == pytest.approx(
        error, rel=1e-5)


def test_records_are_encoded_under_the_keys_that_they_have(program, exported, toy, tmp_path):
  with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
    for index, pixels in enumerate(PIXELS):
      value = lambda content: tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
      feature = {"image": value(tf.io.encode_png(pixels).numpy()),
                 "key": value(f"n{index}".encode())}
      writer.write(tf.train.Example(features=tf.train.Features(
          feature=feature)).SerializeToString())
  assert program.run([f"--saved_model={exported}", f"--tfrecord={tmp_path}/*.tfrecord",
                      "--signature=encode", f"--out={tmp_path}/codes",
                      "--runner=DirectRunner"]) == 0
  found = lines(tmp_path / "codes-00000-of-00001.jsonl")
  codes = [found[f"n{index}"]["codes"] for index in range(len(PIXELS))]
  np.testing.assert_allclose(codes, toy.encode(PIXELS.astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize("name, content, said", [
    ("wide.png", tf.io.encode_png(np.zeros((28, 29, 1), np.uint8)).numpy(),
     "wide.png: 28x29x1, the model takes 28x28x1 (height x width x channels)."),
    ("words.png", b"words", "words.png: neither a PNG nor a JPEG, or damaged."),
    ("torn.png", tf.io.encode_png(PIXELS[0]).numpy()[:-40],
     "torn.png: neither a PNG nor a JPEG, or damaged.")])
def test_a_file_that_is_no_image_of_the_model_is_one_line_and_no_output(
    program, exported, folder, tmp_path, capfd, name, content, said):
  (folder / name).write_bytes(content)
  assert program.run([f"--saved_model={exported}", f"--images={folder}", f"--out={tmp_path}/scores",
                      "--runner=DirectRunner"]) == 2
  assert capfd.readouterr().err.splitlines()[-1] == f"score_beam.py: {said}"
  assert not list(tmp_path.glob("scores*"))


def test_a_record_that_holds_no_image_is_one_line(program, exported, tmp_path, capfd):
  with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
    writer.write(tf.train.Example().SerializeToString())
  assert program.run([f"--saved_model={exported}", f"--tfrecord={tmp_path}/*.tfrecord",
                      f"--out={tmp_path}/scores", "--runner=DirectRunner"]) == 2
  assert "a record is no tf.train.Example with one `image`" in capfd.readouterr().err
  assert not list(tmp_path.glob("scores*"))


KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, {export!r})
import score_beam
from apache_beam.io import localfilesystem
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
instant = sys.argv.pop(1)
if instant == "scoring":
  score_beam.as_line = die
elif instant == "renaming":
  localfilesystem.os.rename = die
sys.exit(score_beam.run(sys.argv[1:]))
"""


@pytest.mark.parametrize("instant", ["scoring", "renaming"])
def test_a_killed_run_leaves_no_output_and_the_next_one_is_whole(program, exported, folder,
                                                                 tmp_path, instant):
  arguments = [f"--saved_model={exported}", f"--images={folder}", f"--out={tmp_path}/scores",
               "--runner=DirectRunner"]
  script = KILLED.format(export=str(ROOT / "export"))
  done = subprocess.run([sys.executable, "-c", script, instant, *arguments], check=False,
                        capture_output=True)
  assert done.returncode == -signal.SIGKILL
  assert not list(tmp_path.glob("scores*.jsonl"))
  assert program.run(arguments) == 0
  assert len(lines(tmp_path / "scores-00000-of-00001.jsonl")) == len(PIXELS)


def test_a_mistake_is_one_line_and_exit_code_2(program, exported, folder, tmp_path, capsys):
  (tmp_path / "empty").mkdir()
  model, images, out = (f"--saved_model={exported}", f"--images={folder}", f"--out={tmp_path}/o")
  for arguments, message in (
      ([model, images], "required: --out"), ([model, out], "one of the arguments --images"),
      ([f"--saved_model={tmp_path}", images, out], "no signature.json"),
      ([model, images, out, "--signature=decode"], "expected one that takes images: encode, rec"),
      ([model, f"--images={tmp_path}/nowhere", out], "nowhere: no such folder"),
      ([model, f"--images={tmp_path / 'empty'}", out], "empty: there is no file below it"),
      ([model, images, out, "--batch=0"], "--batch=0 --shards=1: expected 1 or more of each"),
      ([model, images, out, "--shards=0"], "--batch=100 --shards=0: expected 1 or more")):
    assert program.run(arguments) == 2, arguments
    line, = capsys.readouterr().err.splitlines()
    assert message in line


def test_ctrl_c_is_one_line_and_exit_code_130(program, monkeypatch, capsys):
  def interrupted(arguments):
    raise KeyboardInterrupt
  monkeypatch.setattr(program, "main", interrupted)
  assert program.run([]) == 130
  line, = capsys.readouterr().err.splitlines()
  assert "interrupted" in line
