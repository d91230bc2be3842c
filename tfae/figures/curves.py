"""Numbers over steps, epochs or sizes: curves with their final values, means with deviations."""

import numpy as np

from tfae.errors import InputError
from tfae.figures import checks, style

_MOST_BESIDE = 12  # curves whose last values and names have room in the picture
_DECADES = 2  # from where on positive values are drawn on a logarithmic scale


def curves(series, x_label, y_label, title=None, log=None):
  """Returns a Figure of curves, each with its last value at its end; of many in the legend.

  A value that is not finite is left out; the last finite one before it has a cross, so that a run
  that diverged shows where.

  Args:
    series: {name: (x `[n]`, y `[n]`)}; a name is a string, or (run, part) for several runs over
      each other: a colour a run, a kind of line a part.
    x_label: such as "step" or "epoch".
    y_label: the quantity and its unit.
    title: None: none.
    log: whether the y axis is logarithmic; None: if all values are above 0 and span over two
      decades.

  Raises:
    InputError: no series, none with a finite value, x and y of different lengths, log of values
      that are not above 0.
  """
  series = {name: _points(name, *points) for name, points in _some(series).items()}
  values = np.concatenate([y[np.isfinite(y)] for _, y in series.values()])
  if not values.size:
    raise InputError(f"series: none of {', '.join(map(_name, series))} has a finite value.")
  positive = values.min() > 0
  if log and not positive:
    raise InputError(f"log={log}: the smallest value is {style.number(values.min())}; a "
                     "logarithmic scale needs values above 0.")
  log = positive and values.max() / values.min() > 10**_DECADES if log is None else log
  figure, axes = style.new_figure(title, width=6.4, height=3.8)
  axes.set(xlabel=x_label, ylabel=y_label, **({"yscale": "log"} if log else {}))
  runs = list(dict.fromkeys(_run(name) for name in series))
  parts = list(dict.fromkeys(_part(name) for name in series))
  ends, many = [], len(series) > _MOST_BESIDE
  for name, (x, y) in series.items():
    finite = np.isfinite(y)
    if not finite.any():
      continue
    look = style.class_style(runs.index(_run(name)))
    marker = {"marker": look["marker"], "markersize": 3.5} if len(x) <= 40 else {}
    last = np.flatnonzero(finite)[-1]
    label = style.plain(_name(name)) + (f": {style.number(y[last], 4)}" if many else "")
    axes.plot(x[finite], y[finite], color=look["color"], linewidth=1.5, label=label,
              linestyle=style.LINES[parts.index(_part(name)) % len(style.LINES)], **marker)
    if last < len(y) - 1:
      axes.plot(x[last], y[last], marker="x", color=style.WRONG, markersize=9, markeredgewidth=2)
    ends.append((x[last], y[last], look["color"]))
  if many:
    widest = max(style.text_width(line.get_label(), style.SMALL) for line in axes.get_lines())
    figure.set_size_inches(6.4 + widest / style.DPI + 0.5, max(3.8, 0.17 * len(series) + 0.6))
    figure.legend(loc="outside right upper", fontsize=style.SMALL, frameon=False,
                  labelcolor=style.INK)
  else:
    _write_ends(axes, ends, log)
    style.legend(axes)
  return figure


def means(series, x_label, y_label, title=None):
  """Returns a Figure of means with their standard deviations over sizes, on a logarithmic x axis.

  Args:
    series: {name: (x `[n]`, mean `[n]`, deviation `[n]`)}, x above 0.
    x_label, y_label: the quantities and their units.
    title: None: none.
  """
  figure, axes = style.new_figure(title)
  for index, (name, points) in enumerate(_some(series).items()):
    x, mean, deviation = (checks.array(f"series[{name!r}]", values, ("n",)) for values in points)
    axes.errorbar(x, mean, deviation, capsize=3, linewidth=1.5, label=style.plain(name),
                  **style.class_style(index))
  axes.set(xscale="log", xlabel=x_label, ylabel=y_label)
  style.legend(axes)
  return figure


def _some(series):
  if not series:
    raise InputError("series={}: expected at least one.")
  return series


def _points(name, x, y):
  x = checks.array(f"x of series {_name(name)!r}", x, ("n",))
  y = checks.array(f"y of series {_name(name)!r}", y, ("n",), finite=False)
  checks.same_count(f"y of series {_name(name)!r}", y, len(x))
  return x, y.astype(np.float64)


def _name(name):
  return name if isinstance(name, str) else ", ".join(name)


def _run(name):
  return name if isinstance(name, str) else name[0]


def _part(name):
  return "" if isinstance(name, str) else name[1]


def _write_ends(axes, ends, log):
  """Writes each curve's last value beside its end, moved apart where two would overlap."""
  # In shares of the axis' height, from below; a line of text is about a twentieth of it.
  low, high = axes.get_ylim()
  share = (lambda y: np.log(y / low) / np.log(high / low)) if log else (
      lambda y: (y - low) / (high - low))
  right, height = axes.get_xlim()[1], 0.055
  ends = sorted(ends, key=lambda end: end[1])
  places = []
  for _, y, _ in ends:
    places.append(max(share(y), places[-1] + height if places else -np.inf))
  # None above the axes: the upper ones push those below them down again.
  for index in range(len(places)):
    places[-1 - index] = min(places[-1 - index], 1 - index * height)
  for (x, y, colour), place in zip(ends, places):
    axes.annotate(style.number(y, 4), (x, y), xytext=(1.01, place), textcoords="axes fraction",
                  fontsize=style.SMALL, color=style.INK, va="center",
                  arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7})
  axes.set_xlim(right=right)
