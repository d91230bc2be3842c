"""A stack of layers on one device, and the stack that mirrors it."""

import math
import re

import tensorflow as tf

from tfae import layers as built
from tfae import placement
from tfae.errors import InputError, check_choice, check_int
from tfae.specs import layers as specs
from tfae.specs import memory
from tfae.specs.mirror import mirror as mirror_specs

COMPUTE_DTYPES = ("float32", "bfloat16", "float64")
# What TensorFlow takes as a scope of op names.
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


class Stack(tf.Module):
  """Layers one after the other, all on one device; a callable on tensors.

  Every variable exists after construction, under `device`, named `<name>/layer_<i>/kernel` or
  `/bias`, i counting all layers from 0. `variables` are all of them, a checkpoint's;
  `own_variables` those that are trained.

  Attributes:
    layers: list of `tfae.layers.Layer`.
    input_shape, output_shape: tuples without the batch.
    device: full device name.
    compute_dtype: dtype of the computation and of the output.
  """

  def __init__(self, layers, input_shape, *, device="auto", seed=0, name="encoder",
               compute_dtype="float32", kernels=None):
    """Builds the layers.

    Args:
      layers: sequence of layer specs (`tfae.Dense(64)`, ...).
      input_shape: tuple without the batch.
      device: 'auto' or a device name, see `tfae.placement.canonical`.
      seed: int >= 0; first values are a function of it and of the variable's name.
      name: first part of every variable's name.
      compute_dtype: 'float32', 'bfloat16' (float32 variables) or 'float64' (float64 variables).
      kernels: {layer index: `tf.Variable`} of layers that share a kernel; see `mirror`.

    Raises:
      InputError: a bad argument, or layers that don't fit each other.
    """
    super().__init__()
    if not isinstance(name, str) or not _NAME.fullmatch(name):
      raise InputError(f"Stack.name={name!r}: expected letters, digits, '_', '.', '-', '/' only, "
                       "a letter or digit first.")
    self.path = name
    self.seed = check_int("Stack.seed", seed, 0, 2**63 - 1)
    self.compute_dtype = tf.as_dtype(check_choice("Stack.compute_dtype", compute_dtype,
                                                  COMPUTE_DTYPES))
    self.shapes = specs.shapes(layers, input_shape, name)
    self.device = placement.canonical(device, f"{name}: device")
    dtype = tf.float64 if self.compute_dtype == tf.float64 else tf.float32
    kernels = kernels or {}
    for index in kernels:
      if index not in range(len(layers)):
        raise InputError(f"Stack.kernels: there is no layer {index!r}; {name} has "
                         f"{len(layers)} layers, counted from 0.")
    if memory.on_host(self.device):
      memory.check(memory.weight_bytes(layers, self.shapes, kernels), f"{name}:",
                   "Use fewer units or filters.")
    with tf.device(self.device):
      self.layers = [
          built.make(spec, shape, path=f"{name}/layer_{i}", seed=seed, dtype=dtype,
                     kernel=kernels.get(i))
          for i, (spec, shape) in enumerate(zip(layers, self.shapes))]

  @property
  def input_shape(self):
    return tuple(self.shapes[0])

  @property
  def output_shape(self):
    return tuple(self.shapes[-1])

  @property
  def value_shapes(self):
    """The shapes of the input and of every layer's output, those inside branches too."""
    return [self.input_shape, *(layer.output_shape for layer in specs.walk(self.layers))]

  @property
  def own_variables(self):
    """The trainable variables made by this stack, in layer order; a shared kernel is its maker's.

    The moving averages of a BatchNorm are not among them.
    """
    return [v for layer in self.layers for v in layer.own_variables]

  def __call__(self, x, key=None, weights=None):
    """Returns the output, `[batch, *output_shape]` in compute_dtype.

    Args:
      x: `[batch, *input_shape]`, any float dtype.
      key: int64 [2] from `tfae.randomness`, in training: dropout draws from it, a BatchNorm takes
        the statistics of the batch and moves its averages. None: not in training, no variable
        is assigned.
      weights: `[batch]`, in training: 1 for an example, 0 for padding, which the statistics
        leave out; None: all are examples.
    """
    with tf.device(self.device):
      x = tf.cast(x, self.compute_dtype)
      following = iter(range(len(self.layers)))
      for index in following:
        layer, after = (self.layers[index:index + 2] + [None])[:2]
        if built.pools_before_bias(layer, after):
          with tf.name_scope(layer.path):
            x = layer.product(x)
          x = self.layer_output(next(following), x, key, weights)
          with tf.name_scope(layer.path):
            x = layer.finish(x)
        else:
          x = self.layer_output(index, x, key, weights)
      return x

  def layer_output(self, index, x, key=None, weights=None):
    """Returns what layer `index` alone makes of x, its input in compute_dtype.

    `key` and `weights` are those of the whole stack, as above.
    """
    layer = self.layers[index]
    with tf.device(self.device):
      return built.run(layer, index, layer.path, x, key, weights)

  def summary_rows(self):
    """Returns (layer, output shape, parameters, device, tied to) a layer, as strings.

    A Branch has no parameters of its own; the layers of its branches follow it.
    """
    rows = []
    for layer in specs.walk(self.layers):
      kind, variables = type(layer.spec).__name__, layer.own_variables
      if layer.branches:
        kind, variables = f"{kind} ({layer.spec.merge} of {len(layer.branches)})", ()
      rows.append((f"{layer.path} {kind}",
                   " x ".join(map(str, layer.output_shape)),
                   f"{sum(math.prod(v.shape) for v in variables):,}",
                   placement.short(self.device),
                   layer.kernel.name.split(":")[0] if layer.tied else ""))
    return rows

  def summary(self, print_fn=print):
    """Prints a line a layer: output shape, parameters, device, what its kernel is tied to."""
    print_table(self.summary_rows(), self.own_variables, print_fn)


def print_table(rows, variables, print_fn):
  """Prints `summary_rows` of stacks under a header, and the number of parameters."""
  rows = [("layer", "output shape", "parameters", "device", "tied to"), *rows]
  widths = [max(map(len, column)) for column in zip(*rows)]
  for row in rows:
    print_fn("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
  total = sum(math.prod(v.shape) for v in variables)
  print_fn(f"{total:,} parameters in {len(variables)} variables")


def mirror(encoder, *, tied=True, output_activation="linear", use_bias=None, device=None,
           name="decoder"):
  """Returns the decoder stack that undoes `encoder` layer by layer, in reverse.

  A tied layer holds the encoder's kernel itself: Dense multiplies by W^T, Conv2D becomes the
  transposed convolution with the same kernel, and its gradient is the sum of both uses. Biases
  are the decoder's own. What undoes what: `tfae.specs.mirror.mirror`.

  Args:
    encoder: a `Stack`.
    tied: True, False (kernels of its own), or the indices of the encoder layers to share.
    output_activation: of the reconstruction.
    use_bias: whether decoder layers have biases; None: where the encoder's layer has one.
    device: as `Stack`'s; None: the encoder's.
    name: first part of the names of the decoder's own variables.

  Raises:
    InputError: a layer can't be undone, or an argument is not allowed.
  """
  pairs = mirror_specs([layer.spec for layer in encoder.layers], encoder.input_shape,
                       output_activation=output_activation, use_bias=use_bias)
  with_kernels = [i for i, layer in enumerate(encoder.layers) if layer.kernel is not None]
  if isinstance(tied, bool):
    shared = with_kernels if tied else []
  elif isinstance(tied, (tuple, list, set, frozenset)):
    shared = list(tied)
    for index in shared:
      if index not in with_kernels:
        raise InputError(f"mirror: tied={tied!r}: encoder layer {index!r} has no kernel; those "
                         f"with one are {with_kernels}.")
  else:
    raise InputError(f"mirror: tied={tied!r}: expected True, False or the indices of the encoder "
                     f"layers to share, of {with_kernels}.")
  kernels = {i: encoder.layers[pair.source].kernel
             for i, pair in enumerate(pairs) if pair.source in shared}
  return Stack([pair.layer for pair in pairs], encoder.output_shape,
               device=encoder.device if device is None else device, seed=encoder.seed, name=name,
               compute_dtype=encoder.compute_dtype.name, kernels=kernels)
