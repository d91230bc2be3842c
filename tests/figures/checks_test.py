"""tfae.figures.checks: a message names the argument, what it is, and what is allowed."""

import numpy as np
import pytest

from tfae.errors import InputError
from tfae.figures import checks


@pytest.mark.parametrize("value, message", [
    (np.zeros((2, 3, 3)), r"pictures has shape \[2, 3, 3\]: expected numbers of shape \[n, height"),
    (np.zeros((0, 3, 3, 1)), "is empty"),
    (np.zeros((2, 3, 3, 2)), r"expected 1 channel \(grey\) or 3"),
    (np.zeros((2, 3, 3, 1), np.uint8), "pictures has dtype uint8: expected floats"),
    (np.full((1, 2, 2, 1), np.nan), "4 of 4 values are not finite"),
    ([["a"]], "expected numbers"),
    ([[1.0], [1.0, 2.0]], "expected numbers"),
])
def test_what_are_no_images_is_named(value, message):
  with pytest.raises(InputError, match=message):
    checks.images("pictures", value)


def test_images_of_other_units_are_refused():
  with pytest.raises(InputError, match="values up to 255: expected floats in .0, 1.. Divide by"):
    checks.images("images", np.full((1, 2, 2, 1), 255.0))


def test_images_outside_the_range_are_clipped_and_the_callers_array_is_left_alone():
  given = np.array([-0.5, 0.25, 1.5]).reshape(1, 1, 3, 1)
  assert checks.images("images", given).ravel().tolist() == [0, 0.25, 1]
  assert given.ravel().tolist() == [-0.5, 0.25, 1.5]


@pytest.mark.parametrize("value, names, message", [
    ([0, 1, -1], None, "whole numbers from 0"),
    ([0.5, 1, 1], None, "whole numbers from 0"),
    ([0, 1], None, "labels has 2 rows: expected 3"),
    ([0, 1, 2], ["a", "b"], "2 names, but a label is 2"),
])
def test_what_are_no_labels_is_named(value, names, message):
  with pytest.raises(InputError, match=message):
    checks.labels("labels", value, 3, names)


def test_labels_without_names_are_called_by_their_numbers():
  labels, names = checks.labels("labels", [2.0, 0.0])
  assert labels.tolist() == [2, 0] and names == ["0", "1", "2"]
  assert checks.labels("labels", None) == (None, None)


def test_counts_have_the_right_plural():
  assert checks.plural(1, "image") == "1 image"
  assert checks.plural(60000, "image") == "60,000 images"
  assert checks.plural(2, "class") == "2 classes"
