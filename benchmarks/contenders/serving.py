"""What every served model is asked: load, first call, latencies, outputs."""

import pathlib
import time

import numpy as np


class Contender:
  """A subclass says how a model is loaded: `_load(path)` returns images -> numpy array."""

  def __init__(self, folder, path):
    """Reads the images, which come in the units of the data set; loads nothing yet.

    Args:
      folder: of what `exports` wrote.
      path: of the model, in that folder.
    """
    self._path = str(pathlib.Path(folder) / path)
    self._images = np.load(pathlib.Path(folder) / "requests.npy")

  def first(self):
    """Returns the seconds of loading, and of the first call after it, with one image."""
    began = time.perf_counter()
    self._call = self._load(self._path)
    loaded = time.perf_counter()
    self._call(self._images[:1])
    return loaded - began, time.perf_counter() - loaded

  def latencies(self, batch, calls):
    """Returns the seconds of each of so many calls, from numpy array to numpy array."""
    images = self._images[:batch]
    result = []
    for _ in range(calls):
      began = time.perf_counter()
      self._call(images)
      result.append(time.perf_counter() - began)
    return result

  def save(self, path):
    """Writes the reconstruction of all images as .npy."""
    np.save(path, self._call(self._images))
