"""One export of a toy model for all tests of this folder, and the programs of export/ to import."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
for folder in ("tests", "export", "export/clients"):
  sys.path.append(str(ROOT / folder))
import export_toy
from runtimes import c_client, process, worker
from tfae import graph, raw_inputs, saved_model, thresholds, warmup


@pytest.fixture(scope="session")
def toy():
  return export_toy.Toy()


@pytest.fixture(scope="session")
def export(toy, tmp_path_factory):
  """The folder of an exported version, not to be written to."""
  directory = tmp_path_factory.mktemp("exported") / "1"
  saved_model.write(directory, graph.freeze(toy.signatures()), {"dataset": "none"})
  return directory


@pytest.fixture(scope="session")
def small_export(toy, tmp_path_factory):
  """An exported version with one signature, for what runs each in a process of its own."""
  directory = tmp_path_factory.mktemp("small") / "1"
  signatures = {"reconstruct": toy.signatures()["reconstruct"]}
  saved_model.write(directory, graph.freeze(signatures), {"dataset": "none"})
  return directory


@pytest.fixture(scope="session")
def judging_export(toy, tmp_path_factory):
  """An exported version whose score says what is an anomaly; a tenth of the examples are."""
  directory = tmp_path_factory.mktemp("judging") / "1"
  scoring = toy.signatures()["score"]
  errors = scoring.function(export_toy.examples(100))["error"].numpy()
  value = thresholds.choose(errors, 0, contamination=0.1).value
  signatures = thresholds.add({"score": graph.Signature(
      lambda images: {"score": scoring.function(images)["error"]}, scoring.inputs,
      {"score": "error"})}, value)
  saved_model.write(directory, graph.freeze(signatures), {"threshold": {"value": value}})
  return directory


@pytest.fixture(scope="session")
def raw_export(toy, tmp_path_factory):
  """An exported version that takes images as floats, as pixels of a byte and as encoded ones."""
  directory = tmp_path_factory.mktemp("raw") / "1"
  signatures = raw_inputs.add({"reconstruct": toy.signatures()["reconstruct"]},
                              raw_inputs.KINDS, (export_toy.HEIGHT, export_toy.WIDTH, 1), 255)
  frozen, images = graph.freeze(signatures), export_toy.examples(2)
  feeds = {"images": images, **raw_inputs.feeds(raw_inputs.KINDS, images, 255)}
  saved_model.write(directory, frozen, {"dataset": "none"}, requests=warmup.requests(
      frozen.inputs, dict.fromkeys(frozen.inputs, feeds), 2))
  return directory


@pytest.fixture(scope="session")
def images(tmp_path_factory):
  """A .npy file of 100 images of the toy."""
  path = tmp_path_factory.mktemp("images") / "examples.npy"
  np.save(path, export_toy.examples(100))
  return path


@pytest.fixture(scope="session")
def c_program(tmp_path_factory):
  """The C client, built once: linking takes seconds."""
  if not shutil.which("gcc") or not shutil.which("make"):
    pytest.skip("gcc and make are needed to build the C client")
  path = tmp_path_factory.mktemp("c") / "client"
  done = subprocess.run([*c_client.build_command(path), "CFLAGS=-O1 -Wall -Wextra -Werror"],
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  return path


@pytest.fixture
def on_cpu(monkeypatch):
  """The environment that a program of export/ sets for its whole process."""
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
  monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def in_process(monkeypatch):
  """Runs what would be a client's process in this one: importing TensorFlow takes seconds."""
  call = process.call

  def answer(command):
    if command[0] == sys.executable and command[1].name == "worker.py":
      return json.dumps(worker.main(*map(str, command[2:])))
    return call(command)
  monkeypatch.setattr(process, "call", answer)
