"""What a figure shows, read back from its PNG and its texts."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
import numpy as np
from PIL import Image

from tfae.figures import style


def pixels(figure):
  """Returns the PNG of a figure as floats `[height, width, 3]` in [0, 1]."""
  image = Image.open(io.BytesIO(style.png(figure))).convert("RGB")
  return np.asarray(image, np.float64) / 255


def cells(figure):
  """Returns what the PNG shows of each image of an `image_grid`, in order, `[height, width, 3]`."""
  page, found = pixels(figure), []
  for image in figure.axes[0].get_images():
    left, right, bottom, top = map(int, image.get_extent())
    shown = page[top:bottom, left:right]
    zoom = (right - left) // image.get_array().shape[1]
    # Every pixel of the image is a square of one colour.
    small = shown[::zoom, ::zoom]
    np.testing.assert_array_equal(shown, small.repeat(zoom, 0).repeat(zoom, 1))
    found.append(small)
  return found


def texts(figure):
  """Returns all texts of a figure that aren't empty, as one list."""
  figure.draw_without_rendering()
  return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def frames(figure):
  """Returns the colours of all frames of an `image_grid`."""
  return [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]


def inside(figure):
  """Asserts that no text is cut off by the figure's edge."""
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  box = figure.get_tightbbox(canvas.get_renderer())
  width, height = figure.get_size_inches()
  assert box.x0 > -0.02 and box.y0 > -0.02, box
  assert box.x1 < width + 0.02 and box.y1 < height + 0.02, (box, width, height)


def images(count=6, size=(5, 4), channels=1, seed=0):
  """Random float images in [0, 1], in steps of 1/255."""
  whole = np.random.default_rng(seed).integers(0, 256, (count, *size, channels))
  return whole / 255
