"""Training throughput: tfae beside its peers; same model, weights, batches and machine, in one run.

    python benchmarks/train_throughput.py [--workloads=S04:100,S04:500,S05:100] [--rounds=5]
    python benchmarks/train_throughput.py --quick --contenders=tfae,JAX    # does it run?

Every contender is a process of its own (benchmarks/contenders/), all are asked in turn for the
same number of steps, round by round, so that a machine that slows down slows every one. Two short
rounds find the fastest variant of each peer; the others end there. Shown are medians over the
rounds that follow, and ratios to the first row, tfae, round by round. After 64 steps and in the
end each hands over its weights, and one numpy program computes their loss on the same test images:
nobody is fast by doing less. After 64 steps equal work agrees to 1e-3; rounding makes it drift
apart later. The floor is max(operations / peak, bytes / bandwidth), measured in the same run.
"""

import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import judge
import machine
import workloads
from contest import Contest, Row, slug, spread, table
from worker import Failed, Worker

WARM_UP = 64  # steps before the first round: tracing, compiling, first touch
SHORT_ROUNDS, SHORT = 2, 64  # of how many steps
# Largest relative difference of losses that is not marked, early and in the end; the first is for
# float32 only.
AGREE_EARLY, AGREE = 1e-3, 2e-2


def contenders(system):
  """Returns the rows of a system; the first is what the others are compared with."""
  def row(family, variant, module, keep=False, **options):
    name = f"{family}, {variant}" if variant else family
    needs = "tensorflow" if module == "tfae" else module  # the checkout's own tfae is meant
    return Row(name, name if keep else family, needs, f"contenders.{module}", options)

  dense = system == "S04"
  rows = [
      row("tfae", "", "tfae"),
      row("tfae", "log and checkpoints", "tfae", keep=True, whole=True),
      row("tfae", "XLA off" if dense else "XLA on", "tfae", keep=dense,
          jit_compile="off" if dense else "on"),
      row("tfae", "bfloat16", "tfae", keep=True, compute_dtype="bfloat16")]
  if dense:
    rows.append(row("tfae", "bfloat16, XLA on", "tfae", keep=True, compute_dtype="bfloat16",
                    jit_compile="on"))
  for jit in (False, True):
    # XLA's convolutions are so slow on a CPU that one such row is enough.
    for each in (1, 16, 64) if dense or not jit else (1,):
      rows.append(row("Keras fit", f"{each} step{'s'[:each - 1]} an execution{', XLA' * jit}",
                      "keras", steps_per_execution=each, jit=jit))
  rows.append(row("Keras fit", "64 steps an execution, tf.data", "keras", steps_per_execution=64,
                  jit=False, dataset=True))
  for last in (False,) if dense else (False, True):
    suffix = ", channels last" if last else ""
    for adam in ("fused", "foreach"):
      rows.append(row("PyTorch eager", f"{adam} Adam{suffix}", "torch", adam=adam,
                      channels_last=last))
    rows.append(row("torch.compile", f"forward and backward{suffix}", "torch", mode="compile",
                    channels_last=last))
    rows.append(row("torch.compile", f"whole step{suffix}", "torch", mode="whole",
                    channels_last=last))
  for model in (None,) if dense else (None, "patches"):
    suffix = " of patches" if model else ""
    rows.append(row("JAX", f"jit{suffix}", "jax", model=model))
    rows.append(row("JAX", f"scan of 64 steps{suffix}", "jax", model=model, scan=64))
  return rows


def measure(workload, rows, rounds, steps, folder):
  """Returns what happened, as a dict.

  'rates': {row name: images/s of each round} of those that stayed; 'screened': the best of the
  short rounds; 'early' and 'losses': after WARM_UP steps and after all 'steps'; 'peaks':
  of `machine`, best of all rounds; 'absent', 'versions', 'idle': see `Contest`.
  """
  folder = pathlib.Path(folder)
  total = WARM_UP + SHORT_ROUNDS * SHORT + rounds * steps
  subprocess.run([sys.executable, workloads.__file__, workload.name, folder, str(total)],
                 check=True)
  (images,) = workloads.load(folder, "judged")
  say = lambda line: print(f"  {line}", file=sys.stderr, flush=True)
  file = lambda name: folder / f"{slug(name)}.npz"

  def start(name, worker):
    worker.ask("train", WARM_UP)
    worker.ask("save", str(file(name)))

  def rate(worker, steps):
    seconds, timed = worker.ask("train", steps)
    return timed * workload.batch / seconds

  def judged(names):
    return {name: judge.loss(workload.system, workloads.load_weights(file(name)), images)
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
      for name, value in contest.round(lambda worker: rate(worker, SHORT), number).items():
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


HEADER = ["contender", "images/s", "tfae / it (lowest to highest)", "share of floor", "floor / it",
          f"loss after {WARM_UP} steps, to tfae's", "loss in the end", "to tfae's"]


def cells(workload, rows, found):
  """Returns the lines of the table, each a list of strings."""
  own, result = rows[0].name, []
  for row in rows:
    if row.name in found["absent"]:
      reason = found["absent"][row.name].splitlines()
      result.append([row.name, reason[0][:60]] + [""] * (len(HEADER) - 2))
    if row.name not in found["rates"]:
      continue
    dtype = row.options.get("compute_dtype", "float32")
    rate = statistics.median(found["rates"][row.name])
    limit = workload.batch / workloads.floor(workload, found["peaks"][dtype],
                                             found["peaks"]["bytes"])
    ratios = [ours / its for ours, its in zip(found["rates"][own], found["rates"][row.name])]
    differences = [found[when][row.name] / found[when][own] - 1 for when in ("early", "losses")]
    bounds = (AGREE_EARLY if dtype == "float32" else AGREE, AGREE)
    early, late = (f"{d:+.1e}" + ("" if abs(d) <= bound else " (!)")
                   for d, bound in zip(differences, bounds))
    result.append([row.name, f"{rate:,.0f}", spread(ratios), f"{rate / limit:.2f}",
                   f"{limit / rate:.2f}", early, f"{found['losses'][row.name]:.6f}", late])
  return result


def report(workload, rows, rounds, steps, found, markdown):
  """Returns the text of a workload's results."""
  peaks = found["peaks"]
  ended = [f"{name} {rate:,.0f}" for name, rate in found["screened"].items()
           if name not in found["rates"]]
  title = f"{workload.system}, batch {workload.batch}"
  peers = {name: statistics.median(rates) for name, rates in found["rates"].items()
           if not name.startswith("tfae")}
  best = max(peers, key=peers.get, default=None)
  ahead = "" if best is None else (
      f" The fastest peer is {best}: " + spread(
          [ours / its for ours, its in zip(found["rates"]["tfae"], found["rates"][best])]) + ".")
  return "\n\n".join([
      f"### {title}" if markdown else f"\n{title}",
      f"{rounds} rounds of {steps} steps, {found['steps']} steps in all. "
      f"Peak {peaks['float32'] / 1e9:.0f} GFLOP/s in float32, {peaks['bfloat16'] / 1e9:.0f} in "
      f"bfloat16, {peaks['bytes'] / 1e9:.0f} GB/s; "
      f"{workloads.flops(workload.system) / 1e6:.2f} MFLOP an image. An idle contender used at "
      f"most {found['idle']:.1%} of a core.{ahead}",
      table(HEADER, cells(workload, rows, found), markdown),
      f"Left out after {SHORT_ROUNDS} short rounds, images/s in the better one, which is not that "
      "of the rounds above: "
      f"{'; '.join(ended) or 'none'}."]) + "\n"


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
  every = args.contenders is None
  wanted = () if every else tuple(args.contenders.split(","))
  names = [row.name for system in workloads.KERNELS for row in contenders(system)]
  for start in wanted:
    if not start or not any(name.startswith(start) for name in names):
      parser.error(f"--contenders: no name begins with {start!r}; there are "
                   f"{'; '.join(dict.fromkeys(names))}")
  for workload in chosen:
    first, *rest = contenders(workload.system)
    rows = [first] + [row for row in rest if every or row.name.startswith(wanted)]
    steps = SHORT if args.quick else workload.steps
    with tempfile.TemporaryDirectory() as folder:
      found = measure(workload, rows, args.rounds, steps, folder)
    print(report(workload, rows, args.rounds, steps, found, markdown=False), flush=True)
    if args.markdown:
      text = report(workload, rows, args.rounds, steps, found, markdown=True)
      machine.append(args.markdown, text, found["versions"])


if __name__ == "__main__":
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as after Ctrl-C
  try:
    main()
  except KeyboardInterrupt:
    sys.exit(130)
  except Failed as error:
    sys.exit(f"train_throughput: {error}")
