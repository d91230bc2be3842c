"""tfae-weights, and tfae-train --init_from, as programs."""

import json
import pathlib
import re
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
from tfae import checkpoint
from tfae import experiment as experiments
from tfae import training

CONFIG = """
import tfae

def get_config():
  config = tfae.default_config()
  config.data.validation = 97
  config.model.encoder = (tfae.Flatten(), tfae.Dense(5, activation="tanh"), tfae.Dense(2))
  config.batch_size = 400
  config.epochs = 2
  config.logging.tensorboard = False
  return config
"""
PROBE = CONFIG.replace("  return config", """  config.task.name = "probe"
  config.model.head = (tfae.Dense(10),)
  config.early_stopping.patience = 1
  config.early_stopping.min_delta = 100.0
  config.epochs = 5
  return config""")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
  """{name: (exit code, stdout, stderr)}, and the folder."""
  folder = tmp_path_factory.mktemp("weights")
  for name, text in (("config", CONFIG), ("probe", PROBE)):
    (folder / f"{name}.py").write_text(text)
  scope = {}
  exec(CONFIG, scope)  # pylint: disable=exec-used
  training.train(experiments.from_config(scope["get_config"]()), folder / "run")
  weights = lambda *flags: ["weights", f"--workdir={folder}/run", *flags]
  probe = lambda *flags: ["train", f"--config={folder}/probe.py", *flags]
  cases = {
      "weights": weights(f"--out={folder}/w.npz"),
      "again": weights(f"--out={folder}/again.npz"),
      "first": weights(f"--out={folder}/first.npz", "--checkpoint=0"),
      "no step": weights(f"--out={folder}/x.npz", "--checkpoint=7"),
      "no npz": weights(f"--out={folder}/w.txt"),
      "no out": weights(),
      "no run": ["weights", f"--workdir={folder}/nowhere", f"--out={folder}/x.npz"],
      "probe": probe(f"--workdir={folder}/probe", f"--init_from={folder}/run:encoder"),
      "same": probe(f"--workdir={folder}/same", f"--init_from={folder}/run:encoder",
                    f"--config.transfer.init_from={folder}/run:encoder", "--config.epochs=1"),
      "both": probe(f"--workdir={folder}/x", f"--init_from={folder}/run",
                    f"--config.transfer.init_from={folder}/w.npz"),
      "neither": probe(f"--workdir={folder}/x"),
      "gone": probe(f"--workdir={folder}/x", f"--init_from={folder}/gone")}
  ends = runs.many(list(cases.values()), tmp_path_factory.mktemp("said"),
                   ["tensorflow", "sklearn.datasets", "tfae.training"])
  return folder, dict(zip(cases, ends))


def test_weights_writes_the_newest_checkpoint_by_name_and_the_same_bytes_each_time(outcomes):
  folder, ends = outcomes
  code, out, err = ends["weights"]
  assert code == 0, err
  expected, step = checkpoint.read_weights(folder / "run/checkpoints")
  assert json.loads(out) == {"workdir": f"{folder}/run", "checkpoint": step,
                             "out": f"{folder}/w.npz",
                             "weights": {name: list(v.shape) for name, v in expected.items()}}
  with np.load(folder / "w.npz") as archive:
    assert set(archive.files) == set(expected)
    assert all(archive[n].tobytes() == v.tobytes() for n, v in expected.items())
  assert (folder / "w.npz").read_bytes() == (folder / "again.npz").read_bytes()


def test_weights_takes_a_step(outcomes):
  folder, ends = outcomes
  assert ends["first"][0] == 0 and json.loads(ends["first"][1])["checkpoint"] == 0
  assert (folder / "first.npz").read_bytes() != (folder / "w.npz").read_bytes()


@pytest.mark.parametrize("case, named", [
    ("no step", "checkpoint='7': expected 'latest', 'best' or one of the steps"),
    ("no npz", "w.txt: expected a file that ends in .npz"), ("no out", "--out="),
    ("no run", "holds no run"),
    ("both", "--init_from=.*/run: the config has transfer.init_from='.*w.npz'. Give one of"),
    ("neither", "task.name='probe': needs a trained encoder"),
    ("gone", "transfer.init_from='.*gone': there is no run in")])
def test_a_mistake_is_one_line_and_exit_code_2(outcomes, case, named):
  folder, ends = outcomes
  code, out, err = ends[case]
  assert (code, out) == (2, "") and re.search(named, err.splitlines()[-1]), err
  assert "Traceback" not in err and not (folder / "x").exists() and not list(folder.glob("x.npz"))


def test_train_starts_from_a_run_stops_early_and_says_both(outcomes):
  folder, ends = outcomes
  code, out, err = ends["probe"]
  assert code == 0, err
  # A loss can't fall by 100 nats: the first evaluation counts, the second one is the last.
  result = json.loads(out)
  assert (result["run"], result["step"]) == ("stopped early", 8)
  assert "took 4 variables: encoder/layer_1/bias" in err and "frozen: encoder." in err
  assert "stopped early (patience=1)" in err
  given, found = (checkpoint.read_weights(folder / name / "checkpoints")[0]["encoder/layer_1/bias"]
                  for name in ("run", "probe"))
  assert given.tobytes() == found.tobytes()
  assert ends["same"][0] == 0
