"""tfae.figures.scores: shares, areas and counts are those that are counted by hand."""

import pathlib
import sys

from matplotlib.colors import to_rgb
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from tfae.figures import scores

SCORES = [1.0, 2.0, 3.0, 4.0, 5.0]
ANOMALOUS = [0, 0, 1, 0, 1]


def joined(figure):
  return " ".join(drawn.texts(figure)).replace("\n", " ")


def test_a_histogram_has_both_kinds_the_threshold_and_the_shares_above_it():
  figure = scores.score_histogram(SCORES, ANOMALOUS, threshold=2.5, bins=4, score_name="error")
  found = drawn.texts(figure)
  assert {"normal (3): 33.3% above the threshold", "anomalous (2): 100.0% above the threshold",
          "threshold 2.50", "error", "Scores of 3 normal and 2 anomalous images"} <= set(found)
  line = next(l for l in figure.axes[0].get_lines() if l.get_label() == "threshold 2.50")
  assert list(line.get_xdata()) == [2.5, 2.5]
  # Bins from 1 to 5: normal 1, 2 and 4; the share of each is a third.
  heights = [patch.get_height() for patch in figure.axes[0].patches[:4]]
  assert heights == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
  drawn.inside(figure)


def test_scores_over_two_decades_have_a_logarithmic_axis():
  assert scores.score_histogram([1.0, 10, 1000]).axes[0].get_xscale() == "log"
  assert scores.score_histogram([0.0, 10, 1000]).axes[0].get_xscale() == "linear"


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [-1.0, -1.0], [1e9, 1e9]])
def test_equal_scores_have_a_histogram(values):
  drawn.inside(scores.score_histogram(values))


def test_only_normal_scores_are_drawn_alone():
  assert "Scores of 2 normal images" in joined(scores.score_histogram([1.0, 2.0], [0, 0]))


def test_the_roc_has_its_area_and_the_thresholds_point():
  # Of the 6 pairs (anomalous, normal) the score is higher in 5: 3 > 1, 2; 5 > 1, 2, 4.
  figure = scores.roc(SCORES, ANOMALOUS, threshold=2.5)
  assert "ROC: area 0.8333, 3 normal and 2 anomalous" in joined(figure)
  point = figure.axes[0].get_lines()[-1]
  assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((1 / 3, 1))
  drawn.inside(figure)


def test_precision_and_recall_at_the_threshold_are_those_counted():
  # By falling score: A N A N N; precision at each anomaly 1 and 2/3: their mean is .8333.
  figure = scores.precision_recall(SCORES, ANOMALOUS, threshold=2.5)
  assert "Average precision 0.8333" in joined(figure)
  point = figure.axes[0].get_lines()[-1]
  assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((1, 2 / 3))
  drawn.inside(figure)


def test_the_curves_start_and_end_where_they_must():
  line = next(l for l in scores.roc(SCORES, ANOMALOUS).axes[0].get_lines()
              if l.get_label() == "scores")
  assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
  assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (1, 1)


def test_a_confusion_matrix_has_the_counts_and_the_share_of_the_row():
  figure = scores.confusion_matrix([0, 0, 0, 1, 2], [0, 0, 2, 1, 1], ["cat", "dog", "cow"])
  (image,) = figure.axes[0].get_images()
  np.testing.assert_allclose(image.get_array(), [[2 / 3, 0, 1 / 3], [0, 1, 0], [0, 1, 0]])
  written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
  assert written == {(0, 0): "2\n66.7%", (2, 0): "1", (1, 1): "1\n100.0%", (1, 2): "1"}
  assert "Accuracy 60.00%, 5 examples" in joined(figure)
  drawn.inside(figure)


def test_the_counts_can_be_read_on_every_colour():
  labels = np.repeat(np.arange(10), 10)
  predictions = np.concatenate([[0] * k + [9] * (10 - k) for k in range(10)])
  figure = scores.confusion_matrix(labels, predictions)
  luminance = lambda rgb: np.dot(np.where(np.array(rgb) <= 0.04045, np.array(rgb) / 12.92,
                                          ((np.array(rgb) + 0.055) / 1.055)**2.4),
                                 [0.2126, 0.7152, 0.0722])
  (image,) = figure.axes[0].get_images()
  for text in figure.axes[0].texts:
    column, row = text.get_position()
    under = image.to_rgba(image.get_array())[row, column, :3]
    dark, light = sorted((luminance(to_rgb(text.get_color())), luminance(under)))
    # WCAG asks 4.5 of small text; where black and white are equally far, both have 4.58.
    assert (light + 0.05) / (dark + 0.05) >= 4.4


@pytest.mark.parametrize("classes", [1, 100])
def test_one_class_and_a_hundred_fit(classes):
  labels = np.arange(200) % classes
  names = [f"a class called {index} of many" for index in range(classes)]
  drawn.inside(scores.confusion_matrix(labels, labels, names))


@pytest.mark.parametrize("call, message", [
    (lambda: scores.roc(SCORES, [1] * 5), "all 5 are True"),
    (lambda: scores.precision_recall(SCORES, [0] * 5), "all 5 are False"),
    (lambda: scores.roc(SCORES, [0, 1]), "anomalous has 2 rows: expected 5"),
    (lambda: scores.roc(SCORES, [0, 1, 2, 0, 1]), "expected True and False"),
    (lambda: scores.roc(SCORES, ANOMALOUS, np.nan), "threshold=nan"),
    (lambda: scores.score_histogram([]), "empty"),
    (lambda: scores.confusion_matrix([0, 1], [0]), "predictions has 1 rows"),
])
def test_scores_that_can_not_be_judged_are_named(call, message):
  with pytest.raises(InputError, match=message):
    call()
