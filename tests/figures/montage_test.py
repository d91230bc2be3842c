"""tfae.figures.montage: a pixel of the montage is the pixel of the image."""

import io

import numpy as np
from PIL import Image
import pytest

from tfae.errors import InputError
from tfae.figures import montage as montages
from tfae.figures.montage import image_png, montage


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_image_is_where_its_number_says_pixel_by_pixel(dtype, channels):
  images = np.random.default_rng(0).integers(1, 200, (7, 4, 3, channels)).astype(dtype)
  whole = montage(images, columns=3, gap=2, fill=9)
  assert whole.dtype == dtype and whole.shape == (3 * 6 - 2, 3 * 5 - 2, channels)
  seen = np.zeros(whole.shape[:2], bool)
  for index, image in enumerate(images):
    y, x = index // 3 * 6, index % 3 * 5
    np.testing.assert_array_equal(whole[y:y + 4, x:x + 3], image)
    seen[y:y + 4, x:x + 3] = True
  assert (whole[~seen] == 9).all()  # gaps, and the two cells without an image


@pytest.mark.parametrize("count, rows, columns, expected", [
    (1, None, None, (1, 1)), (1000, None, None, (32, 32)), (10, None, None, (3, 4)),
    (6, 1, None, (1, 6)), (7, 2, None, (2, 4)), (7, None, 7, (1, 7)), (3, 5, 5, (5, 5))])
def test_rows_and_columns_are_as_given_or_near_square(count, rows, columns, expected):
  assert montages.near_square(count, rows, columns) == expected


def test_more_images_than_cells_are_refused():
  with pytest.raises(InputError, match="hold 6 images; there are 7"):
    montage(np.zeros((7, 2, 2, 1)), 2, 3)
  with pytest.raises(InputError, match="gap=-1"):
    montage(np.zeros((7, 2, 2, 1)), gap=-1)


@pytest.mark.parametrize("shape, mode", [((3, 4), "L"), ((3, 4, 1), "L"), ((3, 4, 3), "RGB")])
def test_a_png_has_the_arrays_pixels_zoomed_and_the_same_bytes_again(shape, mode):
  image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  content = image_png(image, zoom=3)
  opened = Image.open(io.BytesIO(content))
  assert opened.mode == mode and opened.size == (12, 9)
  flat = image.reshape((3, 4) if mode == "L" else (3, 4, 3))
  np.testing.assert_array_equal(np.asarray(opened), flat.repeat(3, 0).repeat(3, 1))
  assert image_png(image, zoom=3) == content


def test_floats_become_the_nearest_of_256_steps_and_are_clipped():
  content = image_png(np.array([[-1.0, 0.0, 0.4999, 1.0, 7.0]]))
  assert np.asarray(Image.open(io.BytesIO(content))).tolist() == [[0, 0, 127, 255, 255]]


@pytest.mark.parametrize("image, message", [
    (np.zeros((2, 2), np.int32), "dtype int32"), (np.zeros((2, 2, 4)), "1 channel or 3"),
    (np.array([[np.inf]]), "not finite")])
def test_an_array_that_is_no_picture_is_refused(image, message):
  with pytest.raises(InputError, match=message):
    image_png(image)
