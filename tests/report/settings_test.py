"""tfae.report.settings: a config file that is written back makes the same experiment."""

import pathlib

import pytest

import tfae
from tfae import experiment as ex
from tfae.report import settings

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.py"))
CHANGED = ex.Experiment(
    data=ex.Data("mnist", fractions=(0.7, 0.2, 0.1), stratify=True),
    model=ex.Model((
        tfae.Branch(((tfae.Conv2D(4, (3, 1), activation="relu"), tfae.BatchNorm()),
                     (tfae.Conv2D(4, 1, kernel_initializer=tfae.Normal(0.05)),)), merge="concat"),
        tfae.Flatten(), tfae.Dense(3, use_bias=False)), decoder=(
            tfae.Dense(784), tfae.Reshape((28, 28, 1))), tied=False),
    optimizer=tfae.SGD(0.5, momentum=0.9), seed=7, steps=3)


def made(text):
  """The Experiment of a config file; one of codes starts from some run."""
  names = {}
  exec(text, names)  # pylint: disable=exec-used
  config = names["get_config"]()
  if config.task.name == "probe":
    config.transfer.init_from = "runs/s13"
  return ex.from_config(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_config_that_is_written_of_an_experiment_equals_it(name):
  experiment = made((ROOT / "configs" / name).read_text())
  assert made(settings.config_file(settings.of(experiment))) == experiment


@pytest.mark.parametrize("experiment", [CHANGED, ex.Experiment()])
def test_layers_in_layers_initialisers_and_ranges_are_written_too(experiment):
  assert made(settings.config_file(settings.of(experiment))) == experiment


def test_what_differs_from_the_default_is_marked_with_the_default_and_nothing_else():
  found = {s.name: (s.value, s.default) for s in settings.of(CHANGED) if s.changed}
  assert found.pop("model.encoder")[1] is None
  assert found.pop("model.decoder") == ("(tfae.Dense(784), tfae.Reshape((28, 28, 1)))", "None")
  assert found == {
      "data.name": ("'mnist'", "'digits'"), "data.fractions": ("(0.7, 0.2, 0.1)", "None"),
      "model.tied": ("False", "True"), "data.stratify": ("True", "False"),
      "optimizer.name": ("'sgd'", "'adam'"),
      "optimizer.learning_rate": ("0.5", None), "optimizer.momentum": ("0.9", "0.0"),
      "seed": ("7", "0"), "steps": ("3", "0")}


def test_sections_can_be_left_out():
  names = {s.name for s in settings.of(ex.Experiment(), leave=("data", "model"))}
  assert "seed" in names and not [n for n in names if n.startswith(("data.", "model."))]
