"""Test images that the run whose weights a new run starts from was trained on: said, not refused.

They flatter the new run's test score, and nothing else would show it.
"""

import dataclasses
import logging
import pathlib

import numpy as np

from tfae import transfer
from tfae import workdir as workdirs
from tfae.errors import InputError

_LOG = logging.getLogger(__name__)
# Fields of `Data` that change images, or where they are kept, not what they are for.
_NO_SPLIT = ("size", "channels", "memory_map")


def warn(init_from, data):
  """Logs a warning for each run behind the first weights that was trained on test images.

  That is the run that they come from, the one that this had its own first weights from, and so
  on, as long as they are there. Nothing is known of files, of runs of `tfae.fit`, and of data that
  were not made by `tfae.load`.

  Args:
    init_from: as `tfae.specs.sections.Transfer` has it; empty: nothing to say.
    data: the `tfae.data.datasets.Dataset` of the run that starts.
  """
  seen = set()
  while init_from and data.origin is not None:
    source = transfer.split(init_from)[0]
    if source.resolve() in seen or not (source / "config.json").exists():
      return
    seen.add(source.resolve())
    try:
      other, config = workdirs.read_config(source)
    except InputError as error:
      _LOG.warning("whether %s was trained on test images of this run can't be told: %s", source,
                   error)
      return
    if other is None:
      return
    count = shared(data, source, other, config["data"])
    if count:
      _LOG.warning(
          "%s was trained on %s of the %s images that this run is tested on, because its data are "
          "split otherwise (%s): the test score will be flattered. Give both runs the same split, "
          "or ranges that share nothing.", source, f"{count:,}", f"{len(data.test):,}",
          "; ".join(_differences(other, data.origin)))
    init_from = other.transfer.init_from


def shared(data, source, other, was):
  """Returns how many test images are among those that another run was trained on.

  Args:
    data: the `Dataset` with the test images; its `origin` is known.
    source: `pathlib.Path`, the other run's folder.
    other: the `tfae.experiment.Experiment` of that run.
    was: what its config.json says of its data.

  Returns:
    int; 0 if its data are others. They are the same if their names, the sizes of their splits and
    the test images that it kept are, as far as those are among the images here.
  """
  if other.data.name != data.name:
    return 0
  try:
    rows = train, _, test = data.origin.rows_of(other.data, other.seed)
  except InputError:
    return 0  # they can't be split as that run's were
  sizes = [0 if part is None else len(part) for part in rows]
  if sizes != [was["train"], was["validation"], was["test"]]:
    return 0
  count = len(np.intersect1d(train, data.origin.rows[2]))
  return count if count and _same_images(data, source, test) else 0


def _same_images(data, source, test):
  """Returns whether no test image that a run kept differs from the one of its row in `data`."""
  try:
    kept = workdirs.read_examples(source)
  except InputError:
    return True  # the file is gone; names and sizes agree
  if kept.shape[1:] != tuple(data.test.images.shape[1:]):
    return True  # the same files, brought to another size
  for split, rows in zip((data.train, data.validation, data.test), data.origin.rows):
    if split is not None:
      _, theirs, ours = np.intersect1d(test[:len(kept)], rows, return_indices=True)
      if not np.array_equal(kept[theirs], split.images[ours]):
        return False
  return True


def _differences(other, origin):
  """Returns 'field: there -> here' of what decides which images are for what."""
  found = [(f"data.{field.name}", getattr(other.data, field.name),
            getattr(origin.config, field.name)) for field in dataclasses.fields(other.data)
           if field.name not in _NO_SPLIT]
  found.append(("seed", other.seed, origin.seed))
  return [f"{name}: {there!r} -> {here!r}" for name, there, here in found if there != here]
