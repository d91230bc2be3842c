"""The judge of everybody's weights sees the loss that tfae sees."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfae import build
from tfae.data.pipeline import Batch

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import judge
import systems


@pytest.mark.parametrize("name", systems.CONFIGS)
def test_the_judge_sees_the_loss_that_tfae_sees(name):
  random = np.random.default_rng(3)
  images = random.integers(0, 256, (6, *systems.IMAGE), np.uint8)
  labels = random.integers(0, 10, 6).astype(np.int32)
  model = build.build(systems.experiment(name), systems.IMAGE, 255, classes=10,
                      train_images=images)
  weights = []
  for variable in model.trainable:
    deviation = 2 / max(np.prod(variable.shape[:-1]), 100)**.5  # biases: of .2
    weights.append(random.normal(0, deviation, variable.shape).astype(np.float32))
    variable.assign(weights[-1])
  assert [w.shape for w in weights] == list(systems.system(name).shapes)
  scaled = images / 255 - (0 if model.mean is None else model.mean.numpy())
  batch = Batch(images, images, labels, tf.ones(6))
  expected = (model.metrics(batch)["loss"] if systems.system(name).loss == "classify"
              else model.score(images)).numpy().mean()
  assert judge.loss(name, weights, scaled, labels) == pytest.approx(expected, rel=1e-5)
  half = [w / 2 for w in weights]
  assert judge.loss(name, half, scaled, labels) != pytest.approx(expected, rel=1e-3)
