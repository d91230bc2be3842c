"""Views of scores as a measure of what is anomalous."""

from tfae.figures import scores
from tfae.views.view import View, has, reconstructs


def _histogram(material):
  return scores.score_histogram(material.scores, score_name=material.score_unit)


VIEWS = (
    View("scores", "how the scores of the test images are distributed", "anomaly", _histogram,
         (reconstructs, has("scores"))),
)
