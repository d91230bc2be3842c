"""Data sets by name: seeded, disjoint splits of uint8 images with optional labels."""

import dataclasses
import functools
import hashlib
import os
import pathlib

import numpy as np

from tfae.data import idx, sources
from tfae.errors import InputError, check_bool, check_choice, check_int
from tfae.specs.data import NAMES

_DIGITS_TEST = 297  # leaves 1,500 for training
_DIGITS_TEST_SEED = 20240229  # any constant: the test images never depend on a run's seed
_LISTED = 20  # names of a folder shown in an error


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """Images, uint8 [n, height, width, 1], and their labels, uint8 [n] or None; both read-only.

  Other integers and real numbers may be given by hand. Raises InputError for anything else.
  """
  images: np.ndarray
  labels: np.ndarray | None

  def __post_init__(self):
    for name, value in (("images", self.images), ("labels", self.labels)):
      if name == "labels" and value is None:
        continue
      if not isinstance(value, np.ndarray) or value.dtype.kind not in "uif" or not len(value):
        found = (f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray)
                 else type(value).__name__)
        raise InputError(f"Split.{name}: found {found}; expected a NumPy array of integers or real "
                         "numbers with at least one entry. np.asarray(..., np.float32) makes one.")
    if self.labels is not None and len(self.labels) != len(self.images):
      raise InputError(f"Split.labels: found {len(self.labels)}, expected {len(self.images)}, one "
                       "for each image.")
    self.images.flags.writeable = False
    if self.labels is not None:
      self.labels.flags.writeable = False

  def __len__(self):
    return len(self.images)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """Disjoint splits of equal height and width; a pixel's scale is 1 / max_value.

  `validation` is None if none was asked for.
  """
  name: str
  train: Split
  validation: Split | None
  test: Split
  max_value: int

  @functools.cached_property
  def classes(self):
    """Number of classes: 1 + the largest label; 0 if a part has no labels."""
    parts = [p for p in (self.train, self.validation, self.test) if p is not None]
    if any(part.labels is None for part in parts):
      return 0
    return 1 + int(max(part.labels.max() for part in parts))

  @functools.cached_property
  def sha256(self):
    """Hex digest over name, dtype, shape and bytes of every split's arrays: the data's identity."""
    digest = hashlib.sha256()
    for part in ("train", "validation", "test"):
      split = getattr(self, part)
      for field in ("images", "labels"):
        array = None if split is None else getattr(split, field)
        if array is not None:
          digest.update(f"{part}/{field} {array.dtype.str} {array.shape}\n".encode())
          digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def load(name, data_dir=None, validation=0, seed=0, stratify=False):
  """Loads a data set: 'digits', 'mnist' or 'idx'.

  digits: 1,797 scans of 8x8, values 0 to 16, ten classes, embedded in scikit-learn; 297 fixed
    test images, stratified. Source: Alpaydin and Kaynak, Optical Recognition of Handwritten
    Digits, UCI 1998 (its test part).
  mnist: 60,000 and 10,000 images of 28x28, values 0 to 255, ten classes, from `data_dir`, the
    cache or the network (see tfae.data.sources). Source: LeCun, Bottou, Bengio, Haffner,
    Gradient-based learning applied to document recognition, 1998.
  idx: the IDX files of the folder `data_dir`, raw or .gz: train-images*, test-images* or
    t10k-images*, and, optional for each, train-labels*, test-labels* or t10k-labels*.

  `validation` images are taken out of train, chosen by `seed`; `stratify` keeps the proportions
  of the classes. Train and validation keep the original order. Returns a Dataset.
  What was verified is what is used: nothing is read twice, and the files of 'idx' are those of
  one moment. Raises InputError for a bad argument, for files that are missing, ambiguous, damaged,
  changed while they are read or too large, and if `stratify` finds no labels or too few images of
  a class.
  """
  check_choice("name", name, NAMES)
  check_int("validation", validation, 0)
  seed = check_int("seed", seed, 0, 2**63 - 1)
  check_bool("stratify", stratify)
  if name == "digits" and data_dir:
    raise InputError(f"data_dir={str(data_dir)!r}: expected none for 'digits', which is embedded. "
                     "Leave data_dir out, or choose 'mnist' or 'idx'.")
  if name == "idx" and not data_dir:
    raise InputError(f"data_dir={data_dir!r}: expected a folder of IDX files for 'idx'.")
  train, test = {"digits": _digits, "mnist": _mnist, "idx": _idx}[name](data_dir)
  if stratify and train.labels is None:
    raise InputError("stratify=True: expected False, the train images have no labels.")
  kept, carved = _carve(train, check_int("validation", validation, 0, len(train) - 1), seed,
                        stratify)
  return Dataset(name, kept, carved, test, 16 if name == "digits" else 255)


def _digits(_):
  import sklearn.datasets  # heavy
  digits = sklearn.datasets.load_digits()
  everything = Split(digits.images.astype(np.uint8)[..., None], digits.target.astype(np.uint8))
  return _carve(everything, _DIGITS_TEST, _DIGITS_TEST_SEED, True)


def _mnist(data_dir):
  files = sources.mnist(data_dir)
  return tuple(_split(*idx.read_pair(files[f"{part}_images"], files[f"{part}_labels"]))
               for part in ("train", "test"))


def _idx(data_dir):
  folder = pathlib.Path(data_dir)
  try:
    names = sorted(os.listdir(folder))
  except OSError as error:
    raise InputError(f"data_dir={str(folder)!r}: can't be listed: {error.strerror}. Expected a "
                     "folder of IDX files.") from error
  paths = [(_one(folder, names, prefixes, "images", required=True),
            _one(folder, names, prefixes, "labels", required=False))
           for prefixes in (("train",), ("test", "t10k"))]
  with idx.unchanged([path for pair in paths for path in pair if path]):
    train, test = (_split(idx.read_images(images), None) if labels is None else
                   _split(*idx.read_pair(images, labels, classes=None))
                   for images, labels in paths)
  if train.images.shape[1:] != test.images.shape[1:]:
    sizes = ["{} x {}".format(*split.images.shape[1:3]) for split in (train, test)]
    raise InputError(f"{paths[1][0]}: found images of {sizes[1]} (height x width), expected "
                     f"{sizes[0]} as in {paths[0][0]}.")
  return train, test


def _one(folder, names, prefixes, kind, required):
  patterns = [f"{prefix}-{kind}" for prefix in prefixes]
  matches = [name for name in names if name.startswith(tuple(patterns))]
  if len(matches) == 1:
    return folder / matches[0]
  if not matches and not required:
    return None
  expected = " or ".join(f"{pattern}*" for pattern in patterns)
  found = matches or names
  more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
  raise InputError(f"{folder}: found {', '.join(found[:_LISTED]) or 'nothing'}{more}; expected "
                   f"exactly one file named {expected} (IDX, raw or .gz). Add or remove files.")


def _split(images, labels):
  return Split(images[..., None], labels)


def _carve(split, n, seed, stratify):
  """Returns `split` without n images chosen by `seed`, and those (None if n is 0)."""
  if n == 0:
    return split, None
  if stratify:
    from sklearn.model_selection import train_test_split  # heavy
    try:
      _, chosen = train_test_split(np.arange(len(split)), test_size=n, random_state=seed % 2**32,
                                   stratify=split.labels)
    except ValueError as error:
      raise InputError(f"stratify=True, validation={n}: not possible: {error}") from error
  else:
    chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(split))[:n]
  taken = np.zeros(len(split), bool)
  taken[chosen] = True
  return tuple(Split(split.images[rows], None if split.labels is None else split.labels[rows])
               for rows in (~taken, taken))
