"""The exporter, as a program, on a run that really trained."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tmpfs
import tfae
from tfae import experiment, training, warmup

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "export" / "export_saved_model.py"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  """A run of 40 steps on the embedded digits, its best checkpoint not its last."""
  path = tmp_path_factory.mktemp("run")
  config = experiment.Experiment(
      data=experiment.Data("digits", validation=100),
      model=experiment.Model((tfae.Flatten(), tfae.Dense(6)), subtract_mean=True),
      optimizer=tfae.Adam(1e-2), batch_size=100, steps=40,
      placement=experiment.Placement("/CPU:1", "/CPU:2", "/CPU:3"))
  training.train(config, path)
  return path


def start(*arguments, **environment):
  return subprocess.Popen([sys.executable, SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})


def finish(process):
  out, err = process.communicate()
  return process.returncode, out, err.splitlines()


# What is done to a copy of the run, and what the exporter says: without TensorFlow, and with it.
SPOILT = {
    "no run": (lambda run: shutil.rmtree(run), "holds no run"),
    "no examples": (lambda run: (run / "examples.npy").write_bytes(b"no"),
                    "examples.npy: can't be read"),
    "no config": (lambda run: (run / "config.json").write_text("{"), "config.json: damaged"),
    "no checkpoint": (lambda run: shutil.rmtree(run / "checkpoints"), "no checkpoint in"),
}


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(workdir, tmp_path_factory):
  """(folder, {case: how it ended}): exporters at work two at a time, each with its verifier."""
  tmp = tmp_path_factory.mktemp("exports")
  for name, (spoil, _) in SPOILT.items():
    shutil.copytree(workdir, tmp / name)
    spoil(tmp / name)
  for version in "12":
    (tmp / "kept" / version).mkdir(parents=True)
  call = lambda run, to, *more: [str(SCRIPT), f"--workdir={run}", f"--export_dir={tmp / to}",
                                 *more]
  late = {"one": call(workdir, "served"), "two": call(workdir, "served"),
          "best": call(workdir, "kept", "--checkpoint=best", "--keep=1",
                      "--warmup=0"),
          "raw": call(workdir, "raw", "--warmup=3", "--raw_inputs=uint8,bytes"),
          "no step": call(workdir, "none", "--checkpoint=0"),
          "no checkpoint": call(tmp / "no checkpoint", "none")}
  early = {name: call(tmp / name, "none") for name in SPOILT if name != "no checkpoint"}
  early["no such input"] = call(workdir, "none", "--raw_inputs=uint8,jpeg")
  ends = runs.many(list(late.values()), tmp_path_factory.mktemp("said"),
                   ["tensorflow", "tfae.build", "tfae.workdir", "tfae.exporting"])
  ends += runs.many(list(early.values()), tmp_path_factory.mktemp("said"), ["tfae.workdir"])
  return tmp, dict(zip([*late, *early], ends, strict=True))


def test_two_exporters_at_once_publish_two_versions_of_the_same_bytes(outcomes):
  tmp, ends = outcomes
  assert [ends[name][0] for name in ("one", "two")] == [0, 0], ends
  one, two = ({path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (tmp / "served" / version).rglob("*") if path.is_file()}
               for version in "12")
  assert one == two and set(one) == {"saved_model.pb", "signature.json", "fingerprint.pb",
                                     "tf_serving_warmup_requests"}
  assert sorted(path.name for path in (tmp / "served").iterdir()) == ["1", "2"]
  # What it prints is what is there: sums, bytes, and bytes a parameter (64 x 6 + 6 + 64).
  _, out, _ = ends["one"]
  for digest in one.values():
    assert digest in out
  size = (tmp / "served/1/saved_model.pb").stat().st_size
  assert f"{size:,} bytes, {size / (64 * 6 + 6 + 64):.3f} a parameter (454)" in out


def test_a_run_placed_on_other_devices_serves_what_its_checkpoint_holds(workdir, outcomes):
  images = np.load(workdir / "examples.npy").astype(np.float32)
  requests = warmup.read(outcomes[0] / "served/1")
  assert [(key, len(feeds[min(feeds)])) for key, feeds in requests] == [
      (key, batch) for key in ("decode", "encode", "reconstruct", "score", "serving_default")
      for batch in (1, 32)]
  np.testing.assert_array_equal(requests[3][1]["images"], images[:32])
  served = tf.saved_model.load(str(outcomes[0] / "served/1")).signatures
  reader = tf.train.load_checkpoint(str(workdir / "checkpoints/ckpt-40"))

  def weight(path):
    return reader.get_tensor(f"model/{path}/.ATTRIBUTES/VARIABLE_VALUE")

  kernel, bias = weight("encoder/layers/1/kernel"), weight("encoder/layers/1/bias")
  mean = weight("mean")
  codes = (images / 16 - mean).reshape(-1, 64) @ kernel + bias
  back = (codes @ kernel.T + weight("decoder/layers/0/bias")).reshape(-1, 8, 8, 1)
  np.testing.assert_allclose(served["encode"](images=images)["codes"], codes, atol=1e-5)
  np.testing.assert_allclose(served["reconstruct"](images=images)["reconstruction"],
                             (back + mean) * 16, atol=1e-4)


def test_best_is_the_lowest_validation_loss_and_signature_json_names_its_step(workdir, outcomes):
  tmp, ends = outcomes
  lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
  # The last one is there because the run ended within an epoch: no checkpoint competes with it.
  best = min((line for line in lines if line["kind"] == "validation" and "closing" not in line),
             key=lambda line: line["loss"])
  code, out, err = ends["best"]
  assert code == 0, err
  described = json.loads((tmp / "kept/3/signature.json").read_text())
  assert described["metadata"]["dataset"] == "digits"  # how tfae-predict reads a picture
  assert described["metadata"]["step"] == best["step"] and f"step {best['step']}" in out
  assert not (tmp / "kept/3/assets.extra").exists()


def test_a_step_without_a_checkpoint_is_one_line(workdir, outcomes):
  assert not (workdir / "checkpoints/ckpt-0.index").exists()
  code, _, err = outcomes[1]["no step"]
  assert code == 2 and "expected 'latest', 'best' or one of the steps" in err.splitlines()[-1]


def test_raw_inputs_are_signatures_that_answer_to_the_files_of_a_caller(workdir, outcomes):
  served = tf.saved_model.load(str(outcomes[0] / "raw/1")).signatures
  assert sorted(served) == ["decode", "encode", "encode_bytes", "encode_uint8", "reconstruct",
                            "reconstruct_bytes", "reconstruct_uint8", "score", "score_bytes",
                            "score_uint8", "serving_default"]
  images = np.load(workdir / "examples.npy")[:3].astype(np.float32)  # whole numbers, 0 to 16
  pixels = np.rint(images * 255 / 16).astype(np.uint8)
  seen = tf.constant(pixels / np.float32(255) * 16)
  expected = served["score"](images=seen)["score"]
  files = [tf.io.encode_png(image) for image in pixels]
  for found in (served["score_uint8"](images_uint8=tf.constant(pixels)),
                served["score_bytes"](image_bytes=tf.stack(files))):
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5)
  requests = dict(warmup.read(outcomes[0] / "raw/1"))  # the larger of each
  assert requests["score_bytes"]["image_bytes"][0].startswith(b"\x89PNG")
  np.testing.assert_array_equal(requests["score_uint8"]["images_uint8"], pixels)


def test_a_raw_input_that_there_is_not_is_one_line_and_nothing_published(outcomes):
  code, _, err = outcomes[1]["no such input"]
  assert (code, err.count("\n")) == (2, 1)
  assert "raw_inputs='jpeg': expected one of 'uint8', 'bytes'" in err


def test_keep_retires_old_versions_and_never_the_newest(outcomes):
  assert [path.name for path in (outcomes[0] / "kept").iterdir()] == ["3"]


@pytest.mark.parametrize("name", SPOILT)
def test_a_workdir_that_can_not_be_exported_is_one_line_and_nothing_published(outcomes, name):
  tmp, ends = outcomes
  code, _, err = ends[name]
  assert (code, err.count("\n")) == (2, 1) and SPOILT[name][1] in err
  assert not (tmp / "none").exists()


def test_a_full_disk_is_one_line_and_exit_code_2_and_a_full_temporary_folder_is_in_nobody_s_way(
    workdir, tmp_path):
  with tmpfs.mounted(tmp_path / "tmp", 4096) as temporary, \
      tmpfs.mounted(tmp_path / "disk", 16 << 10) as disk:
    tmpfs.fill(temporary)
    (disk / "served" / "1").mkdir(parents=True)
    (disk / "served" / "1" / "saved_model.pb").write_text("before")
    arguments = f"--workdir={workdir}", f"--export_dir={disk}/served"
    code, out, err = finish(start(*arguments, TMPDIR=str(temporary)))
    assert (code, out, len(err)) == (2, "", 1), err
    assert f"export_dir='{disk}/served': No space left on device" in err[0]
    assert "Make room" in err[0]
    assert [str(path.relative_to(disk)) for path in sorted(disk.rglob("*"))] == [
        "served", "served/1", "served/1/saved_model.pb"]
    assert (disk / "served" / "1" / "saved_model.pb").read_text() == "before"
    tmpfs.resize(disk, 4 << 20)
    code, out, err = finish(start(*arguments, TMPDIR=str(temporary)))
    assert code == 0 and f"published {disk}/served/2" in out, err
    assert tf.saved_model.load(str(disk / "served" / "2")).signatures["encode"]
