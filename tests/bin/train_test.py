"""tfae-train as a program: what it prints and how it ends (kills: resume_test)."""

import json
import pathlib
import re
import shutil
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
from tfae import experiment as experiments
from tfae import training
from tfae.checkpoint import steps

CONFIG = """
import tfae

def get_config():
  config = tfae.default_config()
  config.model.encoder = (tfae.Flatten(), tfae.Dense(5, activation="tanh"), tfae.Dense(2))
  config.optimizer.name = "adam"
  config.batch_size = 400
  config.epochs = 2
  config.logging.tensorboard = False
  return config
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
  """{name: (exit code, stdout, stderr)}, and the folder."""
  folder = tmp_path_factory.mktemp("train")
  (folder / "config.py").write_text(CONFIG)
  scope = {}
  exec(CONFIG, scope)  # pylint: disable=exec-used
  training.train(experiments.from_config(scope["get_config"]()), folder / "complete")
  shutil.copytree(folder / "complete", folder / "other")
  case = lambda workdir, *flags: ["train", f"--config={folder}/config.py",
                                  f"--workdir={folder}/{workdir}", *flags]
  cases = {
      "complete": case("complete"),
      "other": case("other", "--config.seed=5", "--config.batch_size=40",
                    "--config.optimizer.learning_rate=0.5"),
      "nan": case("nan", "--config.optimizer.learning_rate=1e30"),
      "placement": case("placement", "--print_placement", "--config.jit_compile=on",
                        "--config.strategy=multi_worker")}
  ends = runs.many(list(cases.values()), tmp_path_factory.mktemp("said"),
                   ["tensorflow", "sklearn.datasets", "tfae.training"])
  return folder, dict(zip(cases, ends))


def test_a_run_that_is_complete_says_so(outcomes):
  folder, ends = outcomes
  code, out, err = ends["complete"]
  assert code == 0, err
  result = json.loads(out)
  assert result["run"] == "was complete already" and result["step"] == 8
  assert result["workdir"] == f"{folder}/complete"
  (test,) = [line for line in runs.lines(folder / "complete") if line["kind"] == "test"]
  assert result["test"]["loss"] == test["loss"] and result["test"]["step"] == 8


def test_a_folder_of_another_run_is_refused_with_every_difference(outcomes):
  _, ends = outcomes
  code, out, err = ends["other"]
  assert (code, out) == (2, "") and err.count("\n") == 1
  for text in ("seed: 0 -> 5", "batch_size: 400 -> 40", "optimizer.learning_rate: 0.001 -> 0.5"):
    assert text in err


def test_a_loss_that_is_not_finite_ends_with_exit_code_3_step_metric_and_a_good_checkpoint(
    outcomes):
  folder, ends = outcomes
  code, out, err = ends["nan"]
  assert (code, out) == (3, "")
  assert re.match(r"stopped: step 2: loss is (inf|nan)", err.splitlines()[-1])
  assert "Traceback" not in err
  assert steps(folder / "nan" / "checkpoints") == [0]


def test_print_placement_lists_every_variable_and_op_forward_and_backward(outcomes):
  folder, ends = outcomes
  code, out, err = ends["placement"]
  assert code == 0, err
  assert not (folder / "placement").exists()
  rows = [line.split() for line in out.splitlines()]
  variables = {row[2]: row[1] for row in rows if row[0] == "variable"}
  weights = {f"encoder/layer_{i}/{w}" for i in (1, 2) for w in ("kernel", "bias")}
  weights |= {"decoder/layer_0/bias", "decoder/layer_1/bias"}
  assert set(variables) == weights | {f"{w}/adam_{m}" for w in weights for m in "mv"} | {
      "step", "best_loss", "best_step", "stopping_loss", "stale", "totals", "last"}
  assert set(variables.values()) == {"/CPU:0"}
  ops = [row for row in rows if row[0] in ("forward", "backward", "update")]
  # Without a device are only the arguments and results of functions.
  assert {device for _, device, *_ in ops if device.startswith("/")} == {"/CPU:0"}
  kinds = lambda direction: " ".join(op for d, *rest in ops if d == direction for op in rest)
  assert "MatMul" in kinds("forward") and "MatMul" in kinds("backward")
  assert kinds("update").count("ResourceApplyAdam") >= 6
  assert "6 variables" in out  # the summary comes first
