"""One style: colour maps, class colours, sizes; new figures, and figures as PNG and SVG."""

import bisect
import functools
import io
import math
import textwrap

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

DPI = 120  # of a PNG; cells of images are whole pixels at it
IMAGES = "gray"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"  # 0 is white
RIGHT, WRONG = "#009e73", "#d55e00"  # told apart by all (Okabe and Ito, "Color universal design")
INK, FAINT = "#222222", "#8a8a8a"
TITLE, TEXT, SMALL = 11, 9, 8  # points
_PAD = 0.09  # inches
# Ten colours that colour-blind people tell apart (Petroff, "Accessible color sequences for data
# visualization", arXiv:2107.02270, table 1).
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70",
           "#717581", "#92dadd")
# Eleven of them beside ten colours: no pair comes again before the 110th class.
MARKERS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "p", "*")
LINES = ("-", "--", ":", "-.")


def class_style(index):
  """Returns {"color", "marker"} of a class, or of a series: no two of 110 look the same."""
  return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def new_figure(title=None, width=6.0, height=4.0):
  """Returns (Figure, its one Axes) in the house's style.

  Args:
    title: wrapped where it is wider than the figure; None: none.
    width, height: inches.
  """
  layout = ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD)
  figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
  axes = figure.add_subplot()
  if title:
    figure.suptitle(plain(wrap(title, width * DPI * 0.97, TITLE)), fontsize=TITLE, color=INK)
  return figure, style_axes(axes)


def style_axes(axes):
  """Returns `axes` with quiet frames and grids, and text of the house's size."""
  axes.spines[["top", "right"]].set_visible(False)
  axes.spines[["left", "bottom"]].set_color(FAINT)
  axes.tick_params(labelsize=SMALL, color=FAINT, labelcolor=INK)
  axes.xaxis.label.set(size=TEXT, color=INK)
  axes.yaxis.label.set(size=TEXT, color=INK)
  axes.grid(True, color="#e6e6e6", linewidth=0.6)
  axes.set_axisbelow(True)
  return axes


def colour_bar(figure, drawn, label, **options):
  """Adds the colour bar of what was `drawn` to a figure; returns it."""
  bar = figure.colorbar(drawn, **options)
  bar.set_label(label, size=TEXT, color=INK)
  bar.ax.tick_params(labelsize=SMALL, color=FAINT, labelcolor=INK)
  bar.outline.set_visible(False)
  return bar


def legend(axes, **options):
  """Adds a legend in the house's style; returns it."""
  return axes.legend(fontsize=SMALL, frameon=False, labelcolor=INK, **options)


def number(value, digits=3):
  """Returns a number in so many significant digits; very small and large ones with an exponent."""
  if not math.isfinite(value):
    return str(float(value))
  size = abs(float(f"{value:.{digits - 1}e}"))  # as it is written: 99.96 is 100
  if size == 0:
    return "0"
  if size < 1e-4 or size >= 1e6:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"
  return f"{value:,.0f}" if size >= 10**(digits - 1) else f"{value:#.{digits}g}"


@functools.lru_cache(4096)
def text_width(text, size):
  """Returns the width of one line of text of `size` points, in pixels at DPI."""
  # At 72 pixels an inch, as points are.
  wide, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)
  return wide * DPI / 72


def shorten(text, width, size):
  """Returns `text`, cut with an ellipsis if it is wider than `width` pixels at `size` points."""
  text = " ".join(str(text).split())
  if text_width(text, size) <= width:
    return text
  fitting = bisect.bisect_right(range(len(text)), width,
                                key=lambda kept: text_width(text[:kept] + "…", size))
  return text[:max(fitting - 1, 1)].rstrip() + "…"


def wrap(text, width, size):
  """Returns `text` on as many lines as `width` pixels need at `size` points."""
  average = text_width(text, size) / max(len(text), 1)
  return "\n".join(textwrap.wrap(text, max(8, int(width / max(average, 1)))))


def plain(text):
  """Returns a user's `text` so that matplotlib writes it as it is.

  Else what stands between two dollars is mathematics, or an error, and a legend leaves out what
  begins with an underscore.
  """
  text = text.replace("$", r"\$")
  return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def thin_ticks(axis, count, most):
  """Leaves every n-th of `count` ticks of an axis its label, so that at most `most` are left."""
  step = -(-count // most)
  labels = [label.get_text() for label in axis.get_ticklabels()]
  axis.set_ticks(range(0, count, step), labels[::step])


def png(figure, dpi=DPI):
  """Returns a figure as the bytes of a PNG file, without date and version: the same every time."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
  return buffer.getvalue()


def svg(figure):
  """Returns a figure as the text of an SVG file, without date and random ids."""
  buffer = io.BytesIO()
  # matplotlib takes the salt of the ids from its settings only; they are put back.
  with matplotlib.rc_context({"svg.hashsalt": "tfae"}):
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
  return buffer.getvalue().decode()
