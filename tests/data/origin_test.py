"""tfae.data.origin: the rows of a split, against the images that the loader takes."""

import struct

import numpy as np
import pytest

from tfae.data import datasets
from tfae.errors import InputError
from tfae.specs.data import Data


def write(folder, **parts):
  for name, array in parts.items():
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    (folder / name.replace("_", "-")).write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
  """30 and 20 images that all differ; image i holds i everywhere."""
  image = lambda first, n: np.arange(first, first + n)[:, None, None] * np.ones((1, 2, 2))
  write(tmp_path, train_images=image(0, 30), train_labels=np.arange(30) % 3,
        test_images=image(30, 20), test_labels=np.arange(20) % 3)
  return tmp_path


@pytest.mark.parametrize("fields", [
    {}, {"validation": 9, "stratify": True}, {"fractions": (0.5, 0.2, 0.3), "stratify": True},
    {"pool": True, "train_range": (5, 40, 3), "test_range": (0, 3)}, {"labels_per_class": 4},
    {"train_on": "validation", "validation_range": (3, 8)}])
def test_the_rows_of_any_split_are_known_from_any_other(folder, fields):
  other = datasets.load("idx", folder, seed=1, fractions=(0.2, 0.4, 0.4))
  cut = datasets.load("idx", folder, seed=7, **fields)
  for rows in (cut.origin.rows, other.origin.rows_of(Data("idx", **fields), 7)):
    for split, part in zip((cut.train, cut.validation, cut.test), rows, strict=True):
      assert (split is None) == (part is None)
      if split is not None:
        assert split.images[:, 0, 0, 0].tolist() == part.tolist()


def test_labels_of_one_part_only_are_enough_for_what_splits_that_part_and_no_more(folder):
  (folder / "test-labels").unlink()
  origin = datasets.load("idx", folder).origin
  assert len(origin.rows_of(Data("idx", labels_per_class=2), 0)[0]) == 6
  with pytest.raises(InputError, match="one of train and test has labels"):
    origin.rows_of(Data("idx", fractions=(0.5, 0.2, 0.3)), 0)
