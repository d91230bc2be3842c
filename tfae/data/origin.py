"""What a data set was cut out of, so that the rows of another split of it are known."""

import dataclasses
import functools

import numpy as np

from tfae.data import splits
from tfae.errors import InputError
from tfae.specs.data import Data


@dataclasses.dataclass(frozen=True, eq=False)
class Origin:
  """The two parts of a data set as they came, without their images, and how they were split.

  sizes: number of images of (train, test); 0: there is no such part.
  labels: integers [n] of (train, test); None where there are none.
  config, seed: what the split was made by.
  """
  sizes: tuple
  labels: tuple
  config: Data
  seed: int

  @functools.cached_property
  def rows(self):
    """The rows of (train, validation, test) through the joined parts; see `rows_of`."""
    return self.rows_of(self.config, self.seed)

  def rows_of(self, config, seed):
    """Returns the rows of another split of the same parts.

    Args, returns and raises as `tfae.data.splits.split`, to which this gives sizes and labels.
    """
    return splits.split(config, self.sizes, self._labels_for(config), seed)

  def _labels_for(self, config):
    """Returns the labels that a split may ask for: of both parts if it joins them, else train's."""
    if not splits.joined(config) or not self.sizes[1]:
      return self.labels[0]
    missing = [labels is None for labels in self.labels]
    if any(missing) and not all(missing):
      raise InputError("data.pool or data.fractions: one of train and test has labels, the other "
                       "has none. Add the missing label file, or take away the other.")
    return None if all(missing) else np.concatenate(self.labels)
