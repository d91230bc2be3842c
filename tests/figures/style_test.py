"""tfae.figures.style: class colours that differ, the same files every time, no global state."""

import pathlib
import subprocess
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.figures import style


def plotted():
  figure, axes = style.new_figure("A title", 3, 2)
  axes.plot([1, 2], [3, 4], **style.class_style(3))
  axes.set(xlabel="step")
  return figure


def test_no_two_of_110_classes_look_the_same():
  assert len({tuple(style.class_style(index).values()) for index in range(110)}) == 110
  assert len({style.class_style(index)["color"] for index in range(10)}) == 10


def test_a_picture_is_the_same_bytes_every_time_and_has_no_date():
  assert style.png(plotted()) == style.png(plotted())
  text = style.svg(plotted())
  assert text == style.svg(plotted())
  assert text.startswith("<?xml") and "dc:date" not in text and "Matplotlib" not in text


def test_a_png_has_the_size_that_its_resolution_says():
  assert drawn.pixels(plotted()).shape == (2 * style.DPI, 3 * style.DPI, 3)


def test_drawing_leaves_matplotlibs_settings_alone_and_does_without_pyplot():
  code = ("import sys, matplotlib\nbefore = matplotlib.rcParams.copy()\n"
          "from tfae.figures import style, grids, codes, curves, latent, weights, scores, diagram\n"
          "figure, axes = style.new_figure('x'); axes.plot([1, 2], [1, 2])\n"
          "style.svg(figure), style.png(figure)\n"
          "assert matplotlib.rcParams.copy() == before\n"
          "assert 'matplotlib.pyplot' not in sys.modules and 'sklearn' not in sys.modules\n")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr


def test_montage_and_diagram_need_no_matplotlib():
  code = ("import sys\nfrom tfae.figures import montage, diagram\n"
          "assert 'matplotlib' not in sys.modules\n")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value, digits, text", [
    (0, 3, "0"), (0.0640, 3, "0.0640"), (4.5, 3, "4.50"), (105.14, 4, "105.1"), (145, 3, "145"),
    (12345.6, 3, "12,346"), (1.25e-7, 3, "1.25e-7"), (2.5e8, 3, "2.50e8"), (-0.5, 3, "-0.500"),
    (-2e-5, 2, "-2.0e-5"), (99.96, 3, "100"), (999.96, 4, "1,000"), (-99.96, 3, "-100"),
    (999999.9, 3, "1.00e6"), (float("inf"), 3, "inf"), (float("nan"), 3, "nan")])
def test_numbers_have_as_many_digits_as_asked(value, digits, text):
  assert style.number(value, digits) == text
  assert float(text.replace(",", "")) == pytest.approx(value, rel=10.0**(1 - digits),
                                                         nan_ok=True)


def test_a_text_that_is_too_wide_is_cut_to_fit_and_another_is_left_alone():
  assert style.shorten("cat", 100, style.SMALL) == "cat"
  short = style.shorten("a class of a very long name", 60, style.SMALL)
  assert short.endswith("…") and style.text_width(short, style.SMALL) <= 60
  assert style.shorten("two\nlines", 100, style.SMALL) == "two lines"
  assert style.shorten("", 1, style.SMALL) == ""


def test_a_title_is_wrapped_where_it_is_wider_than_its_figure_and_never_cut():
  figure, _ = style.new_figure("Mean squared error per pixel of sixty thousand images " * 2, 3, 3)
  assert figure.get_suptitle().count("\n") >= 2
  drawn.inside(figure)


def test_a_text_of_formula_signs_is_text():
  assert style.text_width("$", 8) > 0
  figure, _ = style.new_figure("costs $5 and $\\frac", 4, 3)
  style.png(figure)


def test_a_users_text_is_neither_mathematics_nor_hidden():
  figure, axes = style.new_figure("$x_$_")
  axes.plot([1, 2], [1, 2], label=style.plain("_hidden$_$"))
  style.legend(axes)
  style.png(figure)
  (entry,) = axes.get_legend().get_texts()
  assert entry.get_text().endswith(r"_hidden\$_\$")
