"""The gRPC client, against a double of PredictionService that loads real exports."""

import importlib.util
import pathlib
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[3]
sys.path.append(str(ROOT / "tests"))  # for whatever import mode pytest runs in
import export_toy
from tfae import graph, promotion, saved_model, warmup

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def client():
  pytest.importorskip("grpc", reason="pip install tfae[serving]")
  pytest.importorskip("tensorflow_serving", reason="pip install tfae[serving]")
  spec = importlib.util.spec_from_file_location("grpc_client",
                                                ROOT / "export/clients/grpc_client.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope="module")
def toys():
  """{version: model}: three that differ."""
  made = {}
  for version in (1, 2, 3):
    made[version] = export_toy.Toy()
    made[version].bias.assign([version] * export_toy.CHANNELS)
  return made


@pytest.fixture(scope="module")
def served(client, toys, tmp_path_factory):
  """(the double, its address): 1 is stable, 2 a canary, 3 is not loaded."""
  import prediction_double
  folder = tmp_path_factory.mktemp("served") / "toy"
  for version, toy in toys.items():
    frozen = graph.freeze(toy.signatures())
    saved_model.write(folder / str(version), frozen, requests=warmup.requests(
        frozen.inputs, export_toy.fed(toy)[0], 4))
  promotion.configure(folder, base_path=str(folder))
  promotion.promote(folder, 1)
  promotion.label(folder, "canary", 2)
  service, server, address = prediction_double.start(folder / "serving" / "models.config")
  yield service, address
  server.stop(None)


def test_the_warmup_requests_of_each_loaded_version_run_with_tensorflow_serving_s_messages(served):
  service, _ = served
  assert sorted(service.warmed) == [
      (version, key, batch) for version in (1, 2)
      for key in ("decode", "encode", "reconstruct", "score", "serving_default")
      for batch in (1, 4)]


def test_every_signature_answers_what_the_model_does_at_any_batch(client, served, toys):
  functions = client.load(f"{served[1]}/toy:stable")
  assert sorted(functions) == sorted(toys[1].signatures())
  inputs, references = export_toy.fed(toys[1])
  for key, feeds in inputs.items():
    for batch in (1, 3):
      found = functions[key](**{name: value[:batch] for name, value in feeds.items()})
      assert sorted(found) == sorted(references[key])
      for name, value in found.items():
        np.testing.assert_allclose(value, references[key][name][:batch], atol=1e-5)


def test_encoded_images_reach_a_signature_that_takes_them(client, raw_export, tmp_path):
  import prediction_double
  shutil.copytree(raw_export, tmp_path / "raw/1")
  promotion.configure(tmp_path / "raw", base_path=str(tmp_path / "raw"))
  promotion.promote(tmp_path / "raw", 1)
  _, server, address = prediction_double.start(tmp_path / "raw/serving/models.config")
  pixels = np.random.default_rng(2).integers(0, 256, (2, 28, 28, 1)).astype(np.uint8)
  for name, image in zip("ab", pixels):
    (tmp_path / f"{name}.png").write_bytes(tf.io.encode_png(image).numpy())
  try:
    files = f"{tmp_path}/a.png,{tmp_path}/b.png"
    assert client.run([f"{address}/raw", "reconstruct_bytes", f"image_bytes={files}",
                       f"--out={tmp_path}"]) == 0
    expected = client.load(f"{address}/raw")["reconstruct"](images=pixels.astype(np.float32))
    np.testing.assert_allclose(np.load(tmp_path / "reconstruction.npy"),
                               expected["reconstruction"], atol=1e-3)
    assert client.run([f"{address}/raw", "reconstruct", f"images={files}"]) == 2
  finally:
    server.stop(None)


def test_a_label_a_version_and_neither_reach_the_model_that_they_name(client, served, toys):
  images = export_toy.examples(1)
  for path, version in (("toy:stable", 1), ("toy:canary", 2), ("toy/1", 1), ("toy/2", 2),
                        ("toy", 2)):  # a server's own rule: the highest version that is loaded
    found = client.load(f"{served[1]}/{path}")["encode"](images=images)["codes"]
    np.testing.assert_allclose(found, toys[version].encode(images), atol=1e-5, err_msg=path)


def test_from_the_command_line_outputs_are_printed_and_written(client, served, toys, tmp_path,
                                                                capsys):
  np.save(tmp_path / "images.npy", export_toy.examples(3).astype(np.float64))
  code = client.run([f"{served[1]}/toy:canary", "encode", f"images={tmp_path}/images.npy",
                     f"--out={tmp_path}/out"])
  assert code == 0 and capsys.readouterr().out.startswith("codes float32 [3, 8] [")
  np.testing.assert_allclose(np.load(tmp_path / "out/codes.npy"),
                             toys[2].encode(export_toy.examples(3)), atol=1e-5)


def test_a_mistake_is_one_line_and_exit_code_2(client, served, tmp_path, capsys):
  address = served[1]
  np.save(tmp_path / "images.npy", export_toy.examples(1))
  np.save(tmp_path / "wide.npy", np.zeros([1, 3, 3, 1]))
  (tmp_path / "text.npy").write_text("text")
  images = f"images={tmp_path}/images.npy"
  for arguments, message in (
      ([address, "encode", images], "expected HOST:PORT/NAME"),
      ([f"{address}/other", "encode", images], "NOT_FOUND: Servable not found"),
      ([f"{address}/toy:beta", "encode", images], "INVALID_ARGUMENT: Unrecognized"),
      ([f"{address}/toy/3", "encode", images], "NOT_FOUND: Servable version 3"),
      ([f"{address}/toy", "classify", images], "signature='classify': expected one of decode, enc"),
      ([f"{address}/toy", "encode", f"x={tmp_path}/images.npy"], "encode takes images: found x"),
      ([f"{address}/toy", "encode", f"images={tmp_path}/wide.npy"], "INVALID_ARGUMENT"),
      ([f"{address}/toy", "encode", f"images={tmp_path}/text.npy"], "not a .npy file of numbers"),
      ([f"{address}/toy", "encode", "images=nowhere.npy"], "No such file"),
      ([f"{address}/toy"], "required: signature")):
    assert client.run(arguments) == 2, arguments
    captured = capsys.readouterr()
    line, = captured.err.splitlines()
    assert message in line and captured.out == "", (arguments, line)
