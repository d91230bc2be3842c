"""tfae-reproduce: trains the systems of the tutorials; their scores beside what was printed.

    tfae-reproduce [--only=S04,S13/better] [--seeds=3] [--workdir=runs/reproduce] [--out=FILE.md]
    tfae-reproduce --list

One process a run and seed, in WORKDIR/<id>/<run>/seed<k>. The same command goes on: what is
complete is not run again, what was interrupted resumes. A run that fails is recorded, the others go
on, and the exit code is 1. Ctrl-C saves the run and writes the table. systems.py lists the systems.
"""

import pathlib
import sys

from absl import flags

from tfae import jobs, reproduction, results, standings
from tfae.bin import cli
from tfae.errors import InputError
from tfae.systems import COMPARISONS, SYSTEMS

flags.DEFINE_list("only", [], "What to run: ids (S04), labels (better), or both (S04/better); "
                  "runs that they start from are run too. Not set: all.")
flags.DEFINE_integer("seeds", None, "How many seeds a run, 0, 1, ...; not set: as systems.py says.",
                     lower_bound=1)
flags.DEFINE_string("workdir", "runs/reproduce", "Folder of all runs.")
flags.DEFINE_string("out", None, "The table; not set: RESULTS.md in the workdir.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_bool("list", False, "List the runs with their minutes, run nothing.")


def main():
  args = flags.FLAGS
  root = cli.required("workdir")
  out = pathlib.Path(args.out or pathlib.Path(root, "RESULTS.md"))
  if args.out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
    raise InputError(f"--out={args.out}: expected a file in a folder that is there, such as "
                     "RESULTS.md.")
  if flags.FLAGS["only"].present and not all(args.only or [""]):
    raise InputError(f"--only={','.join(args.only)}: names nothing, or ends in a comma. Give ids "
                     "such as S04,S13, or leave it out for all.")
  todo = jobs.plan(jobs.select(SYSTEMS, args.only), args.seeds)
  if args.list:
    _list(todo)
    return 0
  write = lambda: results.write(out, SYSTEMS, COMPARISONS, root)
  try:
    signal = reproduction.Reproduction(SYSTEMS, root, data_dir=args.data_dir)(todo, write)
  except KeyboardInterrupt:  # the second Ctrl-C
    write()
    raise
  write()
  states = [(job, standings.standing(job, root, SYSTEMS)) for job in todo]
  complete = sum(standing.state == "complete" for _, standing in states)
  print(f"{complete} of {len(todo)} runs are complete; {out} is written.")
  for job, standing in states:
    if standing.state == "failed":
      print(f"{job.name}: {standing.text}", file=sys.stderr)
  return 128 + signal if signal else int(complete < len(todo))


def _list(todo):
  """Prints a line a run: name, config, seeds, minutes of one seed."""
  seeds = {}
  for job in todo:
    seeds.setdefault(f"{job.system.id}/{job.run.name}", []).append(job)
  for name, of_run in seeds.items():
    run = of_run[0].run
    minutes = "-" if run.minutes is None else f"{run.minutes:g}"
    print(f"{name:36} {run.config:36} seeds {len(of_run)}  minutes a seed {minutes}")


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
