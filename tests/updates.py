"""Updates of two small variables: problems, how tfae solves them, and specs of every kind."""

import numpy as np
import pytest
import tensorflow as tf

from tfae import optimizers
from tfae.specs.optimizers import SGD, Adadelta, Adam, RMSProp

STEPS = 100
SHAPES = {"encoder/layer_0/kernel": (4, 3), "encoder/layer_0/bias": (3,)}


def problem(seed=5, steps=STEPS):
  """Returns start values and gradients whose size wanders over five decades."""
  rng = np.random.default_rng(seed)
  values = [rng.normal(size=shape) for shape in SHAPES.values()]
  gradients = [[rng.normal(size=shape) * 10 ** rng.uniform(-4, 1) for shape in SHAPES.values()]
               for _ in range(steps)]
  return values, gradients


def make_variables(values, dtype, devices=("CPU:0", "CPU:0")):
  made = []
  for value, name, device in zip(values, SHAPES, devices):
    with tf.device(device):
      made.append(tf.Variable(value.astype(dtype), name=name))
  return made


def run(spec, values, gradients, dtype="float64", wrap=tf.function, **placed):
  """Returns the values after all steps, and the norm that each step returned."""
  variables = make_variables(values, dtype, **placed)
  updater = optimizers.Updater(spec, variables, len(gradients))
  apply = wrap(updater.apply)
  norms = [apply([tf.constant(g, dtype) for g in of_step], tf.constant(step, tf.int64)).numpy()
           for step, of_step in enumerate(gradients)]
  return [v.numpy() for v in variables], norms


def jit(function):
  return tf.function(function, jit_compile=True)


def assert_close(found, expected, **tolerance):
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, **tolerance)


SPECS = [
    SGD(0.05),
    SGD(0.05, momentum=0.9),
    SGD(0.05, momentum=0.9, nesterov=True),
    Adam(0.01),
    Adam(0.02, beta1=0.5, beta2=0.99, epsilon=1e-3),
    RMSProp(0.01),
    RMSProp(0.01, rho=0.5, momentum=0.8, epsilon=1e-3),
    RMSProp(0.01, epsilon_inside_root=True),
    RMSProp(0.01, rho=0.5, momentum=0.8, epsilon=1e-3, epsilon_inside_root=True),
    Adadelta(),
    Adadelta(0.5, rho=0.8, epsilon=1e-4),
    Adam(0.01, schedule="cosine", warmup_steps=10, final_fraction=0.1, clip_norm=1.0,
         weight_decay=0.1),
    SGD(0.1, momentum=0.9, schedule="cosine", warmup_steps=3, weight_decay=0.01, clip_norm=0.5),
]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=repr)
