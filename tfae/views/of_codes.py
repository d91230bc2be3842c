"""Views of codes: where they lie, what lies between them, what the prior holds.

TensorFlow is imported where something is drawn.
"""

import math

import numpy as np

from tfae.errors import InputError
from tfae.figures import codes, grids, latent, weights
from tfae.views.view import View, has, reconstructs, several, variational

_STEPS, _GRID, _MANIFOLD, _SAMPLES = 12, 10, 20, 100
_MOST_EXACT = 2  # dimensions that a plane shows without leaving anything out


def _flat(material):
  return material.codes.reshape(len(material.codes), -1)


def _code_maps(material):
  return weights.channel_maps(material.codes[:8], material.images[:8],
                              title="Codes of 8 images, each channel alone")


def _scatter(material):
  points, count = _flat(material), len(material.codes)
  names, title = ("dimension 0", "dimension 1"), f"Codes of {count:,} test images"
  if points.shape[1] > _MOST_EXACT:
    from sklearn.decomposition import PCA
    if (points == points[0]).all():
      raise InputError(f"all {count:,} codes are the same: no direction tells them apart")
    # The first two components only: all of 4,608 numbers a code took 19 s.
    solver = "arpack" if min(points.shape) > 2 else "full"
    pca = PCA(2, svd_solver=solver, random_state=material.seed).fit(points)
    shares, size = pca.explained_variance_ratio_, points.shape[1]
    points = pca.transform(points)
    names = [f"principal component {i + 1} ({share:.1%} of the variance)"
             for i, share in enumerate(shares)]
    title += f", PCA of {size:,} dimensions to 2"
  return codes.scatter(points, material.labels, material.class_names, names, title)


def _tsne(material):
  points = _flat(material)
  return codes.scatter(
      codes.tsne(points, material.seed), material.labels, material.class_names, None,
      f"Codes of {len(points):,} test images, t-SNE of {points.shape[1]:,} dimensions to 2")


def _neighbours(material):
  anchors = _one_of_each_class(material, 8)
  indices, distances = codes.neighbours(_flat(material), anchors, 8)
  return codes.neighbour_grid(material.images, anchors, indices, distances, material.labels,
                              material.class_names)


def _interpolation(material):
  ends = _one_of_each_class(material, 8)
  ends = ends[:len(ends) // 2 * 2].reshape(-1, 2)
  steps = np.stack([latent.interpolate(*material.codes[pair], _STEPS) for pair in ends])
  return latent.interpolation_grid(
      _decoded(material, steps), title=f"Between the codes of two images, {_STEPS} steps")


def _bilinear(material):
  corners = material.codes[_one_of_each_class(material, 4)]
  return latent.bilinear_grid(_decoded(material, latent.bilinear(corners, _GRID, _GRID)))


def _manifold(material):
  from tfae.views import latent as decoding
  size = material.codes.shape[1]
  dimensions = tuple(map(int, decoding.plane(material.kl.mean(axis=0))))
  title = f"Decoder over {_MANIFOLD} x {_MANIFOLD} quantiles of the prior"
  if size > _MOST_EXACT:
    title += f"; of {size} dimensions the two of the largest KL, the others 0"
  images = _decoded(material, latent.manifold_codes(_MANIFOLD, _MANIFOLD, size, dimensions))
  return latent.manifold(images, dimensions, title)


def _prior(material):
  from tfae.views import latent as decoding
  return grids.sample_grid(decoding.samples(material.model, _SAMPLES, material.seed), columns=10,
                           title=f"{_SAMPLES} samples of the prior, means of p(x | z)")


def _kl(material):
  return codes.kl_bars(material.kl.mean(axis=0))


def _histogram(material):
  return codes.code_histogram(_flat(material))


def _decoded(material, grid):
  """Returns the images of codes `[rows, columns, *code shape]`, as many rows and columns."""
  from tfae.views import latent as decoding
  shape = material.codes.shape[1:]
  return decoding.decode(material.model, grid.reshape(-1, *shape)).reshape(
      *grid.shape[:2], *material.images.shape[1:])


def _one_of_each_class(material, count):
  """Returns indices of `count` images, of as many classes as there are."""
  if material.labels is None:
    return np.arange(count)
  # The first of each class, then the second of each, ...
  nth = np.zeros(len(material.labels), np.int64)
  for label in np.unique(material.labels):
    own = material.labels == label
    nth[own] = np.arange(own.sum())
  return np.lexsort((material.labels, nth))[:count]


def _maps(material):
  reason = material.reason("codes")
  if reason or material.codes.ndim == 4:
    return reason
  return f"codes are vectors of {material.codes.shape[1]}, no maps"


def _several_dimensions(material):
  reason = material.reason("codes")
  if reason or math.prod(material.codes.shape[1:]) > 1:
    return reason
  return "codes have one dimension, a plane needs two"


VIEWS = (
    View("code_maps", "codes of convolutional models as images", "codes", _code_maps,
         (has("codes"), _maps, several(8))),
    View("scatter", "codes in two dimensions by class, or PCA to two", "codes", _scatter,
         (has("codes"), _several_dimensions, several(2))),
    View("tsne", "codes by t-SNE", "codes", _tsne, (has("codes"), several(5)), asked=True),
    View("neighbours", "nearest neighbours in code space, a row an image", "codes", _neighbours,
         (has("codes"), several(9))),
    View("interpolation", "decoded codes between two images", "codes", _interpolation,
         (reconstructs, has("codes"), several(8))),
    View("bilinear", "decoded codes between four images", "codes", _bilinear,
         (reconstructs, has("codes"), several(4))),
    View("manifold", "decoder over quantiles of the prior", "codes", _manifold,
         (variational, has("kl"), _several_dimensions)),
    View("prior", "images drawn from the prior", "codes", _prior, (variational,)),
    View("kl", "KL divergence of each latent dimension", "codes", _kl, (variational, has("kl"))),
    View("code_values", "how the values of each dimension are distributed", "codes", _histogram,
         (has("codes"),)),
)
