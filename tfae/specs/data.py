"""The section `data` of a config: which images, and how they are split."""

import dataclasses
import math

from tfae.errors import (InputError, check_bool, check_choice, check_int, check_number, set_fields,
                         shown)

NAMES = ("digits", "mnist", "idx", "cifar10", "images", "tfrecord")
MEMORY_MAP = ("auto", "on", "off")
ENCODED = ("images", "tfrecord")  # PNG and JPEG, decoded as they are used
PARTS = ("train", "validation")
_RANGES = ("train_range", "validation_range", "test_range")
_LARGEST = 4096  # pixels of a side: 48 MiB an image


@dataclasses.dataclass(frozen=True)
class Data:
  """Which images, and which of them are for training, for validation and for the test.

  Every data set but some of 'images' and 'tfrecord' comes as two parts, train and test. Whatever is
  not named below stays as it comes. What is chosen at random depends on the run's seed only.

  name: 'digits' (embedded), 'mnist' or 'cifar10' (fetched if need be), or what lies in the folder
    --data_dir: 'idx' (IDX files), 'images' (PNG and JPEG files, see `tfae.data.folder`),
    'tfrecord' (the same in TFRecord files, see `tfae.data.records`).
  validation: number of images carved at random from the training set; 0: none.
  stratify: whether each part of `fractions`, or the carved validation set, has the class shares
    of the whole.
  pool: whether train and test are joined, in this order, before the ranges are cut out of them.
  train_range, validation_range, test_range: (start, stop) or (start, stop, step), as Python's
    range counts. With `pool`: of the joined set, and train and test must be given. Without: test
    of the part test, the others of the part train, and a missing train_range is all of it that is
    not in validation_range. None may share an image with another.
  fractions: (train, validation, test), which sum to 1, of train and test joined (so that `pool`
    goes without saying), chosen at random. Of n images, or with `stratify` of the n of each class,
    the first floor(train n) go to train, those up to floor((train + validation) n) to validation,
    the others to test. Validation may be 0: there is none then.
  train_on: 'train'; or 'validation': what was to be the validation set is trained on, and there is
    no validation set; what was to be the training set is not used.
  labels_per_class: label budget: so many images of each class, chosen at random, are left of the
    training set; 0: all. Those of a smaller budget are among those of a larger one.
  normal_classes: one-class data: only images of these classes, such as (3,), are left for training
    and validation, before a validation set is carved and a budget taken; the test set keeps all,
    for `tfae.anomaly` to tell them apart. (): all classes.
  size: (height, width) that each image of 'images' and 'tfrecord' is brought to.
  channels: of these: 1 (grey) or 3 (colour); None: 3.
  memory_map: of 'idx': 'on': the images stay in their files, which must be raw, and are read as
    they are used; 'off': they are read into memory and onto the data device, which is quicker;
    'auto': 'on' for raw files of more than 256 MiB together, else 'off'. Training ends with the
    same bits.
  """
  name: str = "digits"
  validation: int = 0
  stratify: bool = False
  pool: bool = False
  train_range: tuple | None = None
  validation_range: tuple | None = None
  test_range: tuple | None = None
  fractions: tuple | None = None
  train_on: str = "train"
  labels_per_class: int = 0
  size: tuple | None = None
  channels: int | None = None
  memory_map: str = "auto"
  normal_classes: tuple = ()

  def __post_init__(self):
    check_choice("data.name", self.name, NAMES)
    set_fields(self, validation=check_int("data.validation", self.validation, 0),
               labels_per_class=check_int("data.labels_per_class", self.labels_per_class, 0))
    check_bool("data.stratify", self.stratify)
    check_bool("data.pool", self.pool)
    check_choice("data.train_on", self.train_on, PARTS)
    for field in _RANGES:
      value = getattr(self, field)
      if value is not None:
        set_fields(self, **{field: _range(f"data.{field}", value)})
    if self.fractions is not None:
      set_fields(self, fractions=_fractions(self.fractions))
    set_fields(self, normal_classes=_classes("data.normal_classes", self.normal_classes))
    check_choice("data.memory_map", self.memory_map, MEMORY_MAP)
    if self.memory_map == "on" and self.name != "idx":
      raise InputError(f"data.memory_map='on': is for 'idx' only, not {self.name!r}. Leave it out.")
    self._check_together()
    self._check_images()

  def _check_together(self):
    given = [f"data.{field}" for field in _RANGES if getattr(self, field) is not None]
    if self.validation and self.validation_range is not None:
      raise InputError(f"data.validation={self.validation}: not with data.validation_range, which "
                       "names the validation set. Give one of them.")
    if self.fractions is not None and (given or self.validation):
      other = given[0] if given else f"data.validation={self.validation}"
      raise InputError(f"data.fractions={self.fractions}: not with {other}: fractions split the "
                       "whole set. Give one of them.")
    if self.pool and self.fractions is None and not (self.train_range and self.test_range):
      raise InputError("data.pool=True: needs data.train_range and data.test_range, or "
                       "data.fractions, to be split again.")
    if self.stratify and not self.validation and self.fractions is None:
      raise InputError("data.stratify=True: has no effect with data.validation=0 and no "
                       "data.fractions.")
    if self.train_on == "validation" and not (self.validation or self.validation_range
                                              or (self.fractions and self.fractions[1])):
      raise InputError("data.train_on='validation': there is no validation set. Name one with "
                       "data.validation, data.validation_range or data.fractions.")
    # Ranges of different parts share nothing, whatever their numbers.
    together = _RANGES if self.pool else _RANGES[:2]
    ranges = [(field, getattr(self, field)) for field in together if getattr(self, field)]
    for i, (field, one) in enumerate(ranges):
      for other_field, other in ranges[i + 1:]:
        shared = _first_common(range(*one), range(*other))
        if shared is not None:
          raise InputError(f"data.{field}={one}, data.{other_field}={other}: both have image "
                           f"{shared} (counted from 0). Expected ranges that share none.")

  def _check_images(self):
    if self.name not in ENCODED:
      for field in ("size", "channels"):
        if getattr(self, field) is not None:
          raise InputError(f"data.{field}={shown(getattr(self, field))}: is for 'images' and "
                           f"'tfrecord' only; {self.name!r} comes in a size of its own. Leave it "
                           "out.")
      return
    if not isinstance(self.size, (tuple, list)) or len(self.size) != 2:
      raise InputError(f"data.size={shown(self.size)}: {self.name!r} needs (height, width) to "
                       "bring its images to, such as (64, 64).")
    set_fields(self, size=tuple(check_int(f"data.size[{i}]", side, 1, _LARGEST)
                                for i, side in enumerate(self.size)))
    if self.channels is not None:
      set_fields(self, channels=check_int("data.channels", self.channels, 1))
      if self.channels not in (1, 3):
        raise InputError(f"data.channels={self.channels}: expected 1 (grey) or 3 (colour).")


def _range(name, value):
  if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
    raise InputError(f"{name}={shown(value)}: expected (start, stop) or (start, stop, step), such "
                     "as (0, 25000).")
  for number in value:
    check_int(name, number, 0)
  start, stop, *step = map(int, value)
  if start >= stop or step == [0]:
    raise InputError(f"{name}={shown(value)}: expected start < stop and step >= 1.")
  return start, stop, *step


def _classes(name, value):
  if not isinstance(value, (tuple, list)):
    raise InputError(f"{name}={shown(value)}: expected a tuple of classes, such as (3,).")
  return tuple(sorted({check_int(name, number, 0) for number in value}))


def _fractions(value):
  name = "data.fractions"
  if not isinstance(value, (tuple, list)) or len(value) != 3:
    raise InputError(f"{name}={shown(value)}: expected (train, validation, test), such as "
                     "(.8, .1, .1).")
  numbers = tuple(check_number(f"{name}[{i}]", number, 0, 1) for i, number in enumerate(value))
  if not numbers[0] or not numbers[2] or abs(sum(numbers) - 1) > 1e-9:
    raise InputError(f"{name}={shown(value)}: sum to {sum(numbers):.10g}; expected (train, "
                     "validation, test) that sum to 1, train and test above 0.")
  return numbers


def _first_common(a, b):
  """Returns the least number that two ascending ranges share, or None; whatever their length."""
  common = math.gcd(a.step, b.step)
  apart = b.start - a.start
  if apart % common:
    return None
  # a.start + k a.step is in b's progression for k = apart / a.step modulo b.step (the Chinese
  # remainder theorem).
  modulus = b.step // common
  first = a.start + a.step * (apart // common * pow(a.step // common, -1, modulus) % modulus)
  period = a.step * modulus
  first += max(0, -(-(b.start - first) // period)) * period
  return first if first < min(a.stop, b.stop) else None
