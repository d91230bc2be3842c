"""Kills training processes for as long as one likes, and prints a tally.

    python tests/soak.py --kills=1000 [--seed=7] [--workdir=FOLDER]

Ctrl-C ends it early, with the tally. Exit code 1 if a run did not end with the bits of an
uninterrupted one; its folder is kept.
"""

import argparse
import collections
import itertools
import os
import pathlib
import shutil
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.append(str(pathlib.Path(__file__).parent))
import victims

KINDS = ("seconds", "line", "point", "bytes")


def soak(nursery, kills, seed, kinds=KINDS, say=print):
  """Kills at random moments until there were `kills`; returns (Ordeal, the mismatch or None).

  Ctrl-C ends it; the Ordeal is None if that was before the uninterrupted run was complete.
  """
  ordeal = None
  try:
    ordeal = victims.Ordeal(nursery, seed)
    while ordeal.kills < kills:
      workdir = nursery.folder / f"run-{ordeal.completed}"
      faults = (ordeal.random_fault(*kinds)
                for _ in itertools.takewhile(lambda _: ordeal.kills < kills, itertools.count()))
      ordeal.through(faults, workdir)
      shutil.rmtree(workdir)
      say(f"{ordeal.kills} of {kills} kills, {ordeal.completed} runs completed")
  except AssertionError as error:
    if ordeal is None:  # the uninterrupted run itself
      raise
    return ordeal, error
  except KeyboardInterrupt:
    pass
  return ordeal, None


def main():
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--kills", type=int, default=1000)
  parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="default: the clock")
  parser.add_argument("--workdir", help="an empty folder for the runs; default: a temporary one")
  args = parser.parse_args()
  if args.kills < 1:
    parser.error(f"--kills={args.kills}: expected at least 1.")
  folder = pathlib.Path(args.workdir or tempfile.mkdtemp(prefix="tfae-soak-"))
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    parser.error(f"--workdir={folder}: can't be made ({error.strerror}). Give another folder.")
  if any(folder.iterdir()):
    parser.error(f"--workdir={folder}: is not empty. Give another folder.")
  print(f"seed {args.seed}, folder {folder}", flush=True)
  began = time.monotonic()
  with victims.nursery(folder) as nursery:
    ordeal, mismatch = soak(nursery, args.kills, args.seed,
                             say=lambda text: print(text, flush=True))
  if ordeal is None:
    print("ended before the first kill")
    shutil.rmtree(folder)
    return 0
  by_kind = collections.Counter()
  for (kind, place), count in sorted(ordeal.tally.items()):
    by_kind[kind] += count
    print(f"{count:6} {kind:8} {place}")
  print(f"kills {ordeal.kills} ({', '.join(f'{k}: {n}' for k, n in sorted(by_kind.items()))}), "
        f"runs completed {ordeal.completed}, mismatches {int(mismatch is not None)}, "
        f"{time.monotonic() - began:.0f} seconds")
  if mismatch is not None:
    print(mismatch, file=sys.stderr)
    return 1
  shutil.rmtree(folder)
  return 0


if __name__ == "__main__":
  sys.exit(main())
