"""Every file in configs/ builds, trains and saves on real scans; marked: resumes and is published.
"""

import dataclasses
import functools
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build
from tfae import experiment as experiments
from tfae import evaluation, training
from tfae.data import datasets
from tfae.data.datasets import Dataset, Split

CONFIGS = {path.stem: path for path in sorted((runs.ROOT / "configs").glob("*.py"))}


def load(path, init_from=""):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  config.transfer.init_from = init_from
  return experiments.from_config(config)


@functools.cache
def scans(name, train, validation):
  """scikit-learn's scans in the size, colours and range of data set `name`."""
  digits = datasets.load("digits")
  images, labels = (np.concatenate([getattr(split, field) for split in (digits.train, digits.test)])
                    for field in ("images", "labels"))
  if name != "digits":
    images = np.pad(images.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2), (0, 0))) * 15
  if name == "cifar10":
    images = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))).repeat(3, 3)
  starts = np.cumsum([0, train, validation, 40])
  parts = [Split(images[a:b], labels[a:b]) if b > a else None
           for a, b in zip(starts, starts[1:])]
  return Dataset(name, *parts, 16 if name == "digits" else 255)


def trained(path, folder, steps):
  """Trains a config on scans; returns (the short experiment, its data, the Result)."""
  source = ""
  if path.stem.startswith("s14_probe"):
    encoder = path.stem.replace("s14_probe", "s13_conv_vae")
    source = folder.parent / f"{encoder}.npz"
    if not source.exists():
      tfae.save_weights(build.build(load(CONFIGS[encoder]), (28, 28, 1), 255), source)
  experiment = load(path, str(source))
  config, optimizer = experiment.data, experiment.optimizer
  asked = config.validation or config.validation_range or (
      config.fractions and config.train_on == "train")
  # Two batches, the second one partial.
  data = scans(config.name, experiment.batch_size + 10, 20 if asked else 0)
  short = dataclasses.replace(
      experiment, steps=steps, jit_compile="off",
      optimizer=dataclasses.replace(optimizer, warmup_steps=min(optimizer.warmup_steps, 2)),
      logging=dataclasses.replace(experiment.logging, tensorboard=False))
  return short, data, training.train(short, folder, data=data)


@pytest.mark.parametrize("path", CONFIGS.values(), ids=CONFIGS)
def test_a_config_trains_and_is_loaded_again(path, tmp_path):
  _, data, result = trained(path, tmp_path / "run", 3)
  assert (result.step, result.traces) == (3, 1)
  model, experiment, _, step = build.load_model(tmp_path / "run")
  assert step == 3
  evaluate = evaluation.Evaluator(model, seed=experiment.seed,
                                  distortion=build.distortion(experiment, 255, "/device:CPU:0"))
  assert evaluate(data.test)["loss"] == pytest.approx(result.metrics["test"]["loss"], rel=1e-5)


@pytest.mark.full
@pytest.mark.parametrize("path", CONFIGS.values(), ids=CONFIGS)
def test_a_config_resumes_is_frozen_and_passes_the_check_without_tfae(path, tmp_path):
  trained(path, tmp_path / "run", 3)
  short, _, again = trained(path, tmp_path / "run", 4)
  assert (again.step, again.traces) == (4, 1)
  if short.optimizer.schedule == "constant":  # the others look at the length of the run
    trained(path, tmp_path / "whole", 4)
    runs.assert_same_bits(tmp_path / "run", tmp_path / "whole")
  for program in (["export_saved_model.py", f"--workdir={tmp_path}/run",
                   f"--export_dir={tmp_path}/served"],
                  ["check_saved_model.py", f"--saved_model={tmp_path}/served/1"]):
    done = subprocess.run([sys.executable, runs.ROOT / "export" / program[0], *program[1:]],
                          capture_output=True, text=True, env=runs.ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
  assert "PASS" in done.stdout
