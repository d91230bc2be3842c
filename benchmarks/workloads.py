"""What every contender does: the same layers, first weights, images and order of images.

    python benchmarks/workloads.py S04:100 FOLDER 1000    # what a run of 1,000 steps needs

writes, for contenders of any framework, as float32 unless said otherwise:

    weights.npz         weight_0, weight_1, ...: tfae's own first values of seed 0, in the order and
                        layout of `systems.System`
    images.npy          the training images, scaled to [0, 1], minus their mean if the config
                        subtracts it `[n, 28, 28, 1]`
    labels.npy          int32 `[n]`
    judged.npy          test images, the same way; judged_labels.npy: their labels
    order.npy           int32 `[steps, batch]`: which images stand in the batch of each step

Noise of variational codes (S13, S18) and dropout (S10) are drawn by each framework with its own
generator, as its users would: to hand them out would be input that nobody's training has. The
losses, which are judged without noise, then differ by chance as well; `Workload.chance` says by
how much they may.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

import numpy as np

import systems


@dataclasses.dataclass(frozen=True)
class Workload:
  """A system at a batch size.

  steps: of a round: about a second on two cores.
  warm_up: steps before the first round; `short`: of a short round. Multiples of the last of
    `chunks`.
  chunks: steps an execution that peers try; the last divides all of the above.
  judged: test images whose loss is computed.
  chance: largest relative difference of losses after `warm_up` steps that is not marked, in
    float32. Without random numbers rounding alone makes it: 1e-3.
  xla: whether rows with XLA are among those that are tried. Of convolutions it is several times
    slower on a CPU (NOTES.md): one such workload is enough.
  """
  system: str
  batch: int
  steps: int
  warm_up: int = 64
  short: int = 64
  chunks: tuple = (1, 16, 64)
  judged: int = 2000
  chance: float = 1e-3
  xla: bool = True

  @property
  def name(self):
    return f"{self.system}:{self.batch}"


WORKLOADS = {w.name: w for w in (
    Workload("S04", 100, 256),
    Workload("S04", 500, 64, 64, 32, (1, 32)),
    Workload("S04", 2000, 16, 16, 8, (1, 8)),
    Workload("S05", 100, 192, judged=500),
    Workload("S05", 500, 32, 32, 16, (1, 16), judged=500, xla=False),
    Workload("S01", 128, 64, 32, 16, (1, 16), judged=500, xla=False),
    Workload("S10", 200, 64, 32, 16, (1, 16), judged=500, chance=.2, xla=False),
    Workload("S13", 128, 4, 4, 4, (1, 4), judged=100, chance=.02, xla=False),
    Workload("S18", 128, 256))}


def parse(parser, args):
  """Returns the workloads of `args.workloads`; ends the program if a flag is bad."""
  for name in args.workloads.split(","):
    if name not in WORKLOADS:
      parser.error(f"--workloads: {name!r} is none of {', '.join(WORKLOADS)}")
  if args.rounds < 1:
    parser.error(f"--rounds={args.rounds}: at least 1")
  if args.markdown:
    try:
      open(args.markdown, "a", encoding="utf-8").close()  # now, not after minutes of measuring
    except OSError as error:
      parser.error(f"--markdown={args.markdown}: can't be written ({error.strerror})")
  return [WORKLOADS[name] for name in args.workloads.split(",")]


def experiment(workload, **changes):
  """Returns the `tfae.Experiment` of a workload."""
  return dataclasses.replace(systems.experiment(workload.system), batch_size=workload.batch,
                             **changes)


def data(described):
  """Returns the data of an experiment, the training set cut to a multiple of the batch."""
  from tfae import experiment as experiments
  from tfae.data.datasets import Split
  found = experiments.load_data(described)
  whole = len(found.train) - len(found.train) % described.batch_size
  train = Split(found.train.images[:whole], found.train.labels[:whole])
  return dataclasses.replace(found, train=train)


def load(folder, *names):
  """Returns the arrays of files that `write` made; 'weights' is a list."""
  folder = pathlib.Path(folder)
  return [load_weights(folder / "weights.npz") if name == "weights"
          else np.load(folder / f"{name}.npy") for name in names]


def load_weights(path):
  """Returns the weights of a file that `save_weights` wrote, as a list."""
  with np.load(path) as weights:
    return [weights[f"weight_{i}"] for i in range(len(weights))]


def save_weights(path, weights):
  """Writes weights in the layout of weights.npz."""
  np.savez(path, **{f"weight_{i}": np.asarray(w) for i, w in enumerate(weights)})


def write(workload, folder, steps):
  """Writes what a run of `steps` steps needs; see above."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf
  from tfae import training
  described = experiment(workload)
  found = data(described)
  run = training.prepare(described, found)
  folder = pathlib.Path(folder)
  save_weights(folder / "weights.npz", [v.numpy() for v in run.model.trainable])
  mean = 0 if run.model.mean is None else run.model.mean.numpy()
  for name, split, labels, count in (("images", found.train, "labels", None),
                                     ("judged", found.test, "judged_labels", workload.judged)):
    np.save(folder / f"{name}.npy",
            split.images[:count].astype(np.float32) / np.float32(found.max_value) - mean)
    np.save(folder / f"{labels}.npy", split.labels[:count].astype(np.int32))
  each = run.batches.steps_per_epoch
  epochs = [run.batches.indices(tf.constant(first, tf.int64), each).numpy()
            for first in range(0, steps, each)]
  np.save(folder / "order.npy", np.concatenate(epochs)[:steps])


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("workload", choices=WORKLOADS)
  parser.add_argument("folder")
  parser.add_argument("steps", type=int)
  arguments = parser.parse_args()
  sys.path.insert(0, str(systems.ROOT))
  write(WORKLOADS[arguments.workload], arguments.folder, arguments.steps)
