"""The process of one Python client: loads a model, answers every signature, is measured.

  python worker.py CLIENT.py MODEL INPUTS.npz OUTPUTS.npz TIMED CALLS BATCHES

INPUTS.npz holds `signature/input` [n, ...]; OUTPUTS.npz gets `signature/output/batch` for each of
BATCHES. The signature TIMED is called CALLS times at batch 1. The last line of stdout is JSON.
"""

import importlib.util
import json
import os
import sys
import time

import numpy as np

LARGE_CALLS = 20  # at the largest batch


def resident_mb():
  """Returns this process's resident memory, from the kernel."""
  with open("/proc/self/status", encoding="ascii") as file:
    kilobytes, = (line.split()[1] for line in file if line.startswith("VmRSS"))
  return int(kilobytes) / 1024


def seconds(function, inputs):
  start = time.perf_counter()
  function(**inputs)
  return time.perf_counter() - start


def main(client, model, inputs, outputs, timed, calls, batches):
  spec = importlib.util.spec_from_file_location("client", client)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  batches = list(map(int, batches.split(",")))
  feeds = {}
  with np.load(inputs) as saved:
    for path in saved.files:
      key, name = path.split("/")
      feeds.setdefault(key, {})[name] = saved[path]

  def some(key, batch):
    return {name: value[:batch] for name, value in feeds[key].items()}

  start = time.perf_counter()
  functions = module.load(model)
  load = time.perf_counter() - start
  first = seconds(functions[timed], some(timed, 1))
  one, large = some(timed, 1), some(timed, max(batches))
  for _ in range(min(20, int(calls))):
    functions[timed](**one)
  latencies = [seconds(functions[timed], one) for _ in range(int(calls))]
  functions[timed](**large)
  whole = [seconds(functions[timed], large) for _ in range(LARGE_CALLS)]
  resident = resident_mb()
  answers = {}
  for key in sorted(functions):
    for batch in batches:
      for name, value in functions[key](**some(key, batch)).items():
        answers[f"{key}/{name}/{batch}"] = np.asarray(value)
  np.savez(outputs, **answers)
  return {"load_ms": 1e3 * load, "first_ms": 1e3 * first,
          "p50_ms": 1e3 * float(np.percentile(latencies, 50)),
          "p99_ms": 1e3 * float(np.percentile(latencies, 99)),
          "images_s": max(batches) / float(np.percentile(whole, 50)), "resident_mb": resident}


if __name__ == "__main__":
  answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
  os.dup2(2, 1)  # whatever a runtime prints is no part of the answer
  with answer:
    print(json.dumps(main(*sys.argv[1:])), file=answer)
