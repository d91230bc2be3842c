"""What the figures ask of their arrays: shape, size, finite values; or an InputError says so."""

import numpy as np

from tfae.errors import InputError, shown

_FAR = 10.0  # what a model gives may leave [0, 1]; images up to this are of other units


def array(name, values, shape, *, finite=True):
  """Returns `values` as a numeric array of at least one element.

  Args:
    name: of the argument, for the message.
    values: an array or nested sequence.
    shape: a word a dimension, such as ("n", "height", "width", 3); an integer is a fixed size.
    finite: whether NaN and infinity are refused.

  Raises:
    InputError: no numbers, another number of dimensions, another fixed size, nothing in it, NaN.
  """
  try:
    found = np.asarray(values)
  except ValueError:  # rows of different lengths
    found = np.asarray(None)
  expected = f"expected numbers of shape [{', '.join(map(str, shape))}]"
  if found.dtype.kind not in "biuf":
    raise InputError(f"{name}={shown(values)}: {expected}.")
  if found.ndim != len(shape) or any(isinstance(wanted, int) and wanted != size
                                     for wanted, size in zip(shape, found.shape)):
    raise InputError(f"{name} has shape {list(found.shape)}: {expected}.")
  if not found.size:
    raise InputError(f"{name} has shape {list(found.shape)}: it is empty; give at least one.")
  if finite and found.dtype.kind == "f" and not np.isfinite(found).all():
    bad = np.count_nonzero(~np.isfinite(found))
    raise InputError(f"{name}: {bad:,} of {found.size:,} values are not finite. Leave those "
                     "examples out, or use a checkpoint from before the run diverged.")
  return found


def images(name, values, count=None):
  """Returns floats `[n, height, width, 1 or 3]`, clipped to [0, 1].

  Args:
    name, values: as `array`'s.
    count: how many there must be; None: any number above 0.

  Raises:
    InputError: as `array`; integers, which are not in [0, 1], or floats up to 255; channels that
      are no picture.
  """
  found = array(name, values, ("n", "height", "width", "1 or 3"))
  if found.dtype.kind != "f":
    raise InputError(f"{name} has dtype {found.dtype}: expected floats in [0, 1]. Divide by the "
                     "largest value, 255 for uint8.")
  if found.min() >= 0 and found.max() > _FAR:
    raise InputError(f"{name} has values up to {found.max():g}: expected floats in [0, 1]. Divide "
                     "by the largest value that a pixel can have.")
  if found.shape[-1] not in (1, 3):
    raise InputError(f"{name} has shape {list(found.shape)}: expected 1 channel (grey) or 3 (red, "
                     "green, blue). Show other channels each alone, as weights.channel_maps does.")
  same_count(name, found, count)
  return np.clip(found, 0, 1)


def labels(name, values, count=None, class_names=None):
  """Returns (integers `[n]`, names of the classes 0 to the largest label), or (None, None).

  Args:
    name, values: as `array`'s; None: there are no labels.
    count: how many there must be.
    class_names: a sequence of strings; None: the numbers themselves.

  Raises:
    InputError: no whole numbers from 0, another count, a label without a name.
  """
  if values is None:
    return None, None
  found = array(name, values, ("n",))
  same_count(name, found, count)
  if (found < 0).any() or (found != np.floor(found)).any():
    raise InputError(f"{name}: expected whole numbers from 0; found {shown(found.min())} to "
                     f"{shown(found.max())}.")
  found = found.astype(np.int64)
  classes = int(found.max()) + 1
  if class_names is not None and len(class_names) < classes:
    raise InputError(f"class_names={shown(class_names)}: {len(class_names)} names, but a label is "
                     f"{classes - 1}. Give a name a class.")
  return found, [str(n) for n in (range(classes) if class_names is None else class_names)]


def same_count(name, values, count):
  """Raises InputError unless `values` has `count` rows; None: any."""
  if count is not None and len(values) != count:
    raise InputError(f"{name} has {len(values):,} rows: expected {count:,}, one an example.")


def same_shape(name, values, other_name, other):
  """Raises InputError unless both arrays have the same shape."""
  if values.shape != other.shape:
    raise InputError(f"{name} has shape {list(values.shape)}, {other_name} {list(other.shape)}: "
                     "expected the same shape.")


def plural(count, noun):
  """Returns "1 image", "60,000 images"."""
  return f"{count:,} {noun if count == 1 else noun + ('es' if noun[-1] == 's' else 's')}"
