"""Data sets by name: seeded, disjoint splits of uint8 images with optional labels."""

import dataclasses
import functools
import hashlib
import os
import pathlib

import numpy as np

from tfae.data import cifar, folder, idx, mnist, records, splits
from tfae.data.mapped import Maps
from tfae.data.origin import Origin
from tfae.data.stored import StoredImages
from tfae.errors import InputError, check_int
from tfae.specs.data import Data

_DIGITS_TEST = 297  # leaves 1,500 for training
_DIGITS_TEST_SEED = 20240229  # any constant: the test images never depend on a run's seed
_MOST_IN_MEMORY = 2**28  # bytes of raw IDX image files that memory_map='auto' reads into memory
_LISTED = 20  # names of a folder shown in an error
_FILES = {"idx": "IDX files", "images": "PNG or JPEG files", "tfrecord": "TFRecord files"}


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """Images, uint8 [n, height, width, channels], and their labels, integers [n] or None.

  Arrays become read-only. `images` may be a `tfae.data.stored.StoredImages`, which reads what is
  asked for. Other integers and real numbers may be given by hand. Raises InputError for anything
  else.
  """
  images: np.ndarray | StoredImages
  labels: np.ndarray | None

  def __post_init__(self):
    for name, value in (("images", self.images), ("labels", self.labels)):
      if name == "labels" and value is None:
        continue
      if name == "images" and isinstance(value, StoredImages) and len(value):
        continue
      if not isinstance(value, np.ndarray) or value.dtype.kind not in "uif" or not len(value):
        found = (f"{value.dtype} of shape {value.shape}"
                 if isinstance(value, (np.ndarray, StoredImages)) else type(value).__name__)
        raise InputError(f"Split.{name}: found {found}; expected a NumPy array of integers or real "
                         "numbers with at least one entry. np.asarray(..., np.float32) makes one.")
      value.flags.writeable = False
    if self.labels is not None and len(self.labels) != len(self.images):
      raise InputError(f"Split.labels: found {len(self.labels)}, expected {len(self.images)}, one "
                       "for each image.")

  def __len__(self):
    return len(self.images)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """Disjoint splits of equal height and width; a pixel's scale is 1 / max_value.

  `validation` is None if none was asked for; `origin` if `load` did not make it. `class_names`
  are in the order of the labels; None: the classes are called by their numbers.
  """
  name: str
  train: Split
  validation: Split | None
  test: Split
  max_value: int
  origin: Origin | None = None
  class_names: tuple | None = None

  @property
  def _arrays(self):
    """Yields (path, array) of what there is."""
    for part in ("train", "validation", "test"):
      split = getattr(self, part)
      for field in ("images", "labels"):
        array = None if split is None else getattr(split, field)
        if array is not None:
          yield f"{part}/{field}", array

  @functools.cached_property
  def classes(self):
    """Number of classes: 1 + the largest label; 0 if a part has no labels."""
    parts = [p for p in (self.train, self.validation, self.test) if p is not None]
    if any(part.labels is None for part in parts):
      return 0
    return 1 + int(max(part.labels.max() for part in parts))

  @functools.cached_property
  def sha256(self):
    """Hex digest over name, dtype, shape and bytes of every split's arrays: the data's identity.

    Of images in a folder: over names, sizes and bytes of their files; of those in TFRecord
    files over their sizes and bytes.
    """
    digest = hashlib.sha256()
    for path, array in self._arrays:
      digest.update(f"{path} {array.dtype.str} {array.shape}\n".encode())
      for piece in (array.identity() if isinstance(array, StoredImages)
                    else [np.ascontiguousarray(array)]):
        digest.update(piece)
    return digest.hexdigest()


def load(name, data_dir=None, validation=0, seed=0, stratify=False, **fields):
  """Loads a data set.

  digits: 1,797 scans of 8x8, values 0 to 16, ten classes, embedded in scikit-learn; 297 fixed
    test images, stratified. Source: Alpaydin and Kaynak, Optical Recognition of Handwritten
    Digits, UCI 1998 (its test part).
  mnist: 60,000 and 10,000 images of 28x28, values 0 to 255, ten classes, from `data_dir`, the
    cache or the network (see tfae.data.mnist). Source: LeCun, Bottou, Bengio, Haffner,
    Gradient-based learning applied to document recognition, 1998.
  idx: the IDX files of the folder `data_dir`, raw or .gz: train-images*, test-images* or
    t10k-images*, and, optional for each, train-labels*, test-labels* or t10k-labels*.
  cifar10: 50,000 and 10,000 colour images of 32x32, values 0 to 255, ten classes, from `data_dir`,
    the cache or the network (see tfae.data.cifar). Source: Krizhevsky, Learning multiple layers of
    features from tiny images, 2009.
  images: the PNG and JPEG files of the folder `data_dir`, values 0 to 255, decoded when they are
    used (see tfae.data.folder).
  tfrecord: the same in the TFRecord files of `data_dir` (see tfae.data.records).

  Args:
    name: one of these.
    data_dir: a folder; None: none.
    seed: int >= 0, of every random choice.
    validation, stratify, **fields: those of `tfae.specs.data.Data`, which says what they do.

  Returns:
    A `Dataset`. Images of each part keep the original order. What was verified is what is used:
    nothing is read twice, and the files of 'idx' and 'cifar10' are those of one moment; an image
    file that has changed since then is an error where it is read.

  Raises:
    InputError: a bad argument; files that are missing, ambiguous, damaged, changed while they are
      read or too large; a split that the images or their labels don't allow.
  """
  config = Data(name=name, validation=validation, stratify=stratify, **fields)
  return load_config(config, data_dir, seed)


def load_config(config, data_dir=None, seed=0):
  """As `load`, of a `tfae.specs.data.Data`."""
  name = config.name
  seed = check_int("seed", seed, 0, 2**63 - 1)
  if name == "digits" and data_dir:
    raise InputError(f"data_dir={str(data_dir)!r}: expected none for 'digits', which is embedded. "
                     "Leave data_dir out, or choose 'mnist' or 'idx'.")
  if name in _FILES and not data_dir:
    raise InputError(f"data_dir={data_dir!r}: expected a folder of {_FILES[name]} for {name!r}.")
  parts = {"digits": _digits, "mnist": _mnist, "idx": _idx, "cifar10": _cifar10,
           "images": _images, "tfrecord": _tfrecord}[name](config, data_dir)
  origin = Origin(tuple(0 if part is None else len(part) for part in parts),
                  tuple(None if part is None else part.labels for part in parts), config, seed)
  train, validation, test = (None if rows is None else _select(parts, rows)
                             for rows in origin.rows)
  return Dataset(name, train, validation, test, 16 if name == "digits" else 255, origin,
                 _class_names(name, parts[0]))


def _class_names(name, part):
  """Returns what a data set calls its classes, None if by numbers, or if there are none."""
  if name == "cifar10":
    return cifar.CLASS_NAMES
  if name != "images" or part.labels is None:
    return None
  _, first = np.unique(part.labels, return_index=True)  # of each class an image
  folders = (pathlib.PurePath(part.images.store.name(row)).parent.name
             for row in part.images.rows[first])
  return tuple(os.fsencode(name).decode(errors="replace") for name in folders)  # need not be UTF-8


def _select(parts, rows):
  """Returns the Split of ascending rows of the joined parts, without a copy of a whole part."""
  first = 0
  for part in parts:
    size = 0 if part is None else len(part)
    if first <= rows[0] and rows[-1] < first + size:
      return part if len(rows) == size else _take(part, rows - first)
    first += size
  images, labels = [part.images for part in parts], [part.labels for part in parts]
  whole = images[0].joined(images[1]) if isinstance(images[0], StoredImages) \
      else np.concatenate(images)
  return _take(Split(whole, None if labels[0] is None else np.concatenate(labels)), rows)


def _take(split, rows):
  images = split.images
  return Split(images.subset(rows) if isinstance(images, StoredImages) else images[rows],
               None if split.labels is None else split.labels[rows])


def _digits(*_):
  import sklearn.datasets  # heavy
  digits = sklearn.datasets.load_digits()
  everything = Split(digits.images.astype(np.uint8)[..., None], digits.target.astype(np.uint8))
  return tuple(_take(everything, rows) for rows in splits.carve(
      np.arange(len(everything)), everything.labels, _DIGITS_TEST, _DIGITS_TEST_SEED, True))


def _mnist(_, data_dir):
  files = mnist.find(data_dir)
  return tuple(_split(*idx.read_pair(files[f"{part}_images"], files[f"{part}_labels"]))
               for part in ("train", "test"))


def _idx(config, data_dir):
  directory = pathlib.Path(data_dir)
  try:
    names = sorted(os.listdir(directory))
  except OSError as error:
    raise InputError(f"data_dir={str(directory)!r}: can't be listed: {error.strerror}. Expected a "
                     "folder of IDX files.") from error
  paths = [(_one(directory, names, prefixes, "images", required=True),
            _one(directory, names, prefixes, "labels", required=False))
           for prefixes in (("train",), ("test", "t10k"))]
  with idx.unchanged([path for pair in paths for path in pair if path]):
    read = idx.map_images if _is_mapped(config, paths) else idx.read_images
    train, test = (_split(read(images), None) if labels is None else
                   _split(*idx.read_pair(images, labels, classes=None, read=read))
                   for images, labels in paths)
    parts = (train, test) if read is idx.read_images else _mapped(paths, train, test)
  if train.images.shape[1:] != test.images.shape[1:]:
    sizes = ["{} x {}".format(*split.images.shape[1:3]) for split in (train, test)]
    raise InputError(f"{paths[1][0]}: found images of {sizes[1]} (height x width), expected "
                     f"{sizes[0]} as in {paths[0][0]}.")
  return parts


def _is_mapped(config, paths):
  if config.memory_map != "auto":
    return config.memory_map == "on"
  images = [path for path, _ in paths]
  return all(map(idx.is_raw, images)) and sum(map(os.path.getsize, images)) > _MOST_IN_MEMORY


def _mapped(paths, *parts):
  """Returns the Splits of mapped images as such of one store."""
  store = Maps([(str(path), part.images[..., 0]) for (path, _), part in zip(paths, parts)])
  rows = np.split(np.arange(len(store)), [len(parts[0])])
  return tuple(Split(StoredImages(store, part.images.shape[1:], some), part.labels)
               for part, some in zip(parts, rows))


def _cifar10(_, data_dir):
  return tuple(Split(*part) for part in cifar.read(data_dir))


def _images(config, data_dir):
  found = folder.read(data_dir, config.size, config.channels or 3)
  if found[1] is None and not splits.joined(config):
    raise InputError(f"{data_dir}: has no sub-folders train and test, so data.fractions, such as "
                     "(.8, .1, .1), or data.pool with ranges must say which images are for what.")
  return tuple(None if part is None else Split(*part) for part in found)


def _tfrecord(config, data_dir):
  found = records.read(data_dir, config.size, config.channels or 3)
  if found[1] is None and not splits.joined(config):
    raise InputError(f"{data_dir}: no shard has train or test in its name, so data.fractions, such "
                     "as (.8, .1, .1), or data.pool with ranges must say which images are for "
                     "what.")
  return tuple(None if part is None else Split(*part) for part in found)


def _one(directory, names, prefixes, kind, required):
  patterns = [f"{prefix}-{kind}" for prefix in prefixes]
  matches = [name for name in names if name.startswith(tuple(patterns))]
  if len(matches) == 1:
    return directory / matches[0]
  if not matches and not required:
    return None
  expected = " or ".join(f"{pattern}*" for pattern in patterns)
  found = matches or names
  more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
  raise InputError(f"{directory}: found {', '.join(found[:_LISTED]) or 'nothing'}{more}; expected "
                   f"exactly one file named {expected} (IDX, raw or .gz). Add or remove files.")


def _split(images, labels):
  return Split(images[..., None], labels)
