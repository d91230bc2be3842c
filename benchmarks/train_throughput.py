"""Training throughput: tfae beside its peers; same model, batch, data and machine, in one run.

    python benchmarks/train_throughput.py [--systems=S04:100,S04:500,S05:100] [--rounds=5]

Rounds are interleaved, so that a machine that slows down slows every contender. Printed for each:
images a second (median over rounds), its ratio to tfae round by round (median, lowest, highest),
and the loss after the last step, so that nobody is fast by doing less. The peers: the same graph
called once a step from Python, and Keras fit (16 and 64 steps an execution, jit on and off). Keras
draws other first weights and another order, so its loss agrees in size, not in digits.
"""

import argparse
import dataclasses
import importlib.util
import math
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tfae.data import datasets
from tfae.experiment import from_config
from tfae.training import prepare

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
SYSTEMS = {"S04": "mnist_tied_dense.py", "S05": "mnist_tied_conv.py"}


class TiedDense(keras.Model):
  """S04 as a Keras user would write it."""

  def __init__(self, normal):
    super().__init__()
    sizes = (784, 512, 256, 128, 64)
    self.kernels = [self.add_weight(shape=pair, initializer=normal)
                    for pair in zip(sizes, sizes[1:])]

  def call(self, x):
    shape = tf.shape(x)
    x = tf.reshape(x, [-1, 784])
    for kernel in self.kernels:
      x = tf.nn.relu(x @ kernel)
    for kernel in reversed(self.kernels):
      x = tf.nn.relu(tf.matmul(x, kernel, transpose_b=True))
    return tf.reshape(x, shape)


class TiedConv(keras.Model):
  """S05 as a Keras user would write it."""

  def __init__(self, normal):
    super().__init__()
    self.kernels = [self.add_weight(shape=(4, 4, n, 16), initializer=normal) for n in (1, 16, 16)]

  def call(self, x):
    shapes = []
    for kernel in self.kernels:
      shapes.append(tf.shape(x))
      x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
    for kernel, shape in zip(reversed(self.kernels), reversed(shapes)):
      x = tf.nn.relu(tf.nn.conv2d_transpose(x, kernel, shape, 2))
    return x


def tfae_run(experiment, data, jit, loop):
  """Returns steps -> loss, that trains for so many steps in loops of `loop`."""
  run = prepare(dataclasses.replace(experiment, jit_compile=jit, steps_per_loop=loop), data)

  def train(steps):
    end = run.step + steps
    while run.step < end:
      left = run.batches.steps_per_epoch - run.step % run.batches.steps_per_epoch
      done, _ = run.loop.run(run.step, min(loop, left, end - run.step))
      run.step += done
    return float(run.loop.last.numpy()[0])
  return train


def keras_run(system, images, batch, steps_per_execution, jit):
  """Returns steps -> loss through Keras fit."""
  model = {"S04": TiedDense, "S05": TiedConv}[system](keras.initializers.RandomNormal(0, 0.02))
  model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse", jit_compile=jit,
                steps_per_execution=steps_per_execution)
  x = images.astype(np.float32) / 255
  x -= x.mean(axis=0)

  def train(steps):
    loss = None
    while steps > 0:
      part = x[:min(steps * batch, len(x))]
      loss = model.fit(part, part, batch_size=batch, epochs=1, verbose=0).history["loss"][-1]
      steps -= math.ceil(len(part) / batch)
    return loss
  return train


def contenders(system, batch, data):
  """Returns {name: steps -> loss}."""
  spec = importlib.util.spec_from_file_location(system, CONFIGS / SYSTEMS[system])
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  experiment = dataclasses.replace(from_config(module.get_config()), batch_size=batch)
  bfloat16 = dataclasses.replace(experiment, compute_dtype="bfloat16")
  rows = {"tfae": tfae_run(experiment, data, "auto", 100),
          "tfae, other jit": tfae_run(experiment, data, "off" if system == "S04" else "on", 100),
          "tfae, bfloat16, no jit": tfae_run(bfloat16, data, "off", 100),
          "a call a step": tfae_run(experiment, data, "off", 1)}
  for steps, jit in ((16, False), (64, False), (64, True)):
    if system == "S04" or not jit:
      name = f"Keras fit, {steps} steps an execution" + (", jit" if jit else "")
      rows[name] = keras_run(system, data.train.images, batch, steps, jit)
  return rows


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--systems", default="S04:100,S04:500,S05:100")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--steps", type=int, default=200, help="steps a round at batch 100")
  args = parser.parse_args()
  data = datasets.load("mnist")
  print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores")
  for entry in args.systems.split(","):
    system, batch = entry.split(":")
    batch = int(batch)
    steps = max(20, args.steps * 100 // batch)
    rows = contenders(system, batch, data)
    rates, losses = {name: [] for name in rows}, {}
    for train in rows.values():
      train(128)  # tracing, compiling, first touch
    for _ in range(args.rounds):
      for name, train in rows.items():
        began = time.perf_counter()
        losses[name] = train(steps)
        rates[name].append(steps * batch / (time.perf_counter() - began))
    print(f"\n{system}, batch {batch}, {args.rounds} rounds of {steps} steps")
    print(f"{'contender':36} {'images/s':>9} {'to tfae':>8} {'lowest':>7} {'highest':>7} {'loss':>8}")
    for name, values in rates.items():
      ratios = [value / own for value, own in zip(values, rates["tfae"])]
      print(f"{name:36} {statistics.median(values):9,.0f} {statistics.median(ratios):8.2f} "
            f"{min(ratios):7.2f} {max(ratios):7.2f} {losses[name]:8.5f}")


if __name__ == "__main__":
  main()
