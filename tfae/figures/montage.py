"""Images as one array, and an array as a PNG: pixel by pixel, without matplotlib."""

import io
import math

import numpy as np

from tfae.errors import InputError, check_int
from tfae.figures import checks


def montage(images, rows=None, columns=None, gap=1, fill=0):
  """Returns one image with all images in rows, from the top left; a pixel is a pixel.

  Args:
    images: `[n, height, width, channels]` of any dtype and number of channels.
    rows, columns: how many of each; None: as many as needed. Both None: near-square.
    gap: pixels between two images.
    fill: value of gaps and of cells without an image, in the images' own units.

  Returns:
    `[rows * (height + gap) - gap, columns * (width + gap) - gap, channels]` of the same dtype.

  Raises:
    InputError: images of another shape, none at all, more than rows x columns, or a negative gap.
  """
  images = checks.array("images", images, ("n", "height", "width", "channels"), finite=False)
  check_int("gap", gap, 0)
  count, height, width, channels = images.shape
  rows, columns = near_square(count, rows, columns)
  cells = np.full((rows * columns, height + gap, width + gap, channels), fill, images.dtype)
  cells[:count, :height, :width] = images
  cells = cells.reshape(rows, columns, height + gap, width + gap, channels)
  whole = cells.swapaxes(1, 2).reshape(rows * (height + gap), columns * (width + gap), channels)
  return whole[:rows * (height + gap) - gap, :columns * (width + gap) - gap]


def near_square(count, rows=None, columns=None):
  """Returns (rows, columns) that hold `count` cells; None: as needed, near-square for both.

  Raises:
    InputError: rows x columns hold fewer than `count`.
  """
  for name, value in (("rows", rows), ("columns", columns)):
    if value is not None:
      check_int(name, value, 1)
  if columns is None:
    columns = math.ceil(count / rows) if rows else math.ceil(math.sqrt(count))
  if rows is None:
    rows = math.ceil(count / columns)
  if rows * columns < count:
    raise InputError(f"rows={rows}, columns={columns}: hold {rows * columns:,} images; there are "
                     f"{count:,}. Leave out one of both, or give fewer images.")
  return rows, columns


def image_png(image, zoom=1):
  """Returns an image array as the bytes of a PNG file, the same bytes every time.

  Args:
    image: `[height, width]` or `[height, width, 1 or 3]`: uint8, or floats in [0, 1] (clipped).
    zoom: each pixel becomes zoom x zoom pixels.

  Raises:
    InputError: another shape or dtype, a value that is not finite, a zoom below 1.
  """
  from PIL import Image
  image = np.asarray(image)
  image = checks.array("image", image[..., None] if image.ndim == 2 else image,
                       ("height", "width", "1 or 3"))
  check_int("zoom", zoom, 1)
  if image.shape[-1] not in (1, 3):
    raise InputError(f"image has shape {list(image.shape)}: expected 1 channel or 3.")
  if image.dtype.kind == "f":
    image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
  if image.dtype != np.uint8:
    raise InputError(f"image has dtype {image.dtype}: expected uint8, or floats in [0, 1].")
  image = np.repeat(np.repeat(image, zoom, axis=0), zoom, axis=1)
  buffer = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG",
                                                                         optimize=True)
  return buffer.getvalue()
