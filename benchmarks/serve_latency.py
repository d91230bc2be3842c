"""Serving latency: tfae's frozen export, in TensorFlow and converted, beside Keras's.

    python benchmarks/serve_latency.py [--workloads=S04:100,S05:100] [--rounds=5]

Every runtime is a process of its own that has only the exported files (ONNX and OpenVINO a file a
signature, so their size is that of several graphs); all are asked in turn,
round by round. A call goes from numpy array to numpy array. Loading and the first call are
measured in fresh processes, once a start. Runtimes have their own number of threads, but all
compute in float32. The outputs must agree with tfae's to 1e-5 of their largest value.
"""

import argparse
import functools
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import exports
import machine
import workloads
from contest import Contest, Row, slug, spread, table
from worker import Failed, program

AGREE = 1e-5  # largest difference of outputs, relative to the largest, that is not marked
CALLS = {1: 400, 32: 120, 100: 60}  # calls a round at each batch size
ROWS = [
    Row("tfae export", "tfae export", "tensorflow", "contenders.saved_model",
        {"path": "tfae/1"}),
    Row("Keras export, signature", "Keras, signature", "keras", "contenders.saved_model",
        {"path": "keras"}),
    Row("Keras export, serve()", "Keras, serve", "keras", "contenders.saved_model",
        {"path": "keras", "endpoint": "serve"}),
    *(Row(f"tfae export in {name}", name, module, "contenders.client",
          {"path": f"converted/{target}", "client": f"{target}_client", "package": package})
      for name, target, module, package in (
          ("ONNX Runtime", "onnx", "onnxruntime", "onnxruntime"),
          ("OpenVINO", "openvino", "openvino", "openvino"),
          ("LiteRT", "litert", "ai_edge_litert", "ai-edge-litert")))]


def make(workload, folder, say):
  """Exports; returns {path of a model: why it is not there}."""
  missing = {}
  for exporter, path in (("tfae", "tfae/1"), ("keras", "keras"),
                         *((target, f"converted/{target}") for target in exports.TARGETS)):
    done = subprocess.run([sys.executable, exports.__file__, exporter, workload.name, folder],
                          capture_output=True, text=True, check=False)
    if done.returncode:
      lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
      missing[path] = lines[-1]
      say(f"{path}: {missing[path]}")
    else:
      say(f"{path}: {size(folder / path):,} bytes")
  return missing


def size(path):
  """Returns the bytes of all files in a folder but for the requests that warm a server up."""
  return sum(file.stat().st_size for file in path.rglob("*")
             if file.is_file() and "assets.extra" not in file.parts)


def measure(workload, rounds, starts, folder):
  """Returns what happened, as a dict of dicts by row name.

  'load', 'first': seconds of each start; (batch, 'p50' or 'p99'): seconds of each round; 'size':
  bytes; 'difference': of the outputs from the first row's; 'absent', 'versions', 'idle': see
  `Contest`.
  """
  folder = pathlib.Path(folder)
  say = lambda line: print(f"  {line}", file=sys.stderr, flush=True)
  missing = make(workload, folder, say)
  if ROWS[0].options["path"] in missing:
    raise Failed(f"{ROWS[0].name}: {missing[ROWS[0].options['path']]}")
  rows = [row for row in ROWS if row.options["path"] not in missing]
  found = {"absent": {row.name: missing[row.options["path"]] for row in ROWS if row not in rows},
           "size": {row.name: size(folder / row.options["path"]) for row in rows}}
  add = lambda key, name, value: found.setdefault(key, {}).setdefault(name, []).append(value)

  def start(name, worker):
    load, first = worker.ask("first")
    add("load", name, load)
    add("first", name, first)

  contest = None
  try:
    for _ in range(starts):
      if contest:
        contest.close()
      contest = Contest(rows, folder, [str(folder)], start, say=say)
    for batch, calls in CALLS.items():
      contest.round(lambda worker: worker.ask("latencies", batch, calls // 4), 0)  # warm-up
      for number in range(rounds):
        answers = contest.round(lambda worker: worker.ask("latencies", batch, calls), number)
        for name, seconds in answers.items():
          for part in (50, 99):
            add((batch, f"p{part}"), name, float(np.percentile(seconds, part)))
    outputs = {}
    for name, worker in contest.workers.items():
      path = folder / f"{slug(name)}.npy"
      worker.ask("save", str(path))
      outputs[name] = np.load(path)
  finally:
    if contest:
      contest.close()
  own = outputs[ROWS[0].name]
  found["difference"] = {name: float(np.abs(output - own).max() / np.abs(own).max())
                         for name, output in outputs.items()}
  found["absent"].update(contest.absent)
  return {**found, "versions": contest.versions, "idle": contest.idle}


HEADER = ["model", "MB", "load, s", "first call, ms",
          *(text for batch in CALLS for text in (
              f"batch {batch}: p50, ms", "p99, ms", "it / tfae (lowest to highest)")),
          "outputs differ by"]


def cells(found):
  """Returns the lines of the table, each a list of strings."""
  result = []
  for row in ROWS:
    name = row.name
    if name in found["absent"]:
      result.append([name, found["absent"][name].splitlines()[0][:40]] + [""] * (len(HEADER) - 2))
      continue
    middle = lambda key: statistics.median(found[key][name])
    line = [name, f"{found['size'][name] / 1e6:.2f}", f"{middle('load'):.3f}",
            f"{middle('first') * 1e3:.1f}"]
    for batch in CALLS:
      p50 = found[batch, "p50"]
      line += [f"{middle((batch, part)) * 1e3:.3f}" for part in ("p50", "p99")]
      line.append(spread([its / ours for its, ours in zip(p50[name], p50[ROWS[0].name])]))
    difference = found["difference"][name]
    result.append(line + [f"{difference:.1e}" + ("" if difference <= AGREE else " (!)")])
  return result


def report(workload, rounds, starts, found, markdown):
  """Returns the text of a workload's results."""
  title = f"Serving {workload.system}"
  return "\n\n".join([
      f"### {title}" if markdown else f"\n{title}",
      f"{rounds} rounds of {', '.join(f'{n} calls at batch {b}' for b, n in CALLS.items())}; "
      f"{starts} starts; medians. An idle runtime used at most {found['idle']:.1%} of a core.",
      table(HEADER, cells(found), markdown)]) + "\n"


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workloads", default="S04:100,S05:100", help="the batch is of training")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--starts", type=int, default=3, help="processes for load and first call")
  parser.add_argument("--markdown", metavar="FILE", help="append the tables to this file")
  args = parser.parse_args()
  for workload in workloads.parse(parser, args):
    with tempfile.TemporaryDirectory() as folder:
      found = measure(workload, args.rounds, args.starts, folder)
    machine.publish(functools.partial(report, workload, args.rounds, args.starts, found),
                    args.markdown, found["versions"])


if __name__ == "__main__":
  program(main)
