"""Which images are for training, validation and test: rows of a data set's two parts, joined."""

import math
import zlib

import numpy as np

from tfae.errors import InputError, check_int

_NAMES = ("train", "validation", "test")


def split(config, sizes, labels, seed):
  """Returns the rows of (train, validation, test), each int64 ascending; validation may be None.

  Rows count through train and then test. The three share none, and but for ranges,
  `labels_per_class`, `normal_classes` and `train_on` they are all rows.

  Args:
    config: a `tfae.specs.data.Data`.
    sizes: number of images of the parts (train, test); test may be 0 with `fractions` or `pool`.
    labels: integers of the joined parts, or with neither `pool` nor `fractions` at least of train;
      None where there are none.
    seed: int, of every random choice.

  Raises:
    InputError: ranges past the end, a part that stays empty, `stratify`, `labels_per_class` or
      `normal_classes` without labels or with too few images of a class.
  """
  for field, default in (("stratify", False), ("labels_per_class", 0), ("normal_classes", ())):
    if getattr(config, field) and labels is None:
      raise InputError(f"data.{field}={getattr(config, field)}: expected {default}, the "
                       f"{'train ' if not joined(config) else ''}images have no labels.")
  if config.fractions is not None:
    rows = _by_fractions(config, sum(sizes), labels, seed)
  else:
    rows = _by_ranges(config, *sizes)
  train, validation, test = rows
  if config.normal_classes:
    train, validation = (
        None if part is None else _normal(name, part, labels, config.normal_classes)
        for name, part in (("training", train), ("validation", validation)))
  if config.validation:
    n = check_int("data.validation", config.validation, 0, len(train) - 1)
    train, validation = carve(train, None if labels is None else labels[train], n, seed,
                              config.stratify)
  if config.train_on == "validation":
    train, validation = validation, None
  if config.labels_per_class:
    train = _budget(train, labels, config, seed)
  return train, validation, test


def joined(config):
  """Returns whether a `Data` splits the two parts as one set."""
  return config.pool or config.fractions is not None


def carve(rows, labels, n, seed, stratify):
  """Returns `rows` without n of them that `seed` chose, and those; both in their old order.

  Args:
    rows: integers [m].
    labels: of the rows, [m]; None if `stratify` is False.
    n: 1 to m - 1.
    seed: int.
    stratify: whether the chosen have the class shares of all, as
      `sklearn.model_selection.train_test_split` rounds them.

  Raises:
    InputError: `stratify` with too few images of a class.
  """
  if stratify:
    from sklearn.model_selection import train_test_split  # heavy
    try:
      _, chosen = train_test_split(np.arange(len(rows)), test_size=n, random_state=seed % 2**32,
                                   stratify=labels)
    except ValueError as error:
      raise InputError(f"data.stratify=True, data.validation={n}: not possible: {error}") from error
  else:
    chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(rows))[:n]
  taken = np.zeros(len(rows), bool)
  taken[chosen] = True
  return rows[~taken], rows[taken]


def _by_ranges(config, n_train, n_test):
  if config.pool:
    n_train = n_test = n_train + n_test
    first_test = 0
  else:
    first_test = n_train
  train, validation, test = (
      _range(f"data.{name}_range", getattr(config, f"{name}_range"), n,
             "joined set" if config.pool else f"part {part}")
      for name, part, n in (("train", "train", n_train), ("validation", "train", n_train),
                            ("test", "test", n_test)))
  if train is None:
    train = np.arange(n_train) if validation is None else np.setdiff1d(np.arange(n_train),
                                                                       validation)
    if not len(train):
      raise InputError(f"data.validation_range={config.validation_range}: leaves no image to train "
                       "on. Use a smaller one.")
  return train, validation, first_test + (np.arange(n_test) if test is None else test)


def _range(name, value, n, whole):
  if value is None:
    return None
  if value[1] > n:
    raise InputError(f"{name}={value}: the {whole} has {n} images. Use a stop of at most {n}.")
  return np.arange(*value)


def _by_fractions(config, n, labels, seed):
  first, second, _ = config.fractions
  part = np.empty(n, np.int8)
  classes = labels if config.stratify else np.zeros(n, np.int8)
  order = _permutation(seed, "fractions", n)
  for value in np.unique(classes):
    members = order[classes[order] == value]
    # .7 * 10 is 6.999...: a billionth of an image is no image.
    ends = [math.floor(share * len(members) + 1e-9) for share in (first, first + second)]
    for name, rows in enumerate(np.split(members, ends)):
      part[rows] = name
  result = [np.flatnonzero(part == name) for name in range(3)]
  for name, rows, share in zip(_NAMES, result, config.fractions):
    if share and not len(rows):
      raise InputError(f"data.fractions={config.fractions}: leaves no image for {name}, of {n}. "
                       "Use a larger fraction or more images.")
  return result[0], result[1] if second else None, result[2]


def _normal(name, rows, labels, classes):
  """Returns those of `rows` whose label is one of `classes`; InputError if one has none."""
  there = np.unique(labels[rows])
  for value in classes:
    if value not in there:
      raise InputError(f"data.normal_classes={classes}: class {value} has no {name} images; there "
                       f"are those of {', '.join(map(str, there))}. Choose among them.")
  return rows[np.isin(labels[rows], classes)]


def _budget(rows, labels, config, seed):
  # By places of one permutation of all: another split, or another budget, moves no image's place.
  place = np.empty(len(labels), np.int64)
  place[_permutation(seed, "labels_per_class", len(labels))] = np.arange(len(labels))
  kept, n = [], config.labels_per_class
  for value in config.normal_classes or np.unique(labels):
    members = rows[labels[rows] == value]
    if len(members) < n:
      raise InputError(f"data.labels_per_class={n}: class {value} has {len(members)} training "
                       "images. Use a smaller budget, or 0 for all.")
    kept.append(members[np.argsort(place[members])[:n]])
  return np.sort(np.concatenate(kept))


def _permutation(seed, purpose, n):
  # A stream of its own for each purpose: two choices of one run are not the same choice.
  key = seed + (zlib.crc32(purpose.encode()) << 64)
  return np.random.Generator(np.random.Philox(key=key)).permutation(n)
