"""Ways through the space of codes: interpolation, bilinear grid, manifold of the prior."""

import numpy as np

from tfae.errors import InputError, check_int
from tfae.figures import checks, style
from tfae.figures.cells import image_grid


def interpolate(first, last, steps):
  """Returns the codes on the straight line between two codes, `[steps, *first.shape]`.

  The ends are exactly `first` and `last`.

  Args:
    first, last: codes of one shape, vectors or maps.
    steps: how many codes, the ends included: at least 2.
  """
  first, last = np.asarray(first), np.asarray(last)
  checks.same_shape("last", last, "first", first)
  shares = np.linspace(0, 1, check_int("steps", steps, 2), dtype=np.float32)
  shares = shares.reshape(-1, *[1] * first.ndim)
  # In this form both ends are exact: a + 1 (b - a) is not always b.
  return first * (1 - shares) + last * shares


def bilinear(corners, rows, columns):
  """Returns the codes of a grid between four corners, `[rows, columns, *code]`, exact at these.

  Args:
    corners: `[4, ...]`: top left, top right, bottom left, bottom right.
    rows, columns: at least 2 each.
  """
  corners = np.asarray(corners)
  if corners.shape[:1] != (4,):
    raise InputError(f"corners has shape {list(corners.shape)}: expected [4, ...]: top left, top "
                     "right, bottom left, bottom right.")
  left = interpolate(corners[0], corners[2], rows)
  right = interpolate(corners[1], corners[3], rows)
  return np.swapaxes(interpolate(left, right, columns), 0, 1)


def quantiles(count):
  """Returns `count` values of a standard normal, at probabilities 1/(2 count), 3/(2 count), ...

  Between neighbours lies the same share of the prior, which has no first and last value.
  """
  from scipy.stats import norm
  check_int("count", count, 1)
  return norm.ppf((np.arange(count) + 0.5) / count).astype(np.float32)


def manifold_codes(rows, columns, code_size=2, dimensions=(0, 1)):
  """Returns codes over quantiles of a standard normal prior, `[rows, columns, code_size]`.

  The first of `dimensions` grows to the right, the second upwards; all others are 0, their mean
  (Kingma and Welling, "Auto-encoding variational Bayes", figure 4).
  """
  check_int("code_size", code_size, 2)
  for dimension in dimensions:
    check_int("dimensions", dimension, 0, code_size - 1)
  if len(set(dimensions)) != 2:
    raise InputError(f"dimensions={dimensions!r}: expected two different ones.")
  codes = np.zeros((rows, columns, code_size), np.float32)
  codes[..., dimensions[0]] = quantiles(columns)
  codes[..., dimensions[1]] = quantiles(rows)[::-1, None]
  return codes


def interpolation_grid(images, title=None, row_names=None):
  """Returns a Figure with the decoded codes of an interpolation a row.

  Args:
    images: `[rows, steps, height, width, 1 or 3]` in [0, 1].
    title: None: how many steps.
    row_names: a string a row, such as "3 to 8".
  """
  images, _, steps = _grid(images)
  return image_grid(images, steps, row_names=row_names, gap=2,
                    title=title or f"Interpolation between codes, {steps} steps",
                    column_names=_thinned(np.linspace(0, 1, steps), 20),
                    x_label="share of the last code")


def bilinear_grid(images, title=None):
  """Returns a Figure of the decoded codes between four corners.

  Args:
    images: `[rows, columns, height, width, 1 or 3]` in [0, 1].
    title: None: the size of the grid.
  """
  images, rows, columns = _grid(images)
  frames = [style.COLOURS[6] if row in (0, rows - 1) and column in (0, columns - 1) else None
            for row in range(rows) for column in range(columns)]
  return image_grid(images, columns, gap=6, frames=frames, cell=56,
                    title=title or f"{rows} x {columns} codes between four images (framed)")


def manifold(images, dimensions=(0, 1), title=None):
  """Returns a Figure of the decoded `manifold_codes`, with the codes' values at the axes.

  Args:
    images: `[rows, columns, height, width, 1 or 3]` in [0, 1].
    dimensions: those that were given to `manifold_codes`.
    title: None: the size of the grid.
  """
  images, rows, columns = _grid(images)
  return image_grid(
      images, columns, gap=0, cell=56 if columns < 15 else 28,
      row_names=_thinned(quantiles(rows)[::-1], 10), column_names=_thinned(quantiles(columns), 10),
      x_label=f"latent dimension {dimensions[0]}", y_label=f"latent dimension {dimensions[1]}",
      title=title or f"Decoder over {rows} x {columns} quantiles of the prior")


def _grid(images):
  images = checks.array("images", images, ("rows", "columns", "height", "width", "1 or 3"))
  rows, columns = images.shape[:2]
  return checks.images("images", images.reshape(-1, *images.shape[2:])), rows, columns


def _thinned(values, most):
  step = -(-len(values) // most)
  return [f"{value:.2f}" if index % step == 0 else "" for index, value in enumerate(values)]
