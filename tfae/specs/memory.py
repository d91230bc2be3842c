"""The memory that stacks need at least, against what the machine has: what can't run is not begun.

A lower bound: weights, their slots, and one layer's input and output. A run takes more, so what
passes may still be too large; what is refused does not fit.
"""

import glob
import math
import os

from tfae import machine
from tfae.errors import InputError
from tfae.specs import layers as specs

_FLOAT32 = 4  # bytes of a weight, whatever the compute dtype is


def on_host(device):
  """Returns whether a component placed on `device` ('auto' or a name) lies in the host's memory."""
  if device == "auto":
    return not glob.glob("/dev/nvidia[0-9]*") and not os.path.exists("/dev/kfd")
  return "GPU" not in device.upper()


def weight_bytes(layers, shapes, shared=()):
  """Returns the bytes of the trainable variables that `layers` make, those in branches too.

  Args:
    layers: layer specs.
    shapes: the shapes between them, as `tfae.specs.layers.shapes` returns them.
    shared: indices of the layers whose kernel is another's.
  """
  return _FLOAT32 * sum(
      math.prod(shape) for index, (layer, before) in enumerate(zip(layers, shapes))
      for name, shape in layer.weights(before).items() if name != "kernel" or index not in shared)


def value_bytes(layers, shapes, images, itemsize=_FLOAT32):
  """Returns the bytes of the largest input and output of one layer, for a batch of `images`."""
  return images * itemsize * max(
      sum(map(math.prod, before + after)) for before, after in specs.values(layers, shapes))


def check(needed, what, way_out):
  """Raises InputError if `needed` bytes are more than the machine has."""
  present = machine.memory_bytes()
  if needed > present:
    raise InputError(f"{what} needs at least {needed / 2**30:,.1f} GiB of memory, this machine has "
                     f"{present / 2**30:,.1f} GiB. {way_out}")
