"""What every contender does: the same layers, first weights, images and order of images.

    python benchmarks/workloads.py S04:100 FOLDER 1000    # what a run of 1,000 steps needs

writes, for contenders of any framework, as float32 unless said otherwise:

    weights.npz   kernel_0, kernel_1, ...: tfae's own first values of seed 0; dense `[in, out]`,
                  convolutions `[height, width, in, out]`
    images.npy    the 60,000 training images, scaled to [0, 1], minus their mean `[n, 28, 28, 1]`
    judged.npy    2,000 test images, the same way
    order.npy     int32 `[steps, batch]`: which images stand in the batch of each step

All have no bias and relu after every layer; the decoder uses the encoder's kernels in reverse.
Adam in the form of `tfae.Adam`, mean squared error over batch and pixels.
"""

import argparse
import dataclasses
import importlib.util
import math
import os
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIGS = {"S04": "mnist_tied_dense.py", "S05": "mnist_tied_conv.py"}
KERNELS = {"S04": ((784, 512), (512, 256), (256, 128), (128, 64)),
           "S05": ((4, 4, 1, 16), (4, 4, 16, 16), (4, 4, 16, 16))}
SIDES = (28, 14, 7, 4)  # of S05's images before and after each convolution
ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
JUDGED = 2000


@dataclasses.dataclass(frozen=True)
class Workload:
  """A system at a batch size; `steps`, of a round, make one to two seconds on two cores."""
  system: str
  batch: int
  steps: int

  @property
  def name(self):
    return f"{self.system}:{self.batch}"


WORKLOADS = {w.name: w for w in (Workload("S04", 100, 320), Workload("S04", 500, 64),
                                 Workload("S05", 100, 192))}


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


def products(system):
  """Returns the multiplications that one pass of an image through each kernel takes.

  A convolution's are output height x width x kernel size; the taps on the padding count, as every
  library computes them.
  """
  sizes = [math.prod(kernel) for kernel in KERNELS[system]]
  return sizes if system == "S04" else [n * side**2 for n, side in zip(sizes, SIDES[1:])]


def flops(system):
  """Returns the floating-point operations of training on one image, optimizer aside.

  Each kernel is used twice, by encoder and decoder. A use costs 2 operations a product forward,
  2 for the gradient of the kernel and 2 for the gradient of its input: 12 a product in all, less 2
  for the images themselves, which need no gradient.
  """
  return 12 * sum(products(system)) - 2 * products(system)[0]


def moved_bytes(system, batch):
  """Returns the bytes that one step moves at least, if no cache outlives an operation.

  Adam reads weight, gradient and two slots and writes the gradient, the weight and both slots: 8
  words of 4 bytes a parameter. Each activation (encoder's and decoder's) is written, read by the
  next layer and read by its gradient, and its own gradient is written and read: 5 words; an image
  is read once. A cache that holds the model needs less: no bound for a small model.
  """
  parameters = sum(math.prod(kernel) for kernel in KERNELS[system])
  if system == "S04":
    widths = [784, 512, 256, 128, 64]
  else:
    widths = [side**2 * channels for side, channels in zip(SIDES, (1, 16, 16, 16))]
  activations = sum(widths[1:]) + sum(widths[:-1])
  return 4 * (8 * parameters + batch * (widths[0] + 5 * activations))


def floor(workload, flops_per_second, bytes_per_second):
  """Returns the seconds that a step takes at least on a machine of such peaks."""
  return max(flops(workload.system) * workload.batch / flops_per_second,
             moved_bytes(workload.system, workload.batch) / bytes_per_second)


def experiment(workload, **changes):
  """Returns the `tfae.Experiment` of a workload; needs tfae."""
  from tfae import experiment as experiments
  path = ROOT / "configs" / CONFIGS[workload.system]
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return dataclasses.replace(experiments.from_config(module.get_config()),
                             batch_size=workload.batch, **changes)


def load(folder, *names):
  """Returns the arrays of files that `write` made; 'weights' is a list."""
  folder = pathlib.Path(folder)
  return [load_weights(folder / "weights.npz") if name == "weights"
          else np.load(folder / f"{name}.npy") for name in names]


def load_weights(path):
  """Returns the kernels of a file that `save_weights` wrote, as a list."""
  with np.load(path) as kernels:
    return [kernels[f"kernel_{i}"] for i in range(len(kernels))]


def save_weights(path, weights):
  """Writes kernels in the layout of weights.npz."""
  np.savez(path, **{f"kernel_{i}": np.asarray(w) for i, w in enumerate(weights)})


def write(workload, folder, steps):
  """Writes what a run of `steps` steps needs; see above."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf
  from tfae import experiment as experiments
  from tfae import training
  described = experiment(workload)
  data = experiments.load_data(described)
  run = training.prepare(described, data)
  folder = pathlib.Path(folder)
  save_weights(folder / "weights.npz", [v.numpy() for v in run.model.trainable])
  mean = run.model.mean.numpy()
  for name, images in (("images", data.train.images), ("judged", data.test.images[:JUDGED])):
    np.save(folder / f"{name}.npy", images.astype(np.float32) / data.max_value - mean)
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
  sys.path.insert(0, str(ROOT))
  write(WORKLOADS[arguments.workload], arguments.folder, arguments.steps)
