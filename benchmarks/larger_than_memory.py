"""Data that stay in files: what training takes of memory, and how long it waits for its input.

    python benchmarks/larger_than_memory.py [--kind=tfrecord] [--frames=300000] [--steps=500]
        [--folder=DIR] [--markdown=BENCHMARKS.md]

Writes frames as of films (benchmarks/film.py), trains a convolutional autoencoder on them
(film_config.py) with tfae-train, and looks every second at the anonymous resident memory of that
process, RssAnon: what the kernel can't take back, unlike pages of files. Training counts from the
first line of metrics.jsonl to the last; growth is looked for in its second half, for the allocator
takes a while to have all that it needs, and is that of the straight line that fits the samples
best. After it comes the evaluation of the test images. The share of the time that the steps waited
for input is the run's own figure, and so is that of images a second, the median over its lines.
"""

import argparse
import functools
import importlib.metadata
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import film
import machine
from contest import table
from worker import program

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEBIBYTE = 2**20
LOGGED = 20  # steps between two lines
HEADER = ["frames of 64x64", "files, MB", "as pixels, MB", f"to step {LOGGED}, s",
          "highest RssAnon in training, MiB", "growth in its second half", "samples",
          "highest in all, MiB", "images/s", "waited for input", "cores used"]


def memory(pid):
  """Returns the bytes of anonymous resident memory of a process; 0 if it has ended unwaited."""
  found = re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text("ascii"))
  return int(found[1]) * 1024 if found else 0


def processor(pid):
  """Returns the seconds that the threads of a process were on a core."""
  fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines(workdir):
  """Returns the whole 'train' lines that a run has written so far."""
  try:
    text = (workdir / "metrics.jsonl").read_text("utf-8")
  except FileNotFoundError:
    return []
  found = [json.loads(line) for line in text.split("\n")[:-1]]
  return [line for line in found if line["kind"] == "train"]


def train(args, data, scratch):
  """Trains; returns what was seen: a dict, of which `cells` makes a line."""
  workdir, errors = scratch / "run", scratch / "errors"
  size = [] if args.kind == "idx" else ["--config.data.size=(64, 64)"]
  command = [sys.executable, "-m", "tfae.bin.train", f"--workdir={workdir}",
             f"--config={ROOT / 'benchmarks' / 'film_config.py'}", f"--data_dir={data}",
             f"--config.data.name={args.kind}", *size, f"--config.steps={args.steps}",
             f"--config.batch_size={args.batch}", f"--config.logging.steps={LOGGED}"]
  environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
  began, samples, used = time.time(), [], []
  with open(errors, "wb") as file:
    process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
  try:
    while True:
      try:
        process.wait(timeout=1)
        break
      except subprocess.TimeoutExpired:
        pass
      done, sample = lines(workdir), memory(process.pid)
      in_training = bool(done) and done[-1]["step"] < args.steps
      samples.append((in_training, sample))
      if in_training:
        used.append((time.time(), processor(process.pid)))
  finally:
    process.kill()
    process.wait()
  said = errors.read_text("utf-8", errors="replace")
  if process.returncode:
    sys.exit(f"tfae-train: exit code {process.returncode}:\n{said[-2000:]}")
  print(said, file=sys.stderr)
  done = lines(workdir)
  rates = [line["timing"]["images_per_second"] for line in done[1:]]
  return {
      "start": done[0]["timing"]["time"] - began, "samples": [size for _, size in samples],
      "training": [size for in_training, size in samples if in_training],
      "rate": statistics.median(rates),
      "waited": statistics.mean(line["timing"]["input_wait"] for line in done[1:]),
      "cores": (used[-1][1] - used[0][1]) / (used[-1][0] - used[0][0]) if len(used) > 1 else 0}


def second_half(sizes):
  return sizes[len(sizes) // 2:]


def growth(sizes):
  """Returns by how many bytes the second half of sizes grew, by the fitting line."""
  sizes = second_half(sizes)
  steps = np.arange(len(sizes), dtype=np.float64)
  return np.polyfit(steps - steps.mean(), sizes, 1)[0] * (len(sizes) - 1)


def cells(args, size, found):
  """Returns the line of the table."""
  channels = 1 if args.kind == "idx" else 3
  return [f"{args.frames:,} as {args.kind}", f"{size / 1e6:,.0f}",
          f"{args.frames * film.SIDE**2 * channels / 1e6:,.0f}", f"{found['start']:.1f}",
          f"{max(found['training']) / MEBIBYTE:,.0f}",
          f"{growth(found['training']) / MEBIBYTE:+.1f} MiB",
          str(len(second_half(found["training"]))), f"{max(found['samples']) / MEBIBYTE:,.0f}",
          f"{found['rate']:,.0f}", f"{found['waited']:.1%}", f"{found['cores']:.2f}"]


def report(args, line, markdown):
  """Returns the text of the result."""
  return "\n\n".join([f"{'### ' if markdown else ''}Data larger than memory",
                      f"{args.steps:,} steps at batch {args.batch}.",
                      table(HEADER, [line], markdown)]) + "\n"


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--kind", choices=film.KINDS, default="tfrecord")
  parser.add_argument("--frames", type=int, default=300_000)
  parser.add_argument("--steps", type=int, default=500)
  parser.add_argument("--batch", type=int, default=100)
  parser.add_argument("--folder", type=pathlib.Path,
                      help="where the data go, and stay; they are used if they are there")
  parser.add_argument("--markdown", metavar="FILE", help="append the table to this file")
  args = parser.parse_args()
  if args.frames < film.FRAMES or args.frames % film.FRAMES:
    parser.error(f"--frames={args.frames}: expected a multiple of {film.FRAMES}")
  if args.steps < 5 * LOGGED:
    parser.error(f"--steps={args.steps}: at least {5 * LOGGED}")
  with tempfile.TemporaryDirectory() as scratch:
    scratch = pathlib.Path(scratch)
    data = args.folder or scratch / "data"
    if not data.exists():
      film.write(args.kind, data, args.frames)
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    line = cells(args, size, train(args, data, scratch))
  machine.publish(functools.partial(report, args, line), args.markdown,
                  {"tensorflow": importlib.metadata.version("tensorflow")})


if __name__ == "__main__":
  program(main)
