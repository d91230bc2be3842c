"""Watching a run: what film and TensorBoard cost, of the time and of the work of a training.

    python benchmarks/watching.py [--configs=quickstart.py,mnist_tied_dense.py] [--rounds=5]
                                  [--variants=defaults,film,scalars,histograms]

One process trains each config in turn with nothing of it and with each variant (`film` and
`scalars` alone, the defaults, histograms each epoch), round by round, after one training that does
not count. Beside the seconds that pass
stand those of the processor, which others on the machine disturb less; each is the median of its
ratios, within a round, to the training without.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time

import fresh

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(fresh.ROOT))

from tfae import experiment as experiments  # pylint: disable=wrong-import-position
from tfae import training  # pylint: disable=wrong-import-position

NOTHING = {"film": 0, "tensorboard": False}
_BARE = {"film": 0, "image_epochs": 0, "graph": False, "hparams": False, "projector": 0}
VARIANTS = {"nothing": NOTHING, "film": {"tensorboard": False}, "scalars": _BARE,
            "defaults": {}, "histograms": {**_BARE, "histogram_epochs": 1}}


def seconds(experiment, data, fields):
  """Returns (seconds that passed, seconds of the processor) of a training."""
  logged = dataclasses.replace(experiment.logging, **fields)
  with tempfile.TemporaryDirectory() as folder:
    began = time.perf_counter(), time.process_time()
    training.train(dataclasses.replace(experiment, logging=logged), f"{folder}/run", data=data)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--configs", default="quickstart.py,mnist_tied_dense.py")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--variants", default="defaults,film,scalars,histograms")
  args = parser.parse_args()
  variants = ["nothing", *args.variants.split(",")]
  for name in args.configs.split(","):
    scope = {}
    exec((fresh.ROOT / "configs" / name).read_text(), scope)  # pylint: disable=exec-used
    experiment = experiments.from_config(scope["get_config"]())
    data = experiments.load_data(experiment)
    seconds(experiment, data, {})
    rounds = []
    for number in range(args.rounds):
      order = variants if number % 2 else variants[::-1]
      rounds.append({variant: seconds(experiment, data, VARIANTS[variant]) for variant in order})
      print(f"{name} round {number}:", rounds[-1], file=sys.stderr, flush=True)
    for variant in variants:
      found = list(zip(*(r[variant] for r in rounds)))
      ratios = list(zip(*([a / b for a, b in zip(r[variant], r["nothing"])] for r in rounds)))
      print(f"{name} {variant}: {statistics.median(found[0]):.2f} s, "
            f"{statistics.median(found[1]):.2f} s of the processor; "
            + ", ".join(f"{statistics.median(r) - 1:+.1%} ({min(r) - 1:+.1%} to "
                        f"{max(r) - 1:+.1%})" for r in ratios), flush=True)


if __name__ == "__main__":
  main()
