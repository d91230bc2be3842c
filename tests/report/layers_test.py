"""tfae.report.layers: the table is that of the model itself, which TensorFlow makes."""

import math
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import tfae
from tfae import build
from tfae import experiment as ex
from tfae.report import layers
from tfae.tasks.classify import Classify
from tfae.tasks.variational import Variational

SHAPE = (8, 6, 1)
CONV = (tfae.Conv2D(4, 3, stride=2, activation="relu"), tfae.BatchNorm(), tfae.Flatten(),
        tfae.Dense(5))
BRANCH = (tfae.Branch(((tfae.Conv2D(3, 1),), (tfae.Conv2D(3, 5, activation="relu"),))),
          tfae.MaxPool(2), tfae.Flatten())
EXPERIMENTS = {
    "tied": ex.Experiment(model=ex.Model(CONV)),
    "own kernels": ex.Experiment(model=ex.Model(CONV, tied=False)),
    "variational": ex.Experiment(model=ex.Model(CONV, latent=2, tied=False), task=Variational()),
    "classifier": ex.Experiment(model=ex.Model(BRANCH, head=(tfae.Dense(3),)), task=Classify()),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_names_shapes_parameters_and_ties_are_those_of_the_model_that_is_built(name):
  experiment = EXPERIMENTS[name]
  model = build.build(experiment, SHAPE, 255, classes=3)
  rows = [row for stack in model.components.values() for row in stack.summary_rows()]
  own = sum(math.prod(v.shape) for s in model.components.values() for v in s.own_variables)
  data = {"image_shape": list(SHAPE), "classes": 3}
  for found in (layers.of_experiment(experiment, data),
                layers.of_description(model.description(), SHAPE)):
    assert [(f"{x.name} {x.kind}", " x ".join(map(str, x.shape)), f"{x.parameters:,}", x.tied_to)
            for x in found] == [(name, shape, parameters, tied)
                                for name, shape, parameters, _, tied in rows]
    assert sum(x.parameters for x in found) == own > 0


def test_activations_are_told_and_linear_is_none():
  found = layers.of_experiment(EXPERIMENTS["classifier"], {"image_shape": SHAPE, "classes": 3})
  assert [layer.activation for layer in found][:3] == ["", "", "relu"]
