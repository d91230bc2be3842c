"""Weights by name: out of a model into one .npz file, and from arrays into a model."""

import fnmatch
import hashlib
import io
import pathlib
import typing
import zipfile
import zlib

import numpy as np

from tfae import files
from tfae.errors import InputError, nearest

_LISTED = 10  # names in a message


class Moved(typing.NamedTuple):
  """What `assign` did.

  names: of the variables that have new values, sorted.
  missing: those that were asked for and are not in the source.
  excluded: those that a pattern left out.
  unused: names of the source that are no variable of the model.
  sha256: of the arrays that were moved, and their names.
  """
  names: list
  missing: list
  excluded: list
  unused: list
  sha256: str


def by_name(model):
  """Returns {name: `tf.Variable`} of a model's weights, moving averages and mean image.

  A kernel that two layers share has one name, that of the layer that made it.
  """
  return {variable.name.split(":")[0]: variable for variable in model.variables}


def save_weights(model, path):
  """Writes all variables of a model, by their names, as one .npz file; the same bytes every time.

  `numpy.load` reads it: float32 arrays, such as `encoder/layer_0/kernel`; float64 ones of a model
  that computes in float64. The file is whole or not there.

  Args:
    model: a `tfae.models.model.Model`, such as a `tfae.Autoencoder`.
    path: of the file, which ends in .npz.

  Raises:
    InputError: another ending, a full disk, a folder that can't be written.
  """
  write_npz(path, {name: variable.numpy() for name, variable in by_name(model).items()})


def write_npz(path, values):
  """Writes {name: array} as `save_weights` does, and raises what it raises."""
  path = pathlib.Path(path)
  if path.suffix != ".npz":
    raise InputError(f"{path}: expected the name of a file that ends in .npz.")
  with files.writing(path.parent):
    path.parent.mkdir(parents=True, exist_ok=True)
  buffer = io.BytesIO()
  # NumPy dates every array of an archive 1980: the bytes don't depend on the clock.
  np.savez(buffer, **dict(sorted(values.items())))
  files.write(path, buffer.getvalue())


def load_weights(model, path, prefix="", exclude=""):
  """Gives variables of a model the values that a .npz file has under their names.

  Args:
    model: a `tfae.models.model.Model`.
    path: of a file of `save_weights`, or of any .npz with arrays of these names.
    prefix, exclude: see `assign`.

  Returns:
    A `Moved`: which variables have new values, which not.

  Raises:
    InputError: a file that can't be read; else as `assign`. The model is as it was.
  """
  return assign(model, read_npz(path), str(path), prefix, exclude)


def read_npz(path):
  """Returns {name: array} of a .npz file; raises InputError for one that can't be read."""
  try:
    with np.load(path, allow_pickle=False) as archive:
      return {name: archive[name] for name in archive.files}
  except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile,
          zlib.error, MemoryError) as error:
    reason = getattr(error, "strerror", None) or error
    raise InputError(f"{path}: can't be read as .npz ({reason}). tfae.save_weights and "
                     "tfae-weights write such files.") from None


def assign(model, values, source, prefix="", exclude=""):
  """Gives variables of a model the values of the same names; all of them, or an error and none.

  The mean image counts as a part of the first component, which subtracts it: its name is `mean`,
  and a prefix that takes the whole first component takes it too.

  Args:
    model: a `tfae.models.model.Model`.
    values: {name: array}.
    source: where they come from, for messages.
    prefix: first parts of the names to move, 'encoder' or 'encoder/layer_0'; '': all.
    exclude: patterns of `fnmatch` with commas between them, of names to leave as they are.

  Returns:
    A `Moved`.

  Raises:
    InputError: nothing to move, a pattern that matches nothing, arrays of another shape or that
      are no finite numbers.
  """
  variables, patterns = by_name(model), [p.strip() for p in exclude.split(",") if p.strip()]
  first = next(iter(model.components.values())).path
  wanted = [name for name in sorted(variables) if _begins(
      f"{first}/{name}" if name == "mean" else name, prefix.strip("/"))]
  for pattern in patterns:
    if not any(fnmatch.fnmatchcase(name, pattern) for name in variables):
      raise InputError(f"{source}: exclude={pattern!r} matches no variable of the model."
                       f"{nearest(pattern, variables)} The model has {listed(sorted(variables))}.")
  left = [name for name in wanted if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
  names = [name for name in wanted if name in values and name not in left]
  if not names:
    raise InputError(
        f"{source}: no variable of the model {f'under {prefix!r} ' if prefix else ''}is there"
        f"{f' that is not excluded by {exclude!r}' if left else ''}. There are "
        f"{listed(sorted(values))}; the model has {listed(sorted(variables))}.")
  arrays = {name: np.asarray(values[name]) for name in names}
  differing = [f"{name} ({_shape(arrays[name])} there, {_shape(variables[name])} here)"
               for name in names if arrays[name].shape != tuple(variables[name].shape)]
  if differing:
    raise InputError(f"{source}: of another shape: {listed(differing)}. Leave them out with "
                     f"exclude={','.join(d.split(' ')[0] for d in differing)!r}, or make the "
                     "layers alike.")
  for name, array in arrays.items():
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
      raise InputError(f"{source}: {name} ({array.dtype}) holds values that are no finite "
                       "floating-point numbers.")
  digest = hashlib.sha256()
  for name, array in arrays.items():
    array = array.astype(variables[name].dtype.as_numpy_dtype)
    variables[name].assign(array)
    digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
  return Moved(names, [n for n in wanted if n not in values and n not in left], left,
               sorted(set(values) - set(variables)), digest.hexdigest())


def listed(names):
  """Returns names in a line, the first few of many."""
  names = list(names)
  more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
  return ", ".join(names[:_LISTED]) + more or "none"


def _begins(name, prefix):
  return not prefix or name == prefix or name.startswith(prefix + "/")


def _shape(array):
  return " x ".join(map(str, array.shape)) or "a number"
