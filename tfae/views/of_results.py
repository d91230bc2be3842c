"""Views of what the model makes of images: reconstructions, classes, the best and the worst."""

from tfae.figures import grids, scores
from tfae.views.view import View, classifies, corrupts, has, labels, reconstructs

_SHOWN = 10


def _reconstructions(material):
  return grids.reconstruction_strip(material.images[:_SHOWN], material.reconstructions[:_SHOWN])


def _restored(material):
  return grids.triplets(material.images[:_SHOWN], material.corrupted[:_SHOWN],
                        material.restored[:_SHOWN])


def _framed(material):
  # As many wrong ones as fit, the right ones before them: a good model is rarely wrong.
  wrong = material.predictions != material.labels
  rows = [*(~wrong).nonzero()[0][:30], *wrong.nonzero()[0][:30]]
  total = len(wrong)
  return grids.framed_grid(
      material.images[rows], material.labels[rows], material.predictions[rows],
      material.class_names, 10, title=f"{total - wrong.sum():,} of {total:,} test images right; up "
      "to 30 right ones, then up to 30 wrong ones")


def _best_and_worst(material):
  shown = material.reconstructions if material.experiment.task.RECONSTRUCTS else None
  return grids.best_and_worst(material.images, material.scores, shown,
                              score_name=material.score_unit)


def _confusion(material):
  return scores.confusion_matrix(material.labels, material.predictions, material.class_names)


VIEWS = (
    View("reconstructions", "originals over reconstructions over their errors", "results",
         _reconstructions, (reconstructs, has("reconstructions"))),
    View("restored", "clean, corrupted and restored images", "results", _restored,
         (corrupts, reconstructs, has("restored"))),
    View("framed", "images the classifier has right and wrong, framed", "results", _framed,
         (classifies, labels)),
    View("best_worst", "the ten best and ten worst images by score", "results", _best_and_worst,
         (has("scores"),)),
    View("confusion", "confusion matrix of the classes", "results", _confusion,
         (classifies, labels)),
)
