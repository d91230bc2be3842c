"""Small runs for the tests of training: data, experiments, and what a run left behind."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

import tfae
from tfae import experiment as experiments
from tfae import loop
from tfae.data.datasets import Dataset, Split

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
QUIET = experiments.Logging(steps=10, tensorboard=False)


def dataset(train=23, validation=6, test=5, size=(4, 3), seed=0):
  """Random images, uint8 `[n, *size, 1]`."""
  random = np.random.default_rng(seed)
  split = lambda n: Split(random.integers(0, 256, (n, *size, 1), np.uint8), None)
  return Dataset("idx", split(train), split(validation) if validation else None, split(test), 255)


def experiment(**fields):
  """A dense autoencoder without dropout on `dataset()`: 6 steps an epoch, the last one partial."""
  defaults = {
      "data": experiments.Data("idx", validation=6),
      "model": experiments.Model((tfae.Flatten(), tfae.Dense(5, activation="tanh"),
                                  tfae.Dense(2))),
      "optimizer": tfae.Adam(1e-2), "batch_size": 4, "epochs": 2, "seed": 3, "logging": QUIET,
      "jit_compile": "off"}
  return experiments.Experiment(**{**defaults, **fields})


def tensors(workdir, step=None):
  """{name: value} of all that a checkpoint holds, the newest by default."""
  directory = pathlib.Path(workdir) / "checkpoints"
  if step is None:
    step = max(int(path.stem[5:]) for path in directory.glob("ckpt-*.index"))
  reader = tf.train.load_checkpoint(str(directory / f"ckpt-{step}"))
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
          if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def lines(workdir):
  """The lines of metrics.jsonl without what the clock decides."""
  result = [json.loads(text) for text in (pathlib.Path(workdir) / "metrics.jsonl").open()]
  for line in result:
    line.pop("timing", None)
  return result


def assert_same_bits(one, other):
  """Two runs ended with the same bits in weights, slots, standing and log."""
  a, b = tensors(one), tensors(other)
  assert sorted(a) == sorted(b)
  assert any("slots" in name for name in a) and any("kernel" in name for name in a)
  for name in a:
    assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name
  assert lines(one) == lines(other)


class Killed(BaseException):
  """What stands for kill -9 inside one process: nobody catches it."""


@contextlib.contextmanager
def stops(*steps, before=None, after=None):
  """Cuts loops at `steps`; there calls before(step) and, once the step is taken, after(step).

  Nothing outside the graph has happened between the loop that ends at a step and `after`.
  """
  original = loop.Loop.run

  def run(self, first, count):
    if before and first in steps:
      before(first)
    count = min([count, *(step - first for step in steps if step > first)])
    result = original(self, first, count)
    if after and first + count in steps:
      after(first + count)
    return result

  loop.Loop.run = run
  try:
    yield
  finally:
    loop.Loop.run = original


def replace(experiment_, **fields):
  return dataclasses.replace(experiment_, **fields)


def python(*arguments, **options):
  """Starts a Python that finds tfae; text pipes for its three streams."""
  return subprocess.Popen([sys.executable, *map(str, arguments)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **{"env": ENVIRONMENT, **options})


def finish(process):
  """Returns (exit code, stdout, stderr)."""
  out, err = process.communicate(timeout=300)
  return process.returncode, out, err
