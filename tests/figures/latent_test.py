"""tfae.figures.latent: exact ends and corners, quantiles of the prior, rows as in the plane."""

from math import erf, sqrt
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from tfae.figures import latent


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_an_interpolation_begins_and_ends_exactly_and_its_steps_are_equal(shape):
  random = np.random.default_rng(0)
  first, last = random.normal(size=(2, *shape)).astype(np.float32) * 1e3
  found = latent.interpolate(first, last, 7)
  np.testing.assert_array_equal(found[0], first)
  np.testing.assert_array_equal(found[-1], last)
  np.testing.assert_allclose(np.diff(found, axis=0), np.broadcast_to((last - first) / 6,
                                                                     (6, *shape)), rtol=1e-2)
  assert found.dtype == np.float32


def test_a_bilinear_grid_has_its_corners_exactly_and_the_mean_in_the_middle():
  corners = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
  grid = latent.bilinear(corners, 5, 7)
  assert grid.shape == (5, 7, 3)
  for (row, column), corner in zip([(0, 0), (0, -1), (-1, 0), (-1, -1)], corners):
    np.testing.assert_array_equal(grid[row, column], corner)
  np.testing.assert_allclose(grid[2, 3], corners.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_quantiles_leave_equal_shares_of_the_prior_between_them():
  values = latent.quantiles(8)
  shares = [(1 + erf(value / sqrt(2))) / 2 for value in values]
  np.testing.assert_allclose(shares, (np.arange(8) + 0.5) / 8, atol=1e-6)
  assert latent.quantiles(1).tolist() == [0.0]


def test_manifold_codes_grow_to_the_right_and_upwards_and_are_zero_elsewhere():
  found = latent.manifold_codes(4, 3, 5, (3, 1))
  assert found.shape == (4, 3, 5)
  for row in range(4):
    np.testing.assert_array_equal(found[row, :, 3], latent.quantiles(3))
  for column in range(3):
    np.testing.assert_array_equal(found[::-1, column, 1], latent.quantiles(4))
  assert not found[..., [0, 2, 4]].any()


@pytest.mark.parametrize("draw", [latent.interpolation_grid, latent.bilinear_grid, latent.manifold])
@pytest.mark.parametrize("rows, columns", [(3, 4), (1, 2), (11, 16)])
def test_a_drawn_grid_has_every_image_in_its_row_and_column(draw, rows, columns):
  images = drawn.images(rows * columns)
  figure = draw(images.reshape(rows, columns, *images.shape[1:]))
  shown = drawn.cells(figure)
  assert len(shown) == rows * columns
  for cell, image in zip(shown, images):
    np.testing.assert_allclose(cell, np.broadcast_to(image, cell.shape), atol=0.6 / 255)
  lefts = {image.get_extent()[0] for image in figure.axes[0].get_images()}
  assert len(lefts) == columns
  drawn.inside(figure)


def test_the_manifolds_axes_are_in_units_of_the_code():
  images = drawn.images(6).reshape(2, 3, 5, 4, 1)
  found = drawn.texts(latent.manifold(images, (4, 7)))
  columns = [f"{value:.2f}" for value in latent.quantiles(3)]
  assert [text for text in found if text in columns] == columns
  assert found.index("0.67") < found.index("-0.67")  # rows: the larger value above
  assert {"latent dimension 4", "latent dimension 7"} <= set(found)


@pytest.mark.parametrize("call, message", [
    (lambda: latent.interpolate([0.0], [0.0, 1.0], 3), r"last has shape \[2\], first \[1\]"),
    (lambda: latent.interpolate([0.0], [1.0], 1), "steps=1"),
    (lambda: latent.bilinear(np.zeros((3, 2)), 3, 3), "top left, top right"),
    (lambda: latent.manifold_codes(3, 3, 4, (1, 1)), "two different"),
    (lambda: latent.manifold_codes(3, 3, 4, (0, 4)), "dimensions=4"),
    (lambda: latent.manifold_codes(0, 3), "count=0"),
    (lambda: latent.manifold(np.zeros((2, 2, 3, 3))), "images has shape"),
])
def test_what_makes_no_grid_is_refused(call, message):
  with pytest.raises(InputError, match=message):
    call()
