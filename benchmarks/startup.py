"""Start-up: how long tfae's programs take to begin, beside TensorFlow's own import.

    python benchmarks/startup.py [--rounds=5] [--markdown=BENCHMARKS.md]

Every start is a fresh process, and all are started in turn, round by round. An import is ready
when the line after it prints; training when metrics.jsonl has its first step; the other programs
when they have ended. MNIST is in the cache, and Python's compiled files are there.
"""

import argparse
import functools
import dataclasses
import importlib.metadata
import statistics
import sys
import tempfile

import fresh
import machine
from contest import spread, table
from worker import program

CONFIGS = fresh.ROOT / "configs"
READY = "; print('ready', flush=True)"
FLOOR = "import tensorflow"


@dataclasses.dataclass(frozen=True)
class Start:
  """One way to start.

  name: in the table.
  arguments: Python's; {run}, {export} and {new} are folders: a run, its export, none yet.
  ready: 'line': when it prints; 'step': at the first line of metrics.jsonl; 'end': when it ends.
  code: how it ends.
  """
  name: str
  arguments: list
  ready: str
  code: int = 0


def train(config):
  """Returns the arguments of a training of one step, which is logged."""
  return [*fresh.TRAIN, f"--config={CONFIGS / config}", "--workdir={new}", "--config.steps=1",
          "--config.logging.steps=1"]


STARTS = [
    Start(FLOOR, ["-c", FLOOR + READY], "line"),
    Start("the same, as tfae's programs do it",
          ["-c", "from tfae.bin import cli; cli.import_tensorflow()" + READY], "line"),
    Start("import tfae", ["-c", "import tfae" + READY], "line"),
    Start("import tfae; tfae.Stack", ["-c", "import tfae; tfae.Stack" + READY], "line"),
    Start("tfae-train S04, to its first step", train("mnist_tied_dense.py"), "step"),
    Start("tfae-train S05, to its first step", train("mnist_tied_conv.py"), "step"),
    Start("tfae-train, a flag that is misspelt", [*fresh.TRAIN, "--confg=x"], "end", 2),
    Start("tfae-inspect --workdir", ["-m", "tfae.bin.inspect_model", "--workdir={run}"], "end"),
    Start("check_saved_model.py", [fresh.ROOT / "export" / "check_saved_model.py",
                                   "--saved_model={export}/1"], "end")]


def seconds(start, folders, scratch):
  """Returns how long a start takes until it is ready; it has ended when this returns."""
  with tempfile.TemporaryDirectory(dir=scratch) as folder:
    folders = {**folders, "new": f"{folder}/new"}
    program = fresh.Program([str(argument).format(**folders) for argument in start.arguments],
                            f"{folder}/log", start.code)
    try:
      if start.ready == "end":
        return program.wait().seconds
      found = program.first(f"{folder}/new/metrics.jsonl" if start.ready == "step" else None)
      program.wait()
      return found
    finally:
      program.kill()


def measure(rounds, scratch, say):
  """Returns {name of a start: its seconds, one a round}."""
  folders = {"run": f"{scratch}/run", "export": f"{scratch}/export"}
  for arguments in (
      [*fresh.TRAIN, f"--config={CONFIGS / 'mnist_tied_dense.py'}", f"--workdir={scratch}/run",
       "--config.steps=1"],
      [fresh.ROOT / "export" / "export_saved_model.py", f"--workdir={scratch}/run",
       f"--export_dir={scratch}/export"]):
    fresh.Program(arguments, f"{scratch}/log").wait()
  found = {start.name: [] for start in STARTS}
  for number in range(-1, rounds):  # the first warms the file caches, and does not count
    first = number % len(STARTS)
    for start in STARTS[first:] + STARTS[:first]:
      took = seconds(start, folders, scratch)
      if number >= 0:
        found[start.name].append(took)
    say(f"round {number + 1} of {rounds}")
  return found


HEADER = ["start", "s (lowest to highest)", "above TensorFlow's import, s"]


def cells(found):
  """Returns the lines of the table; the difference is of the same round."""
  result = []
  for name, took in found.items():
    above = [a - b for a, b in zip(took, found[FLOOR])]
    result.append([name, spread(took), "" if name == FLOOR else
                   f"{statistics.median(above):+.2f} ({min(above):+.2f} to {max(above):+.2f})"])
  return result


def report(rounds, found, markdown):
  """Returns the text of the results."""
  return "\n\n".join([
      "### Start-up" if markdown else "\nStart-up",
      f"Medians of {rounds} rounds, each start in a fresh process.",
      table(HEADER, cells(found), markdown)]) + "\n"


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--markdown", metavar="FILE", help="append the table to this file")
  args = parser.parse_args()
  if args.rounds < 1:
    parser.error(f"--rounds={args.rounds}: at least 1")
  with tempfile.TemporaryDirectory() as scratch:
    found = measure(args.rounds, scratch,
                    lambda line: print(f"  {line}", file=sys.stderr, flush=True))
  machine.publish(functools.partial(report, args.rounds, found), args.markdown,
                  {"tensorflow": importlib.metadata.version("tensorflow")})


if __name__ == "__main__":
  program(main)
