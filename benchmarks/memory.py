"""Memory: what training takes at most, beside what it can't do without; and whether it grows.

    python benchmarks/memory.py [--workloads=S04:100,S05:100] [--steps=10000] [--markdown=BENCHMARKS.md]

The peak is the largest resident memory of a tfae-train of two epochs on MNIST, with evaluation,
log, TensorBoard and checkpoints, as the kernel counted it. It is compared with the sum of the data
(uint8, with labels), the parameters with their slots, and TensorFlow's floor: the peak of a process
that imports TensorFlow, makes a variable and runs a small tf.function. The growth is that of a
line through the resident memory every 500 steps, after the first 1,000, as a share of its mean.
"""

import argparse
import functools
import importlib.metadata
import json
import math
import statistics
import sys
import tempfile
import time

import numpy as np

import fresh
import machine
import systems
import workloads
from contest import table
from worker import program

DATA = 70_000 * (28 * 28 + 1)  # bytes
EVERY, SETTLED = 500, 1000  # steps between samples; steps before the first that counts
SMALL = ("import tensorflow as tf; v = tf.Variable(1.0); "
         "tf.function(lambda x: v * x)(tf.constant(2.0))")
LEAN = "from tfae.bin import cli; cli.import_tensorflow(); "


def peak(arguments, scratch):
  """Returns the bytes of a program's largest resident memory."""
  program = fresh.Program(arguments, f"{scratch}/log")
  try:
    return program.wait().peak
  finally:
    program.kill()


def train(workload, folder, *flags):
  """Returns the arguments of a training."""
  return [*fresh.TRAIN, f"--config={fresh.ROOT / 'configs' / systems.CONFIGS[workload.system]}",
          f"--workdir={folder}", f"--config.batch_size={workload.batch}", *flags]


def weights(workload):
  """Returns the bytes of the parameters and of Adam's two slots of each."""
  return 3 * 4 * sum(map(math.prod, systems.system(workload.system).shapes))


def samples(workload, steps, scratch):
  """Returns {step: resident bytes} of a training, every `EVERY` steps."""
  program = fresh.Program(
      train(workload, f"{scratch}/long", f"--config.steps={steps}", "--config.logging.steps=100",
            "--config.checkpoints.seconds=2"), f"{scratch}/log")
  found = {}
  try:
    program.first(f"{scratch}/long/metrics.jsonl")
    with open(f"{scratch}/long/metrics.jsonl", encoding="utf-8") as file:
      text = ""
      while not program.ended:
        text += file.readline()
        if not text.endswith("\n"):
          time.sleep(.002)
          continue
        line, text = json.loads(text), ""
        if line["kind"] == "train" and line["step"] % EVERY == 0:
          found[line["step"]] = fresh.resident(program.pid)
    program.wait()
  finally:
    program.kill()
  return found


def growth(found):
  """Returns by what share of their mean samples grew, by the line that fits them best."""
  steps = np.array([step for step in found if step > SETTLED], np.float64)
  sizes = np.array([size for step, size in found.items() if step > SETTLED], np.float64)
  slope, _ = np.polyfit(steps - steps.mean(), sizes, 1)
  return slope * (steps[-1] - steps[0]) / sizes.mean()


def measure(workload, rounds, steps, scratch):
  """Returns {what: bytes, or a share for 'growth'} of a workload; of the peaks the medians."""
  peaks = {"floor": ["-c", SMALL], "lean": ["-c", LEAN + SMALL]}
  found = {name: [] for name in (*peaks, "peak")}
  for number in range(rounds):
    for name, arguments in peaks.items():
      found[name].append(peak(arguments, scratch))
    found["peak"].append(peak(train(workload, f"{scratch}/{workload.system}-{number}",
                                    "--config.epochs=2"), scratch))
  return {**{name: statistics.median(values) for name, values in found.items()},
          "weights": weights(workload), "growth": growth(samples(workload, steps, scratch))}


HEADER = ["training", "peak, MiB", "TensorFlow's floor", "data", "parameters and slots",
          "peak / their sum", "the floor as tfae imports it", "peak / sum with that", "growth"]


def cells(name, found):
  """Returns the line of a workload."""
  rest = DATA + found["weights"]
  mib = lambda size: f"{size / fresh.MEBIBYTE:.1f}"
  return [name, mib(found["peak"]), mib(found["floor"]), mib(DATA), mib(found["weights"]),
          f"{found['peak'] / (found['floor'] + rest):.2f}", mib(found["lean"]),
          f"{found['peak'] / (found['lean'] + rest):.2f}", f"{found['growth']:+.2%}"]


def report(args, lines, markdown):
  """Returns the text of the results."""
  return "\n\n".join([
      "### Memory" if markdown else "\nMemory",
      f"Medians of {args.rounds} processes; growth over {args.steps:,} steps.",
      table(HEADER, lines, markdown)]) + "\n"


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workloads", default="S04:100,S05:100")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--steps", type=int, default=10_000)
  parser.add_argument("--markdown", metavar="FILE", help="append the table to this file")
  args = parser.parse_args()
  if args.steps < SETTLED + 4 * EVERY:
    parser.error(f"--steps={args.steps}: at least {SETTLED + 4 * EVERY}")
  lines = []
  for workload in workloads.parse(parser, args):
    with tempfile.TemporaryDirectory() as scratch:
      lines.append(cells(workload.name, measure(workload, args.rounds, args.steps, scratch)))
    print(f"  {workload.name}: measured", file=sys.stderr, flush=True)
  machine.publish(functools.partial(report, args, lines), args.markdown,
                  {"tensorflow": importlib.metadata.version("tensorflow")})


if __name__ == "__main__":
  program(main)
