"""Layer specs: what a layer is, without its variables; and what holds of a sequence of them.

All layers are found here, those of `tfae.specs.basic` and `tfae.specs.normalization` too. Pure
Python: an impossible stack is refused before TensorFlow is imported.
"""

import dataclasses
import math

from tfae.errors import InputError, check_choice, check_int, shown
# pylint: disable=unused-import
from tfae.specs.basic import (ACTIVATIONS, INITIALIZERS, LARGEST_SIZE, Activation, Conv2D,
                              Conv2DTranspose, Dense, Dropout, Flatten, Layer, MaxPool, Normal,
                              Reshape, Upsample)
from tfae.specs.normalization import BatchNorm, LayerNorm

MERGES = ("sum", "concat")

LARGEST_DEPTH = 1000  # layers of a stack; to trace and run 200 took 12 s
LARGEST_NESTING = 16  # branches in branches; far from what Python's own recursion takes


@dataclasses.dataclass(frozen=True)
class Branch(Layer):
  """Several sequences of layers on the same input, and their outputs made into one.

  `Branch((long, ()))` is the residual connection of He et al. 2016, "Deep residual learning for
  image recognition", equation 1: an empty sequence gives the input itself.

  Variables are named `<layer>/branch_<j>/layer_<k>/kernel`, j and k counting from 0.

  Attributes:
    branches: tuple of tuples of layers; a branch may hold branches.
    merge: 'sum', for outputs of one shape, or 'concat', along the last axis (the channels), for
      outputs that differ in that one only.
  """
  branches: tuple = dataclasses.field()  # without it the default of the base class would hold
  merge: str = "sum"

  def __post_init__(self):
    if not isinstance(self.branches, (tuple, list)) or not self.branches:
      raise InputError(f"Branch.branches={shown(self.branches)}: expected a non-empty tuple of "
                       "tuples of layers, such as ((Conv2D(16, 1),), (Conv2D(16, 5),)).")
    for index, branch in enumerate(self.branches):
      if not isinstance(branch, (tuple, list)):
        raise InputError(f"Branch.branches[{index}]={shown(branch)}: expected a tuple of layers, "
                         "(layer,) for one, () for the input itself.")
      _check_layers(branch, f"Branch.branches[{index}]")
    self._set(branches=tuple(map(tuple, self.branches)))
    _check_depth([self], "Branch.branches")
    check_choice("Branch.merge", self.merge, MERGES)

  def paths(self, input_shape):
    """Returns the shapes along each branch, as `shapes` does, for an input of `input_shape`."""
    return [_along(branch, input_shape, f"Branch.branches[{index}]")
            for index, branch in enumerate(self.branches)]

  def output_shape(self, input_shape):
    ends = [path[-1] for path in self.paths(input_shape)]
    first = ends[0]
    if self.merge == "sum" and any(end != first for end in ends):
      raise InputError(f"Branch.merge='sum': the branches end in shapes "
                       f"{shown(ends)[1:-1]}, expected equal ones. Give them equal strides, "
                       "padding and channels, or use merge='concat' for other channels.")
    if any(end[:-1] != first[:-1] for end in ends):
      raise InputError(f"Branch.merge='concat': the branches end in shapes {shown(ends)[1:-1]}, "
                       "expected equal ones but for the last axis. Give them equal strides and "
                       "padding.")
    return first if self.merge == "sum" else (*first[:-1], sum(end[-1] for end in ends))

  def weights(self, input_shape):
    return {f"branch_{j}/layer_{k}/{name}": shape
            for j, (branch, path) in enumerate(zip(self.branches, self.paths(input_shape)))
            for k, (layer, before) in enumerate(zip(branch, path))
            for name, shape in layer.weights(before).items()}


LAYERS = {cls.__name__: cls for cls in (Dense, Conv2D, Conv2DTranspose, MaxPool, Upsample, Flatten,
                                        Reshape, Activation, Dropout, BatchNorm, LayerNorm,
                                        Branch)}


def walk(layers):
  """Yields all `layers`, specs or built, each Branch before the layers of its branches."""
  for layer in layers:
    yield layer
    for branch in layer.branches:
      yield from walk(branch)


def shapes(layers, input_shape, name):
  """Returns the shapes between `layers`: [input_shape, after layer 0, after layer 1, ...].

  Raises:
    InputError: `layers` is not a sequence of layer specs, or one can't take what the one before
      gives; `name` and the index say which.
  """
  if not isinstance(layers, (tuple, list)) or not layers:
    raise InputError(f"{name}={shown(layers)}: expected a non-empty sequence of layers "
                     f"({', '.join(LAYERS)}).")
  if not isinstance(input_shape, (tuple, list)):
    raise InputError(f"{name}: input_shape={shown(input_shape)}: expected a tuple without the "
                     "batch, (features,) or (height, width, channels).")
  input_shape = tuple(check_int(f"{name}: input_shape", n, 1) for n in input_shape)
  _check_layers(layers, name)
  _check_depth(layers, name)
  return _along(layers, input_shape, name)


def _check_layers(layers, name):
  for index, layer in enumerate(layers):
    if not isinstance(layer, Layer):
      raise InputError(f"{name}[{index}]={shown(layer)}: expected a layer ({', '.join(LAYERS)}).")


def _check_depth(layers, name):
  """Raises InputError for too many layers, counting those in branches, or too many levels."""
  count = sum(1 for _ in walk(layers))
  if count > LARGEST_DEPTH:
    raise InputError(f"{name}: has {count} layers, expected at most {LARGEST_DEPTH}.")
  if _nesting(layers) > LARGEST_NESTING:
    raise InputError(f"{name}: branches lie in branches {_nesting(layers)} deep, expected at most "
                     f"{LARGEST_NESTING}.")


def _nesting(layers):
  return max((1 + max(map(_nesting, layer.branches)) for layer in layers if layer.branches),
             default=0)


def _along(layers, input_shape, name):
  """Returns the shapes between `layers`, none for no layers but the input's."""
  result = [input_shape]
  for index, layer in enumerate(layers):
    try:
      result.append(layer.output_shape(result[-1]))
    except InputError as error:
      raise InputError(f"{name}[{index}]: {error}") from None
    # What lies in branches was looked at there.
    weights = {} if layer.branches else layer.weights(result[-2])
    for what, shape in {"output": result[-1], **weights}.items():
      if math.prod(shape) > LARGEST_SIZE:
        raise InputError(f"{name}[{index}]: {type(layer).__name__}: its {what} of shape {shape} "
                         f"holds {math.prod(shape)} values, expected at most {LARGEST_SIZE}. Use "
                         "smaller sizes.")
  return result


def values(layers, along):
  """Yields the shapes that each layer, those in branches too, has in memory at once: (in, out).

  Args:
    layers: specs.
    along: the shapes between them, as `shapes` returns them.

  Yields:
    Two lists of shapes; a Branch merges several into one.
  """
  for layer, before, after in zip(layers, along, along[1:]):
    ends = [before]
    if layer.branches:
      paths = layer.paths(before)
      for branch, path in zip(layer.branches, paths):
        yield from values(branch, path)
      ends = [path[-1] for path in paths]
    yield ends, [after]


def output_activation(layers, before="linear"):
  """Returns the name of the function that made the values which `layers` give.

  Of a Branch: 'linear' if one of its branches is, else the function of the first. `before` is
  what the input comes from.
  """
  for layer in layers:
    if layer.branches:
      ends = [output_activation(branch, before) for branch in layer.branches]
      before = "linear" if "linear" in ends else ends[0]
    elif isinstance(layer, (BatchNorm, LayerNorm)):
      before = "linear"
    else:
      before = getattr(layer, "activation", getattr(layer, "function", before))
  return before


def to_json(spec):
  """Returns a layer or initialiser spec as JSON-ready values; `from_json` undoes it."""
  if isinstance(spec, (Layer, Normal)):
    return {"type": type(spec).__name__,
            **{f.name: to_json(getattr(spec, f.name)) for f in dataclasses.fields(spec)}}
  return [to_json(value) for value in spec] if isinstance(spec, (tuple, list)) else spec


def from_json(value):
  """Returns the spec that `to_json` wrote; raises InputError for an unknown type."""
  if isinstance(value, list):
    return tuple(from_json(item) for item in value)
  if not isinstance(value, dict):
    return value
  fields = {key: from_json(item) for key, item in value.items() if key != "type"}
  types = {**LAYERS, "Normal": Normal}
  check_choice("layer type", value.get("type"), tuple(types))
  return types[value["type"]](**fields)
