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


def test_two_exporters_at_once_publish_two_versions_of_the_same_bytes(workdir, tmp_path):
  arguments = f"--workdir={workdir}", f"--export_dir={tmp_path}/served"
  ends = [finish(process) for process in [start(*arguments), start(*arguments)]]
  assert [code for code, *_ in ends] == [0, 0], ends
  one, two = ({path.name: hashlib.sha256(path.read_bytes()).hexdigest()
               for path in (tmp_path / "served" / version).rglob("*") if path.is_file()}
              for version in "12")
  assert one == two and set(one) == {"saved_model.pb", "signature.json", "fingerprint.pb",
                                     "tf_serving_warmup_requests"}
  assert sorted(path.name for path in (tmp_path / "served").iterdir()) == ["1", "2"]
  # What it prints is what is there: sums, bytes, and bytes a parameter (64 x 6 + 6 + 64).
  _, out, _ = ends[0]
  for digest in one.values():
    assert digest in out
  size = (tmp_path / "served/1/saved_model.pb").stat().st_size
  assert f"{size:,} bytes, {size / (64 * 6 + 6 + 64):.3f} a parameter (454)" in out


def test_a_run_placed_on_other_devices_serves_what_its_checkpoint_holds(workdir, tmp_path):
  code, _, err = finish(start(f"--workdir={workdir}", f"--export_dir={tmp_path}"))
  assert code == 0, err
  images = np.load(workdir / "examples.npy").astype(np.float32)
  requests = warmup.read(tmp_path / "1")
  assert [(key, len(feeds[min(feeds)])) for key, feeds in requests] == [
      (key, batch) for key in ("decode", "encode", "reconstruct", "score", "serving_default")
      for batch in (1, 32)]
  np.testing.assert_array_equal(requests[3][1]["images"], images[:32])
  served = tf.saved_model.load(str(tmp_path / "1")).signatures
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


def test_a_named_step_is_exported_and_best_is_the_lowest_validation_loss(workdir, tmp_path):
  lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
  best = min((line for line in lines if line["kind"] == "validation"), key=lambda l: l["loss"])
  for checkpoint, step in (("best", best["step"]), ("0", 0)):
    code, out, err = finish(start(f"--workdir={workdir}", f"--export_dir={tmp_path}/{checkpoint}",
                                  f"--checkpoint={checkpoint}", "--warmup=0"))
    if step == 0 and not (workdir / "checkpoints/ckpt-0.index").exists():
      assert code == 2 and "expected 'latest', 'best' or one of the steps" in err[-1]
      continue
    assert code == 0, err
    described = json.loads((tmp_path / checkpoint / "1/signature.json").read_text())
    assert described["metadata"]["step"] == step and f"step {step}" in out
    assert not (tmp_path / checkpoint / "1/assets.extra").exists()


def test_keep_retires_old_versions_and_never_the_newest(workdir, tmp_path):
  for _ in range(2):
    code, _, err = finish(start(f"--workdir={workdir}", f"--export_dir={tmp_path}", "--keep=1"))
    assert code == 0, err
  assert [path.name for path in tmp_path.iterdir()] == ["2"]


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


@pytest.mark.parametrize("spoil,message", [
    (lambda run: shutil.rmtree(run), "holds no run"),
    (lambda run: shutil.rmtree(run / "checkpoints"), "no checkpoint in"),
    (lambda run: (run / "examples.npy").write_bytes(b"no"), "examples.npy: can't be read"),
    (lambda run: (run / "config.json").write_text("{"), "config.json: damaged"),
])
def test_a_workdir_that_can_not_be_exported_is_one_line_and_nothing_published(
    spoil, message, workdir, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(workdir, run)
  spoil(run)
  code, _, err = finish(start(f"--workdir={run}", f"--export_dir={tmp_path}/served"))
  assert (code, len(err)) == (2, 1) and message in err[0]
  assert not (tmp_path / "served").exists()
