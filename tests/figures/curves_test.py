"""tfae.figures.curves: the points, the final values, the scale, where a run diverged."""

import pathlib
import sys

from matplotlib.text import Text
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from tfae.figures import curves, style


def lines(figure):
  """{label: (x, y)} of the curves."""
  return {line.get_label(): tuple(map(list, line.get_data())) for line in figure.axes[0].get_lines()
          if not line.get_label().startswith("_")}


def test_curves_have_their_points_their_names_and_their_last_values():
  figure = curves.curves({"training": ([1, 2, 3], [3.0, 2.0, 105.14]),
                          "validation": ([3], [0.25])}, "step", "loss, nats", "Two curves")
  assert lines(figure) == {"training": ([1, 2, 3], [3.0, 2.0, 105.14]), "validation": ([3], [0.25])}
  assert {"105.1", "0.2500", "step", "loss, nats", "Two curves", "training",
          "validation"} <= set(drawn.texts(figure))
  drawn.inside(figure)


@pytest.mark.parametrize("values, log, scale", [
    ([1.0, 50.0], None, "linear"), ([1.0, 500.0], None, "log"), ([0.0, 500.0], None, "linear"),
    ([-1.0, 500.0], None, "linear"), ([1.0, 500.0], False, "linear"), ([1.0, 2.0], True, "log")])
def test_the_scale_is_logarithmic_over_two_decades_of_positive_values(values, log, scale):
  assert curves.curves({"a": ([0, 1], values)}, "x", "y", log=log).axes[0].get_yscale() == scale


def test_a_run_that_diverged_has_a_cross_at_its_last_finite_value():
  figure = curves.curves({"a": ([1, 2, 3, 4], [4.0, 3.0, np.nan, np.inf]),
                          "b": ([1, 2], [1.0, 2.0])}, "x", "y")
  (cross,) = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
  assert cross.get_xdata()[0] == 2 and cross.get_ydata()[0] == 3
  assert lines(figure)["a"] == ([1, 2], [4.0, 3.0])
  assert "3.000" in drawn.texts(figure)


def test_several_runs_have_a_colour_each_and_their_parts_a_kind_of_line_each():
  figure = curves.curves({(run, part): ([0, 1], [1.0, 2.0]) for run in "AB"
                          for part in ("training", "validation")}, "x", "y")
  looks = {line.get_label(): (line.get_color(), line.get_linestyle())
           for line in figure.axes[0].get_lines()}
  first, second, *_ = style.COLOURS
  assert looks == {"A, training": (first, "-"), "A, validation": (first, "--"),
                   "B, training": (second, "-"), "B, validation": (second, "--")}


def test_final_values_that_are_near_each_other_are_not_written_over_each_other():
  figure = curves.curves({str(i): ([0, 1], [1.0, 2.0 + i / 1000]) for i in range(8)}, "x", "y")
  figure.draw_without_rendering()
  ends = figure.axes[0].texts
  assert [text.get_text() for text in ends] == [f"{2 + i / 1000:.3f}" for i in range(8)]
  boxes = [Text.get_window_extent(text) for text in ends]  # without the lines that lead to them
  assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:]))
  drawn.inside(figure)


def test_means_have_their_deviations():
  figure = curves.means({"warm": ([10, 100], [1.0, 2.0], [0.25, 0.5])}, "labels", "accuracy, %")
  (container,) = figure.axes[0].containers
  (bars,) = container.lines[2]
  assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0.75, 1.25], [1.5, 2.5]]
  assert figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize("series, message", [
    ({}, "expected at least one"), ({"a": ([1], [np.nan])}, "none of a has a finite value"),
    ({"a": ([1, 2], [1.0])}, "y of series 'a' has 1 rows: expected 2"),
    ({("A", "b"): ([], [])}, "x of series 'A, b' has shape"), ({"a": ([np.nan], [1.0])}, "x of")])
def test_series_that_can_not_be_drawn_are_named(series, message):
  with pytest.raises(InputError, match=message):
    curves.curves(series, "x", "y")


def test_a_logarithm_of_zero_is_refused():
  with pytest.raises(InputError, match="log=True: the smallest value is 0"):
    curves.curves({"a": ([1, 2], [0.0, 1.0])}, "x", "y", log=True)


@pytest.mark.parametrize("runs", [4, 15])
def test_the_final_values_of_many_curves_that_end_at_the_top_are_not_cut(runs):
  figure = curves.curves({(f"run {i}", part): ([0, 1], [0.0, 1 + i / 1000]) for i in range(runs)
                          for part in ("training", "validation")}, "x", "y", "A title")
  drawn.inside(figure)
  texts = " ".join(drawn.texts(figure))
  assert all(texts.count(f"{1 + i / 1000:.3f}") == 2 for i in range(runs))
  (axes,) = figure.axes
  assert all(Text.get_window_extent(text).y1 < axes.bbox.y1 + 12 for text in axes.texts)
  assert axes.bbox.width > 300 * figure.dpi / 120  # the legend stands beside the curves


def test_a_runs_name_of_formula_signs_is_text():
  figure = curves.curves({"_a$_$": ([0, 1], [0.0, 1.0])}, "x", "y")
  assert any(r"_a\$_\$" in text for text in drawn.texts(figure))
