"""Views of scores as a measure of what is anomalous: see `tfae.anomaly`."""

from tfae.figures import scores
from tfae.views.view import View, has, reconstructs


def _histogram(material):
  found = material.detection
  told = found.anomalous if found.anomalous is not None and found.anomalous.any() else None
  return scores.score_histogram(found.scores, told, found.threshold and found.threshold.value,
                                score_name=material.score_unit)


def _roc(material):
  return scores.roc(*_told(material))


def _precision_recall(material):
  return scores.precision_recall(*_told(material))


def _told(material):
  found = material.detection
  return found.scores, found.anomalous, found.threshold and found.threshold.value


def _two_kinds(material):
  truth = material.detection.anomalous
  if truth is None:
    return "the images have no labels"
  return None if truth.any() and not truth.all() else (
      "every test image has a class that was trained on: nothing is anomalous"
      if not truth.any() else "no test image has a class that was trained on")


VIEWS = (
    View("scores", "scores of the test images, normal and anomalous, threshold", "anomaly",
         _histogram, (reconstructs, has("detection"))),
    View("roc", "ROC of the scores of one-class runs, threshold", "anomaly", _roc,
         (reconstructs, has("detection"), _two_kinds)),
    View("precision_recall", "precision over recall of one-class runs", "anomaly",
         _precision_recall, (reconstructs, has("detection"), _two_kinds)),
)
