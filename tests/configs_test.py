"""Every file in configs/ builds, trains, saves and resumes: three steps on images of noise."""

import dataclasses
import importlib.util
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import build, evaluation
from tfae import experiment as experiments
from tfae import training
from tfae.data import datasets

CONFIGS = sorted((runs.ROOT / "configs").glob("*.py"))
CONFIGS = [path for path in CONFIGS if path.name != "__init__.py"]


def load(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module, experiments.from_config(module.get_config())


def test_there_are_configs():
  assert "quickstart" in [path.stem for path in CONFIGS]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_trains_three_steps_saves_and_resumes(path, tmp_path, monkeypatch):
  _, experiment = load(path)
  images = experiment.batch_size + 10  # two batches, the second one partial

  def noise(name, data_dir, validation, *_):
    assert name in datasets.NAMES and data_dir is None
    size = (8, 8) if name == "digits" else (28, 28)
    return runs.dataset(images, min(validation, 20), 15, size)

  monkeypatch.setattr(datasets, "load", noise)
  optimizer = experiment.optimizer
  short = dataclasses.replace(
      experiment, steps=3, optimizer=dataclasses.replace(
          optimizer, warmup_steps=min(optimizer.warmup_steps, 2)),
      logging=dataclasses.replace(experiment.logging, tensorboard=False), jit_compile="off")
  first = training.train(short, tmp_path)
  assert (first.step, first.traces) == (3, 1)
  again = training.train(dataclasses.replace(short, steps=4), tmp_path)
  assert (again.step, again.traces) == (4, 1)
  if optimizer.schedule == "constant":  # the others look at the length of the run
    training.train(dataclasses.replace(short, steps=4), tmp_path / "whole")
    runs.assert_same_bits(tmp_path, tmp_path / "whole")
  model, _, _, step = build.load_model(tmp_path)
  assert step == 4
  data = noise(short.data.name, None, short.data.validation)
  assert evaluation.Evaluator(model)(data.test)["loss"] == pytest.approx(
      again.metrics["test"]["loss"], rel=1e-5)
