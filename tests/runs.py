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
from tfae import build, graph, loop, saved_model, thresholds
from tfae import workdir as workdirs
from tfae.data.datasets import Dataset, Split
from tfae.data.pipeline import Batch

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
# Everything that could lose its place: dropout, moving averages, slots, a schedule, a best loss,
# a partial batch.
CONFIG = """
import tfae

def get_config():
  config = tfae.default_config()
  config.data.validation = 97
  config.model.encoder = (tfae.Flatten(), tfae.Dropout(0.2), tfae.Dense(16, activation="elu"),
                          tfae.BatchNorm(), tfae.Dense(4))
  config.optimizer.learning_rate = 1e-2
  config.optimizer.schedule = "cosine"
  config.optimizer.warmup_steps = 5
  config.optimizer.clip_norm = 0.2
  config.optimizer.weight_decay = 1e-2
  config.batch_size = 50
  config.epochs = 3
  config.jit_compile = "off"
  config.logging.steps = 7
  config.logging.tensorboard = False
  config.checkpoints.seconds = 0.0
  return config
"""
QUIET = experiments.Logging(steps=10, tensorboard=False, film=0)


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


def batch(images, weights=None):
  """A batch of images without labels, all of them examples by default."""
  images = tf.convert_to_tensor(images)
  return Batch(images, images, None, tf.ones(images.shape[0]) if weights is None else weights)


def assert_gradients(call, variables, gradients, *, every=1, rtol=1e-6, atol=1e-9):
  """Gradients agree with central differences of `call()[0]`, a float64 loss, at some places.

  Args:
    call: returns the loss first; deterministic.
    variables, gradients: parallel lists.
    every: looks at one of so many values of a variable.
  """
  assert len(gradients) == len(variables)
  step = 1e-5
  for variable, found in zip(variables, gradients):
    assert found.shape == variable.shape and found.dtype == variable.dtype
    value = variable.numpy()
    for index in list(np.ndindex(value.shape))[::every]:
      sides = []
      for sign in (1, -1):
        moved = value.copy()
        moved[index] += sign * step
        variable.assign(moved)
        sides.append(call()[0].numpy())
      np.testing.assert_allclose(found.numpy()[index], (sides[0] - sides[1]) / (2 * step),
                                 rtol=rtol, atol=atol, err_msg=variable.name)
    variable.assign(value)


def replace(experiment_, **fields):
  return dataclasses.replace(experiment_, **fields)


def publish(workdir, folder):
  """Writes what export_saved_model.py would of a run, in this process, unverified.

  The border of its images is said to be dark, as that of the digits is.
  """
  model, _, config, step = build.load_model(workdir, device="/CPU:0")
  signatures, metadata = model.signatures(config["data"]["max_value"]), {"border": 0.0}
  threshold = thresholds.of_checkpoint(workdir, step)
  if threshold:
    signatures = thresholds.add(signatures, threshold.value)
    metadata["threshold"] = dataclasses.asdict(threshold)
  saved_model.write(folder, graph.freeze(signatures),
                    {**metadata, **workdirs.export_metadata(config)})


def python(*arguments, **options):
  """Starts a Python that finds tfae; text pipes for its three streams."""
  return subprocess.Popen([sys.executable, *map(str, arguments)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **{"env": ENVIRONMENT, **options})


def finish(process):
  """Returns (exit code, stdout, stderr)."""
  out, err = process.communicate(timeout=300)
  return process.returncode, out, err


# Runs programs, two at a time, each in a fork of a process that has imported what they share:
# TensorFlow alone takes seconds, and is safe to fork until its first op.
_MANY = """
import importlib, json, os, runpy, signal, sys, traceback
preload, folder, cases, interrupted_at = json.load(sys.stdin)
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run without
class Refuse:
  def find_spec(self, name, *rest):
    if name == interrupted_at:
      try:
        os.kill(os.getpid(), signal.SIGINT)
      except KeyboardInterrupt:  # what a library may do of it
        raise ImportError("no such thing")
    if name.split(".")[0] == "tensorflow":
      os._exit(99)
if "tensorflow" not in preload:
  sys.meta_path.insert(0, Refuse())
for name in preload:
  importlib.import_module(name)
codes, running = {}, {}
def wait():
  child, status = os.wait()
  codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
for index, (binary, *flags) in enumerate(cases):
  child = os.fork()
  if not child:
    for number, name in ((1, "out"), (2, "err")):
      os.dup2(os.open(f"{folder}/{name}-{index}", os.O_CREAT | os.O_WRONLY), number)
    sys.argv = [binary if binary.endswith(".py") else "tfae-" + binary, *flags]
    code = 1
    try:
      if binary.endswith(".py"):
        runpy.run_path(binary, run_name="__main__")
        code = 0
      else:
        importlib.import_module("tfae.bin." + binary).run()
    except SystemExit as end:
      code = end.code or 0
    except BaseException:
      traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  running[child] = index
  if len(running) == 2:
    wait()
while running:
  wait()
print(json.dumps([codes[index] for index in range(len(cases))]))
"""


def many(cases, folder, preload, interrupted_at=None):
  """Runs programs of tfae; returns a list of (exit code, stdout, stderr).

  Args:
    cases: lists [NAME, FLAG, ...], NAME that of a module of tfae.bin or the path of a script.
    folder: an empty one, for their output.
    preload: modules to import before the forks; without "tensorflow" among them, importing that
      ends a program with exit code 99.
    interrupted_at: module at whose import a program gets SIGINT.
  """
  done = subprocess.run([sys.executable, "-c", _MANY], text=True, capture_output=True,
                        input=json.dumps([preload, str(folder), cases, interrupted_at]),
                        env=ENVIRONMENT, cwd=folder, check=False)
  assert done.returncode == 0, done.stderr
  return [(code, *((folder / f"{stream}-{index}").read_text() for stream in ("out", "err")))
          for index, code in enumerate(json.loads(done.stdout))]
