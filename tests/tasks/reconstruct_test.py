"""The task reconstruct: penalties from the config to the run."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, training
from tfae import experiment as ex
from tfae.errors import InputError

DATA = runs.dataset()
TERMS = {"sparsity": 0.5, "sparsity_target": 0.2, "code_l1": 0.1, "contractive": 0.01}
MODEL = ex.Model((tfae.Flatten(), tfae.Dense(6, activation="sigmoid")))


def experiment(**fields):
  return runs.experiment(**{"model": MODEL, "task": tfae.Reconstruct(**TERMS), **fields})


def test_a_config_sets_the_terms_and_they_go_through_json():
  config = tfae.default_config()
  config.model.encoder = MODEL.encoder
  config.task.update(TERMS)
  found = ex.from_config(config)
  assert found.task == tfae.Reconstruct(**TERMS)
  assert ex.from_json(ex.to_json(found)) == found
  assert tfae.Reconstruct("sum_squared_error").loss == "sum_squared_error"


def test_a_penalty_on_the_wrong_encoder_is_refused_at_the_door():
  with pytest.raises(InputError, match="task.sparsity=1: .*must end in .*'sigmoid'"):
    runs.experiment(task=tfae.Reconstruct(sparsity=1.0))
  with pytest.raises(InputError, match="task.contractive=1: not with BatchNorm"):
    experiment(task=tfae.Reconstruct(contractive=1.0),
               model=ex.Model((tfae.Flatten(), tfae.BatchNorm(), tfae.Dense(2)),
                              (tfae.Dense(12), tfae.Reshape((4, 3, 1))), tied=False))


@pytest.mark.parametrize("fields", [
    pytest.param({"jit_compile": "on"}, marks=pytest.mark.full, id="jit"),
    pytest.param({"compute_dtype": "bfloat16"}, id="bfloat16")])
def test_a_run_with_all_terms_resumes_to_the_same_bits(tmp_path, fields):
  training.train(experiment(**fields), tmp_path / "whole", data=DATA)
  training.train(experiment(steps=8, **fields), tmp_path / "run", data=DATA)
  assert training.train(experiment(**fields), tmp_path / "run", data=DATA).step == 12
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "run")
  model, *_ = build.load_model(tmp_path / "run")
  assert model.penalties.given == TERMS


def test_terms_are_part_of_the_training_loss_and_not_of_the_evaluation(tmp_path):
  still = experiment(optimizer=tfae.SGD(1e-30), epochs=1)
  training.train(still, tmp_path / "with", data=DATA)
  training.train(runs.replace(still, task=tfae.Reconstruct()), tmp_path / "without", data=DATA)
  value = lambda name, kind: next(line["loss"] for line in runs.lines(tmp_path / name)
                                  if line["kind"] == kind)
  assert value("with", "test") == value("without", "test")
  assert value("with", "epoch") > value("without", "epoch") + 0.1


@pytest.mark.full
def test_the_target_of_sparsity_is_what_units_go_to(tmp_path):
  def mean_activation(**terms):
    name = "with" if terms else "without"
    training.train(experiment(task=tfae.Reconstruct(**terms), epochs=60,
                              optimizer=tfae.Adam(0.02)), tmp_path / name, data=DATA)
    model, *_ = build.load_model(tmp_path / name)
    return float(model.encode(DATA.train.images).numpy().mean())
  assert mean_activation(sparsity=5.0, sparsity_target=0.1) == pytest.approx(0.1, abs=0.03)
  assert mean_activation() > 0.2
