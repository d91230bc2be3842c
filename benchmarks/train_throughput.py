"""Training throughput: tfae beside its peers; same model, weights, batches and machine, in one run.

    python benchmarks/train_throughput.py [--workloads=S04:100,S04:500,S05:100] [--rounds=5]
    python benchmarks/train_throughput.py --quick --contenders=tfae,JAX    # does it run?

Every contender is a process of its own (benchmarks/contenders/), all are asked in turn for the
same number of steps, round by round, so that a machine that slows down slows every one. The first
round finds the fastest variant of each peer; the others end there. Shown are medians over the
rounds that follow, and ratios to the first row, tfae, round by round. In the end each hands over
its weights, and one numpy program computes their loss on the same test images: nobody is fast by
doing less. The floor is max(operations / peak, bytes / bandwidth), both measured between rounds.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile

import judge
import machine
import workloads
from contest import Contest, Row, spread, table
from worker import Failed, Worker

WARM_UP = 64  # steps before the first round: tracing, compiling, first touch
AGREE = 1e-3  # largest relative difference of losses that is not marked


def contenders(system):
  """Returns the rows of a system; the first is what the others are compared with."""
  def row(family, variant, module, needs=None, keep=False, **options):
    name = f"{family}, {variant}" if variant else family
    return Row(name, name if keep else family, needs or module, f"contenders.{module}", options)
  other = "off" if system == "S04" else "on"
  rows = [
      row("tfae", "", "tfae"),
      row("tfae", "log and checkpoints", "tfae", keep=True, whole=True),
      row("tfae", f"XLA {other}", "tfae", keep=True, jit_compile=other),
      row("tfae", "bfloat16", "tfae", keep=True, compute_dtype="bfloat16"),
      row("tfae", "bfloat16, XLA off", "tfae", keep=True, compute_dtype="bfloat16",
          jit_compile="off")]
  for each, label in ((1, "1 step"), (16, "16 steps"), (64, "64 steps"), (0, "all steps")):
    rows.append(row("Keras fit", f"{label} an execution", "keras", steps_per_execution=each,
                    jit=False))
  rows += [
      row("Keras fit", "64 steps an execution, tf.data", "keras", steps_per_execution=64,
          jit=False, dataset=True),
      row("Keras fit", "1 step an execution, XLA", "keras", steps_per_execution=1, jit=True),
      row("Keras fit", "16 steps an execution, XLA", "keras", steps_per_execution=16, jit=True)]
  formats = {"": False} if system == "S04" else {"": False, ", channels last": True}
  for suffix, last in formats.items():
    for adam in ("fused", "foreach"):
      rows.append(row("PyTorch eager", f"{adam} Adam{suffix}", "torch", adam=adam,
                      channels_last=last))
    rows.append(row("torch.compile", f"forward and backward, fused Adam{suffix}", "torch",
                    mode="compile", channels_last=last))
    rows.append(row("torch.compile", f"whole step{suffix}", "torch", mode="whole",
                    adam=None, channels_last=last))
  models = {"": None} if system == "S04" else {"": None, " of patches": "patches"}
  for suffix, model in models.items():
    rows.append(row("JAX", f"jit{suffix}", "jax", model=model))
    rows.append(row("JAX", f"scan of 64 steps{suffix}", "jax", model=model, scan=64))
  return rows


def measure(workload, rows, rounds, steps, folder):
  """Returns what happened, as a dict.

  'rates': {row name: images/s of each round, [] if it ended after the first round}, 'screened':
  {row name: images/s of the first round}, 'peaks': of `machine`, best of all rounds, 'losses',
  'steps': taken by those that stayed, 'absent', 'versions', 'idle': see `Contest`.
  """
  total = WARM_UP + (rounds + 1) * steps
  subprocess.run([sys.executable, workloads.__file__, workload.name, folder, str(total)],
                 check=True)
  say = lambda line: print(f"  {line}", file=sys.stderr, flush=True)
  prober = Worker("machine", pathlib.Path(folder) / "log-machine.txt")
  peaks = prober.ask("peaks")
  contest = Contest(rows, folder, [workload.name, str(folder)],
                    lambda worker: worker.ask("train", WARM_UP), say)

  def rate(worker):
    seconds, timed = worker.ask("train", steps)
    return timed * workload.batch / seconds

  try:
    screened = contest.round(rate, 0)
    for name, value in screened.items():
      say(f"{name}: {value:,.0f} images/s in the first round")
    contest.keep_the_best(screened)
    rates = {name: [] for name in screened}
    for number in range(rounds):
      say(f"round {number + 1} of {rounds}")
      for name, value in contest.round(rate, number).items():
        rates[name].append(value)
      peaks = {name: max(value, peaks[name]) for name, value in prober.ask("peaks").items()}
    losses = {}
    (images,) = workloads.load(folder, "judged")
    for name, worker in contest.workers.items():
      path = pathlib.Path(folder) / "judged.npz"
      worker.ask("save", str(path))
      losses[name] = judge.loss(workload.system, workloads.load_weights(path), images)
  finally:
    contest.close()
    prober.close()
  return {"rates": rates, "screened": screened, "peaks": peaks, "losses": losses, "steps": total,
          "absent": contest.absent, "versions": contest.versions, "idle": contest.idle}


HEADER = ["contender", "images/s", "tfae is faster by (lowest to highest)", "of the floor",
          "floor / it", "loss", "loss to tfae's"]


def lines(workload, rows, found):
  """Returns the cells of the table, as lists of strings."""
  result = []
  own, peaks = rows[0].name, found["peaks"]
  for row in rows:
    if row.name in found["absent"]:
      result.append([row.name, found["absent"][row.name].splitlines()[-1]] + [""] * 5)
      continue
    values = found["rates"][row.name]
    if not values:
      continue
    median = statistics.median(values)
    flops = peaks[row.options.get("compute_dtype", "float32")]
    limit = workload.batch / workloads.floor(workload, flops, peaks["bytes"])
    ratios = [ours / value for ours, value in zip(found["rates"][own], values)]
    difference = found["losses"][row.name] / found["losses"][own] - 1
    mark = "" if abs(difference) <= AGREE else " (!)"
    result.append([row.name, f"{median:,.0f}", spread(ratios), f"{median / limit:.2f}",
                   f"{limit / median:.2f}", f"{found['losses'][row.name]:.6f}",
                   f"{difference:+.1e}{mark}"])
  return result


def main():
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workloads", default=",".join(workloads.WORKLOADS))
  parser.add_argument("--contenders", default="",
                      help="beginnings of names, such as tfae,JAX; the first row is always there")
  parser.add_argument("--rounds", type=int, default=5, help="after the one that finds the best")
  parser.add_argument("--quick", action="store_true", help="short rounds: no figures to keep")
  args = parser.parse_args()
  wanted = tuple(args.contenders.split(","))
  print(machine.kind())
  for name in args.workloads.split(","):
    workload = workloads.WORKLOADS[name]
    rows = contenders(workload.system)
    rows = rows[:1] + [row for row in rows[1:] if row.name.startswith(wanted)]
    steps = 64 if args.quick else workload.steps
    with tempfile.TemporaryDirectory() as folder:
      found = measure(workload, rows, args.rounds, steps, folder)
    peaks = found["peaks"]
    print(f"\n{workload.system}, batch {workload.batch}: {args.rounds} rounds of {steps} steps, "
          f"loss after {found['steps']} steps; peak {peaks['float32'] / 1e9:.0f} GFLOP/s float32, "
          f"{peaks['bfloat16'] / 1e9:.0f} bfloat16, {peaks['bytes'] / 1e9:.1f} GB/s; an idle "
          f"contender used at most {found['idle']:.1%} of a core")
    print(table(HEADER, lines(workload, rows, found)), flush=True)


if __name__ == "__main__":
  try:
    main()
  except Failed as error:
    sys.exit(f"train_throughput: {error}")
