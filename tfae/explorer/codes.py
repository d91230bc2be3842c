"""What the page says of codes: their names, and how the examples' spread over each."""

import numpy as np


def names(shape):
  """Returns the names of the numbers of a code of this shape, in the order of its bytes.

  Of a vector 'code 3', of a map 'row 0, column 2, channel 5'.
  """
  if len(shape) == 3:
    return [f"row {y}, column {x}, channel {c}" for y, x, c in np.ndindex(*shape)]
  return [f"code {', '.join(map(str, index))}" for index in np.ndindex(*shape)]


def spread(codes):
  """Returns what the plane and the sliders are made by, of codes `[n, size]`, as JSON values.

  `mean`, `low`, `high` and `variance` (of n, not n - 1) of each number of the code, and `order`:
  the numbers' indices by falling variance, of equal ones the lower first.
  """
  codes = codes.astype(np.float64)
  variance = codes.var(axis=0)
  values = {"mean": codes.mean(axis=0), "low": codes.min(axis=0), "high": codes.max(axis=0),
            "variance": variance}
  return {**{name: short(value) for name, value in values.items()},
          "order": np.argsort(-variance, kind="stable").tolist()}


def short(values):
  """Returns numbers as a list of floats, to the nine digits that tell any two float32 apart."""
  return [float(f"{value:.9g}") for value in values]
