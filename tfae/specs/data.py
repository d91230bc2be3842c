"""The section `data` of a config: which images, and how they are split."""

import dataclasses

from tfae.errors import InputError, check_bool, check_choice, check_int, set_fields

NAMES = ("digits", "mnist", "idx")


@dataclasses.dataclass(frozen=True)
class Data:
  """Which images.

  name: 'digits' (embedded), 'mnist', or 'idx' (a folder, --data_dir).
  validation: number of images carved from the training set; 0: none.
  stratify: whether the validation set has the class shares of the training set.
  """
  name: str = "digits"
  validation: int = 0
  stratify: bool = False

  def __post_init__(self):
    check_choice("data.name", self.name, NAMES)
    set_fields(self, validation=check_int("data.validation", self.validation, 0))
    check_bool("data.stratify", self.stratify)
    if self.stratify and not self.validation:
      raise InputError("data.stratify=True: has no effect with data.validation=0.")
