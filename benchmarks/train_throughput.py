"""Training throughput: tfae beside its peers; same model, weights, batches and machine, in one run.

    python benchmarks/train_throughput.py [--workloads=S04:100,S18:128] [--rounds=5]
    python benchmarks/train_throughput.py --quick --contenders=tfae,JAX    # does it run?

Every contender is a process of its own (benchmarks/contenders/), all are asked in turn for the
same number of steps, round by round, so that a machine that slows down slows every one. Two short
rounds find the fastest variant of each peer; the others end there. Shown are medians over the
rounds that follow, and ratios to the first row, tfae, round by round. After the warm-up and in the
end each hands over its weights, and one numpy program computes their loss on the same test images:
nobody is fast by doing less. After the warm-up equal work agrees to 1e-3, more where numbers are
drawn (`workloads.Workload.chance`); rounding makes it drift apart later. The floor is
max(operations / peak, bytes / bandwidth), measured in the same run.
"""

import argparse
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import judge
import machine
import report
import workloads
from contest import Contest, slug
from rows import contenders
from worker import Failed, Worker, program

SHORT_ROUNDS = 2


def measure(workload, rows, rounds, steps, folder):
  """Returns what happened, as a dict.

  'rates': {row name: images/s of each round} of those that stayed; 'screened': the best of the
  short rounds; 'early' and 'losses': after the warm-up and after all 'steps'; 'peaks': of
  `machine`, best of all rounds; 'absent', 'versions', 'idle': see `Contest`.
  """
  folder = pathlib.Path(folder)
  total = workload.warm_up + SHORT_ROUNDS * workload.short + rounds * steps
  subprocess.run([sys.executable, workloads.__file__, workload.name, folder, str(total)],
                 check=True)
  tests = workloads.load(folder, "judged", "judged_labels")
  say = lambda line: print(f"  {line}", file=sys.stderr, flush=True)
  file = lambda name: folder / f"{slug(name)}.npz"

  def start(name, worker):
    worker.ask("train", workload.warm_up)
    worker.ask("save", str(file(name)))

  def rate(worker, steps):
    seconds, timed = worker.ask("train", steps)
    return timed * workload.batch / seconds

  def judged(names):
    return {name: judge.loss(workload.system, workloads.load_weights(file(name)), *tests)
            for name in names}

  contest = Contest(rows, folder, [workload.name, str(folder)], start,
                    at_once=len(os.sched_getaffinity(0)), say=say)
  prober = Worker("machine", folder / "machine.log")
  try:
    peaks = prober.ask("peaks")
    early = judged(contest.workers)
    screened = {name: 0 for name in contest.workers}
    for number in range(SHORT_ROUNDS):
      say(f"short round {number + 1} of {SHORT_ROUNDS}")
      for name, value in contest.round(lambda worker: rate(worker, workload.short), number).items():
        screened[name] = max(screened[name], value)
    contest.keep_the_best(screened)
    rates = {name: [] for name in contest.workers}
    for number in range(rounds):
      say(f"round {number + 1} of {rounds}")
      for name, value in contest.round(lambda worker: rate(worker, steps), number).items():
        rates[name].append(value)
      peaks = {name: max(value, peaks[name]) for name, value in prober.ask("peaks").items()}
    for name, worker in contest.workers.items():
      worker.ask("save", str(file(name)))
    losses = judged(contest.workers)
  finally:
    contest.close()
    prober.close()
  return {"rates": rates, "screened": screened, "early": early, "losses": losses, "peaks": peaks,
          "steps": total, "absent": contest.absent, "versions": contest.versions,
          "idle": contest.idle}


def run(workload, rows, args):
  """Measures a workload, prints it; returns its `report.Standing`."""
  steps = workload.short if args.quick else workload.steps
  with tempfile.TemporaryDirectory() as folder:
    found = measure(workload, rows, args.rounds, steps, folder)
  machine.publish(functools.partial(report.report, workload, rows, args.rounds, steps, found),
                  args.markdown, found["versions"])
  return report.standing(workload, rows, found)


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workloads", default=",".join(workloads.WORKLOADS))
  parser.add_argument("--contenders",
                      help="beginnings of names, such as tfae,JAX; the first row is always there")
  parser.add_argument("--rounds", type=int, default=5, help="after the short ones")
  parser.add_argument("--quick", action="store_true", help="short rounds: no figures to keep")
  parser.add_argument("--markdown", metavar="FILE", help="append the tables to this file")
  args = parser.parse_args()
  chosen = workloads.parse(parser, args)
  every = {workload.name: contenders(workload) for workload in chosen}
  wanted = tuple(args.contenders.split(",")) if args.contenders is not None else None
  names = list(dict.fromkeys(row.name for rows in every.values() for row in rows))
  for start in wanted or ():
    if not start or not any(name.startswith(start) for name in names):
      parser.error(f"--contenders: no name begins with {start!r}; there are {'; '.join(names)}")
  standings, failed = [], []
  for number, workload in enumerate(chosen):
    print(f"{workload.name}, {number + 1} of {len(chosen)}", file=sys.stderr, flush=True)
    first, *rest = every[workload.name]
    rows = [first] + [row for row in rest if wanted is None or row.name.startswith(wanted)]
    began = time.perf_counter()
    try:
      standings.append(run(workload, rows, args))
    except Failed as error:  # what others took minutes for is not lost for it
      failed.append(f"{workload.name}: {error}")
      print(f"  {failed[-1]}", file=sys.stderr, flush=True)
    print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
  if len(standings) > 1:
    machine.publish(functools.partial(report.summary, standings), args.markdown, {})
  if failed:
    raise Failed("\n".join(failed))


if __name__ == "__main__":
  program(main)
