"""tfae.figures.weights: each weight has the colour of its value, symmetric about 0."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from matplotlib import colormaps
from tfae.figures import style, weights


def signed(values):
  """The colours of weights on the diverging map, symmetric about 0."""
  return colormaps[style.DIVERGING](values / np.abs(values).max() / 2 + 0.5)[..., :3]


def assert_cells(figure, expected, tolerance=0.6):
  for cell, image in zip(drawn.cells(figure), expected, strict=True):
    np.testing.assert_allclose(cell, np.broadcast_to(image, cell.shape), atol=tolerance / 255)


@pytest.fixture(name="random")
def fixture_random():
  return np.random.default_rng(0)


def test_first_filters_are_one_image_each_on_the_diverging_map(random):
  kernel = random.normal(size=(3, 4, 1, 5))
  figure = weights.filter_montage(kernel)
  assert_cells(figure, signed(kernel[:, :, 0].transpose(2, 0, 1)))
  bound = np.abs(kernel).max()
  assert figure.axes[1].get_ylim() == pytest.approx((-bound, bound))
  drawn.inside(figure)


def test_a_weight_of_zero_is_white_however_the_others_lie():
  figure = weights.filter_montage(np.array([0.0, 5.0, 1.0]).reshape(1, 3, 1, 1))
  (cell,) = drawn.cells(figure)
  assert (cell[0, 0] > 0.96).all() and cell[0, 1, 0] > 2 * cell[0, 1, 2]


def test_colour_filters_are_colour_images_that_are_grey_at_zero(random):
  kernel = random.normal(size=(3, 4, 3, 2))
  figure = weights.filter_montage(kernel)
  assert_cells(figure, kernel.transpose(3, 0, 1, 2) / (2 * np.abs(kernel).max()) + 0.5)


def test_deeper_filters_have_a_row_an_input_and_a_column_an_output(random):
  kernel = random.normal(size=(2, 3, 5, 4))
  figure = weights.filter_montage(kernel, most=(4, 3))
  shown = kernel[:, :, :4, :3]
  assert_cells(figure, signed(shown.transpose(2, 3, 0, 1).reshape(12, 2, 3)))
  title = " ".join(drawn.texts(figure)).replace("\n", " ")
  assert "4 filters of 2 x 3 x 5; the first 4 inputs and 3 outputs" in title


@pytest.mark.parametrize("channels", [1, 3])
def test_the_weights_of_a_unit_are_an_image(random, channels):
  kernel = random.normal(size=(6 * channels, 7))
  figure = weights.weight_columns(kernel, (2, 3, channels), most=5)
  columns = kernel.T[:5].reshape(5, 2, 3, channels)
  expected = signed(columns[..., 0]) if channels == 1 else columns / (
      2 * np.abs(columns).max()) + 0.5
  assert_cells(figure, expected)
  assert "Weights of 7 units, the first 5" in " ".join(drawn.texts(figure)).replace("\n", " ")


def test_weights_that_are_all_zero_are_drawn():
  drawn.inside(weights.filter_montage(np.zeros((3, 3, 1, 2))))
  drawn.inside(weights.filter_montage(np.zeros((3, 3, 3, 2))))


def test_response_maps_share_one_scale_and_stand_behind_their_image(random):
  responses, image = random.normal(size=(4, 3, 5)), drawn.images(1, (4, 3))[0]
  figure = weights.response_maps(responses, image)
  low, high = responses.min(), responses.max()
  maps = colormaps[style.SEQUENTIAL]((responses - low) / (high - low))[..., :3]
  assert_cells(figure, [image, *maps.transpose(2, 0, 1, 3)], 2.1)
  assert figure.axes[1].get_ylim() == pytest.approx((low, high))
  assert {"image", "0", "4", "5 channels of 4 x 3", "response"} <= set(drawn.texts(figure))


def test_maps_of_several_images_have_a_row_each(random):
  maps, images = random.normal(size=(3, 4, 3, 2)), drawn.images(3, (8, 6))
  figure = weights.channel_maps(maps, images)
  low, high = maps.min(), maps.max()
  shown = drawn.cells(figure)
  assert len(shown) == 9
  for row in range(3):
    np.testing.assert_allclose(shown[3 * row], np.broadcast_to(images[row], (8, 6, 3)),
                               atol=0.6 / 255)
    for channel in range(2):
      expected = colormaps[style.SEQUENTIAL]((maps[row, ..., channel] - low) / (high - low))
      np.testing.assert_allclose(shown[3 * row + 1 + channel], expected[..., :3], atol=2.1 / 255)


def test_constant_maps_are_drawn():
  drawn.inside(weights.response_maps(np.zeros((3, 3, 2))))


def test_inputs_that_excite_have_their_names_and_values():
  images = drawn.images(2)
  figure = weights.activation_grid(images, ["a", "b"], [1.5, 20.25])
  assert_cells(figure, images)
  assert {"a: 1.50", "b: 20.2"} <= set(drawn.texts(figure))


@pytest.mark.parametrize("call, message", [
    (lambda: weights.weight_columns(np.zeros((6, 2)), (2, 2, 1)), "whose product is 6"),
    (lambda: weights.weight_columns(np.zeros((8, 2)), (2, 2, 2)), "1 or 3 channels"),
    (lambda: weights.filter_montage(np.zeros((3, 3, 1))), "kernel has shape"),
    (lambda: weights.filter_montage(np.full((3, 3, 1, 1), np.inf)), "kernel: 9 of 9"),
    (lambda: weights.response_maps(np.zeros((3, 3, 2)), np.zeros((3, 3, 2))), "images has shape"),
    (lambda: weights.activation_grid(np.zeros((2, 3, 3, 1)), ["a"]), "names has 1 rows"),
])
def test_what_is_no_kernel_or_map_is_refused(call, message):
  with pytest.raises(InputError, match=message):
    call()


def test_of_very_many_channels_the_first_are_shown_and_the_title_says_so():
  maps = np.random.default_rng(0).random((2, 3, 3, 2000))
  figure = weights.channel_maps(maps, np.zeros((2, 3, 3, 1)), title="Codes")
  assert "Codes, the first 64 of 2,000 channels" in " ".join(drawn.texts(figure)).replace("\n", " ")
  assert len(figure.axes[0].get_images()) == 2 * (1 + 64)


def test_a_single_map_has_the_name_of_its_values_and_no_number():
  figure = weights.response_maps(np.ones((2, 5, 1)), np.zeros((2, 5, 1)))
  captions = [text.get_text() for text in figure.axes[0].texts]
  assert "response" in captions and "0" not in captions
