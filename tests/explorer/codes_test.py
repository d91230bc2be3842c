"""The names of a code's numbers, and their order by variance, against numpy."""

import numpy as np

from tfae.explorer import codes


def test_numbers_of_a_vector_and_of_a_map_are_named_by_their_place():
  assert codes.names((3,)) == ["code 0", "code 1", "code 2"]
  names = codes.names((2, 3, 4))
  place = np.arange(24).reshape(2, 3, 4)[1, 0, 3]
  assert names[place] == "row 1, column 0, channel 3" and len(set(names)) == 24


def test_the_spread_is_that_of_numpy_and_the_order_is_by_falling_variance():
  values = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) * [1, 5, 0, 2, 5, 0]
  found = codes.spread(values.astype(np.float32))
  functions = {"mean": np.mean, "variance": np.var, "low": np.min, "high": np.max}
  for name, function in functions.items():
    expected = function(np.float32(values), axis=0)
    np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-7)
  assert sorted(found["order"]) == list(range(6))
  assert all(np.diff(np.array(found["variance"])[found["order"]]) <= 0)
  assert found["order"][-2:] == [2, 5]  # which do not vary: the lower first


def test_nine_digits_bring_a_float32_back():
  values = np.random.default_rng(1).normal(size=1000).astype(np.float32)
  np.testing.assert_array_equal(np.float32(codes.short(values)), values)
