"""Runs one runtime on a model in a process of its own."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from runtimes import aot_client, c_client
from runtimes.table import CLIENTS

BATCHES = (1, 3, 100)


class Failed(Exception):
  """A runtime did not answer; says why in one line."""


@dataclasses.dataclass(frozen=True)
class Answer:
  """What a runtime answered: `outputs` {(signature, batch): {output: array}} and `figures`, a
  dict of load_ms, first_ms, p50_ms, p99_ms (batch 1), images_s (largest batch), resident_mb."""
  outputs: dict
  figures: dict


def run(runtime, directory, feeds, timed, calls=200):
  """Returns the Answer of a runtime.

  Args:
    runtime: a `table.Runtime` that is installed.
    directory: the SavedModel, or the folder of what it was converted to.
    feeds: {signature: {input: array [n, ...]}} of the signatures to run, n >= max(BATCHES).
    timed: the signature that is timed.
    calls: how often at batch 1.

  Raises:
    Failed: the process ended with an error, or answered other signatures than asked.
  """
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    if not runtime.client.endswith(".py"):
      answer = _run_program(runtime, directory, feeds, timed, calls, folder)
    else:
      answer = _run_python(runtime, directory, feeds, timed, calls, folder)
  for key in feeds:
    for batch in BATCHES:
      if (key, batch) not in answer.outputs:
        raise Failed(f"signature {key} gave no output at batch {batch}")
  return answer


def _run_python(runtime, directory, feeds, timed, calls, folder):
  np.savez(folder / "inputs.npz", **{
      # npz keeps strings that are objects by pickling only.
      f"{key}/{name}": value.astype("S") if value.dtype == object else value
      for key, inputs in feeds.items() for name, value in inputs.items()})
  worker = pathlib.Path(__file__).with_name("worker.py")
  said = call([sys.executable, worker, CLIENTS / runtime.client, directory,
               folder / "inputs.npz", folder / "outputs.npz", timed, calls,
               ",".join(map(str, BATCHES))])
  outputs = {}
  with np.load(folder / "outputs.npz") as saved:
    for path in saved.files:
      key, name, batch = path.split("/")
      outputs.setdefault((key, int(batch)), {})[name] = saved[path]
  return Answer(outputs, json.loads(said.splitlines()[-1]))


def _run_program(runtime, directory, feeds, timed, calls, folder):
  program = folder / "client"
  if runtime.client == "aot":  # has the model in it
    call(aot_client.build_command(CLIENTS, directory, program))
    command = [program]
  else:
    call(c_client.build_command(program, *([] if runtime.client == "c" else [runtime.client])))
    command = [program, directory]
  outputs, figures = {}, {}
  for key, inputs in feeds.items():
    for batch in BATCHES:
      files = []
      for name, value in inputs.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(value[:batch]))
        files.append(f"{name}={folder / name}.npy")
      out = folder / f"{key}-{batch}"
      out.mkdir()
      arguments = [*command, key, *files, f"--out={out}"]
      if key == timed and batch in (1, max(BATCHES)):
        arguments.append(f"--calls={calls if batch == 1 else c_client.LARGE_CALLS}")
      said = call(arguments)
      outputs[key, batch] = {path.stem: np.load(path) for path in out.iterdir()}
      if key == timed and batch == 1:
        figures.update(c_client.figures(said))
      elif key == timed and batch == max(BATCHES):
        figures["images_s"] = 1e3 * batch / c_client.figures(said)["p50_ms"]
  return Answer(outputs, figures)


def call(command):
  """Returns the stdout of a process without a GPU; raises Failed with its last line of stderr."""
  environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
  done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                        env=environment, errors="replace")
  if done.returncode:
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    raise Failed(lines[-1][:300])
  return done.stdout
