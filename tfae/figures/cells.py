"""A figure of many images: cells of whole pixels, with captions, frames, names and a colour bar."""

import math

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
import numpy as np

from tfae.figures import style
from tfae.figures.montage import near_square

_CELL = 72  # pixels, about, of a cell's longer side
_LINE = 19  # pixels of a line of text
_MARGIN = 12
_SMALLEST = 300  # pixels of a figure's width


def coloured(values, colours, low, high):
  """Returns `values [...]` as red, green, blue `[..., 3]` in [0, 1], by a colour map.

  What is constant (low == high) has the colour of the map's middle.
  """
  share = (np.asarray(values, np.float64) - low) / (high - low) if high > low else np.full(
      np.shape(values), 0.5)
  return colormaps[colours](np.clip(share, 0, 1))[..., :3]


def image_grid(images, columns=None, *, title=None, captions=None, frames=None, row_names=None,
               column_names=None, x_label=None, y_label=None, bar=None, cell=_CELL, gap=6):
  """Returns a Figure of images in rows, from the top left.

  An image's pixel is a square of whole pixels in the PNG (`style.png` at its own dpi).

  Args:
    images: a sequence of arrays `[height, width, 1 or 3]` in [0, 1]; None leaves a cell free.
    columns: images a row; None: near-square.
    title: of the figure; wrapped.
    captions: a string under each image, of one line or more; cut where it is wider than its cell.
    frames: a colour around each image, or None for none.
    row_names, column_names: strings at the left of the rows and above the columns.
    x_label, y_label: under all columns, left of all rows.
    bar: (colour map, low, high, label) of a colour bar at the right; None: none.
    cell: about the pixels of a cell's longer side.
    gap: pixels between cells.
  """
  first = next(image for image in images if image is not None)
  rows, columns = near_square(len(images), None, columns)
  zoom = max(1, round(cell / max(first.shape[:2])))
  high, wide = (side * zoom for side in first.shape[:2])
  # A tall image leaves its caption no room.
  lines_of_all = [line for caption in captions or () for line in caption.split("\n")]
  step_x = max(wide, min(_CELL, _widest(lines_of_all, style.SMALL))) + gap
  texts = [(captions or [""] * len(images))[row * columns:(row + 1) * columns]
           for row in range(rows)]
  lines = [max(text.count("\n") + 1 if text else 0 for text in row) for row in texts]
  beneath = 4 if frames is None else 8  # pixels from an image to its caption
  steps = [high + gap + count * _LINE + (beneath if count else 0) for count in lines]
  left = _MARGIN + _widest(row_names, style.SMALL) + (_LINE if y_label else 0)
  right = _MARGIN + (bar is not None) * 95
  width = max(left + columns * step_x - gap + right, _SMALLEST)
  inset = (step_x - gap - wide) // 2
  left += (width - left - right - columns * step_x + gap) // 2  # in the middle of a wider figure
  title = style.wrap(title, width - 2 * _MARGIN, style.TITLE) if title else ""
  top = _MARGIN + (24 * (title.count("\n") + 1) if title else 0) + (_LINE if column_names else 0)
  tops = [top + sum(steps[:row]) for row in range(rows)]
  bottom = top + sum(steps) - gap
  tall = min(bottom - top, 260)  # pixels of the colour bar, whose name has to fit beside it
  if bar is not None:
    tall = max(tall, math.ceil(style.text_width(bar[3], style.TEXT)))
    bottom = max(bottom, top + tall)
  half = style.text_width(y_label or "", style.TEXT) / 2 + _MARGIN
  height = max(bottom + _MARGIN + (_LINE if x_label else 0), math.ceil(2 * half))
  # The data of the one axes are pixels, from the top left.
  figure = Figure(figsize=(width / style.DPI, height / style.DPI), facecolor="white")
  axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
  axes.axis("off")

  def write(x, y, text, size=style.SMALL, **where):
    axes.text(x, y, text, fontsize=size, color=style.INK, parse_math=False, **where)

  for index, image in enumerate(images):
    x, y = left + index % columns * step_x + inset, tops[index // columns]
    if image is None:
      continue
    # Whole numbers in three channels: through a colour map, or as floats, a pixel may be one off.
    shown = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    shown = np.broadcast_to(shown, (*image.shape[:2], 3))
    axes.imshow(shown, extent=(x, x + wide, y + high, y), interpolation="nearest", aspect="auto")
    if frames is not None and frames[index]:
      axes.add_patch(Rectangle((x - 2.5, y - 2.5), wide + 5, high + 5, fill=False, linewidth=1.5,
                               edgecolor=frames[index]))
    if captions:
      text = "\n".join(style.shorten(line, step_x - 2, style.SMALL)
                       for line in captions[index].split("\n"))
      write(x + wide / 2, y + high + beneath, text, ha="center", va="top")
  for row, name in enumerate(row_names or ()):
    write(left - 8, tops[row] + high / 2, name, ha="right", va="center")
  for column, name in enumerate(column_names or ()):
    # A name may lie over the columns beside it that have none.
    free = 2 if not any(column_names[column + 1:column + 2]) else 1
    write(left + column * step_x + inset + wide / 2, top - 5,
          style.shorten(name, free * step_x - 2, style.SMALL), ha="center", va="bottom")
  if title:
    write(width / 2, _MARGIN - 2, title, style.TITLE, ha="center", va="top")
  if x_label:
    write(left + (columns * step_x - gap) / 2, height - 8, x_label, style.TEXT, ha="center",
          va="bottom")
  if y_label:
    write(8, min(max((top + bottom) / 2, half), height - half), y_label, style.TEXT, ha="left",
          va="center", rotation=90)
  if bar is not None:
    colours, low, high_value, label = bar
    place = ((width - right + 14) / width, 1 - (top + tall) / height, 12 / width, tall / height)
    low, high_value = (low, high_value) if high_value > low else (low - 0.5, high_value + 0.5)
    style.colour_bar(figure, ScalarMappable(Normalize(low, high_value), colours), label,
                     cax=figure.add_axes(place))
  axes.set(xlim=(0, width), ylim=(height, 0))  # imshow moves them
  return figure


def _widest(names, size):
  return math.ceil(max(style.text_width(name, size) for name in names)) + 8 if names else 0
