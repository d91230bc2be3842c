"""Views of the images themselves."""

from tfae.figures import grids, montage
from tfae.views.view import View, has, labels

_IMAGES = has("images")
_MONTAGE = 1000


def _samples(material):
  images, found = material.images[:50], material.labels
  return grids.sample_grid(images, None if found is None else found[:50], material.class_names, 10,
                           title=_title(material, "of the test images", len(images)))


def _montage(material):
  return montage.montage(material.images[:_MONTAGE])


def _mean_and_deviation(material):
  return grids.mean_and_deviation(material.images, title=_title(
      material, "test images: mean and standard deviation", len(material.images)))


def _one_hot_labels(material):
  names = material.class_names or [str(n) for n in range(material.config["data"]["classes"])]
  return grids.one_hot_labels(material.images[:12], material.labels[:12], names)


def _title(material, text, count):
  return f"{material.config['data']['name']}: {count:,} {text}"


VIEWS = (
    View("samples", "test images with their labels", "data", _samples, (_IMAGES,)),
    View("montage", "a thousand test images", "data", _montage, (_IMAGES,)),
    View("mean", "mean image and standard deviation of each pixel", "data", _mean_and_deviation,
         (_IMAGES,)),
    View("one_hot", "labels as one-hot columns", "data", _one_hot_labels, (labels,)),
)
