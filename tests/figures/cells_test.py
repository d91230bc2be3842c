"""tfae.figures.cells: every image is there, pixel by pixel, with its caption and its frame."""

import pathlib
import sys

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.figures import cells, style


@pytest.mark.parametrize("size, channels", [((5, 4), 1), ((28, 28), 1), ((7, 9), 3), ((1, 1), 1),
                                            ((100, 3), 1)])
def test_the_png_shows_each_pixel_of_each_image_as_a_square_of_its_colour(size, channels):
  images = drawn.images(7, size, channels)
  figure = cells.image_grid(images, 3, title="title", captions=[str(i) for i in range(7)],
                            row_names=["a", "b", "c"], bar=(style.SEQUENTIAL, 0, 1, "value"))
  shown = drawn.cells(figure)
  assert len(shown) == 7
  for image, cell in zip(images, shown):
    np.testing.assert_allclose(cell, np.broadcast_to(image, cell.shape), atol=0.6 / 255)
  drawn.inside(figure)


def test_images_stand_in_rows_and_a_free_cell_is_left_out():
  images = [*drawn.images(2), None, *drawn.images(1)]
  places = [image.get_extent() for image in cells.image_grid(images, 2).axes[0].get_images()]
  (x0, *_, y0), (x1, *_, y1), (x2, *_, y2) = places
  assert x0 < x1 == x2 and y0 == y1 < y2


def test_captions_names_frames_and_bar_are_there_and_not_cut():
  figure = cells.image_grid(drawn.images(4), 2, title="A title " * 12, captions=list("abcd"),
                            frames=[None, style.RIGHT, None, style.WRONG],
                            row_names=["the first row of all", "second"],
                            column_names=["left", "right"], x_label="x", y_label="y",
                            bar=(style.DIVERGING, -3, 3, "weight"))
  found = drawn.texts(figure)
  for text in [*"abcd", "the first row of all", "second", "left", "right", "x", "y", "weight"]:
    assert text in found
  assert drawn.frames(figure) == [style.RIGHT, style.WRONG]
  drawn.inside(figure)


def test_captions_lie_under_their_image_and_above_the_next_row():
  figure = cells.image_grid(drawn.images(2), 1, captions=["one\nline more", "two"])
  renderer = FigureCanvasAgg(figure).get_renderer()
  (axes,) = figure.axes
  high = figure.bbox.height
  boxes = [text.get_window_extent(renderer) for text in axes.texts]
  for image, box in zip(axes.get_images(), boxes):
    assert (high - box.y1) * style.DPI / figure.dpi >= image.get_extent()[2] - 1
  below = axes.get_images()[1].get_extent()[3]
  assert (high - boxes[0].y0) * style.DPI / figure.dpi <= below


def test_values_have_the_colours_of_the_map_and_constant_ones_that_of_its_middle():
  found = cells.coloured([[-2.0, 0.0, 2.0, 9.0]], style.DIVERGING, -2, 2)
  expected = colormaps[style.DIVERGING]([0.0, 0.5, 1.0, 1.0])[:, :3]
  np.testing.assert_array_equal(found[0], expected)
  np.testing.assert_array_equal(cells.coloured([7.0], style.DIVERGING, 7, 7)[0], expected[1])


def test_formula_signs_in_a_name_are_text():
  style.png(cells.image_grid(drawn.images(1), captions=["$\\frac$"], row_names=["$x"]))


def test_a_caption_under_tall_images_and_the_name_of_a_low_colour_bar_have_room():
  figure = cells.image_grid([np.zeros((40, 4, 1))] * 3, 3, captions=["0.0123"] * 3)
  assert drawn.texts(figure).count("0.0123") == 3
  drawn.inside(cells.image_grid([np.zeros((4, 40, 1))], bar=("gray", 0, 1, "a long name")))
