"""Images that stay in files, as an array that reads what it is asked for."""

import operator
import os

import numpy as np

from tfae.errors import InputError

CHUNK_BYTES = 2**24  # of images that are gone through in bounded memory


class Store:
  """Where the images of `StoredImages` are; a row is the number of one of them.

  Subclasses say what is below; `rows` are integers `[k]`, k >= 1, `shape` is that of an image.

  Attributes:
    fetched: name of the dtype of what `fetch` gives, for TensorFlow.
  """

  fetched = "uint8"

  def __len__(self):
    raise NotImplementedError

  def name(self, row):
    """Returns what an image is called in messages: str."""
    raise NotImplementedError

  def fetch(self, rows):
    """Returns what `decode` makes images of: an array whose first axis is k; of bytes: objects.

    OSError and whatever else it raises is for `fail` to explain.
    """
    raise NotImplementedError

  def decode(self, fetched, shape):
    """Returns the images, uint8 `[k, *shape]`, of what was fetched; an op of a graph."""
    raise NotImplementedError

  def read(self, rows, shape):
    """Returns images as an array, uint8 `[k, *shape]`."""
    raise NotImplementedError

  def check_unchanged(self, rows):
    """Raises InputError if a file is no longer the one that was listed."""
    raise NotImplementedError

  def fail(self, rows, shape, error):
    """Raises the InputError of the first of `rows` that is why reading them raised `error`."""
    raise NotImplementedError

  def identity(self, rows, shape):
    """Yields bytes that together stand for the images, in order, wherever the files are."""
    raise NotImplementedError


class StoredImages:
  """Images in files, uint8 `[n, height, width, channels]`; in memory is only where they are.

  As of a NumPy array: len, shape, dtype, ndim, `mean(axis=0)`, np.asarray, and indexing of the
  first axis by an integer, a slice, a list or an array of integers, or a mask. Indexing reads
  those images at once, and returns a NumPy array.

  Raises, while indexing:
    InputError: a file that is gone, that changed since it was listed, or can't be decoded; by name.

  Attributes:
    store: the `Store`.
    rows: int64 `[n]`, which of its images these are.
  """

  dtype = np.dtype(np.uint8)
  ndim = 4

  def __init__(self, store, shape, rows=None):
    """Takes all images of a store, or some.

    Args:
      store: a `Store`.
      shape: (height, width, channels) of an image.
      rows: integers [n]; None: all.
    """
    self.store = store
    self.rows = np.arange(len(store)) if rows is None else np.asarray(rows, np.int64)
    self.shape = (len(self.rows), *shape)

  def __len__(self):
    return len(self.rows)

  @property
  def names(self):
    """What the images are called in messages: of a file its path. A list of str."""
    return [self.store.name(row) for row in self.rows]

  def subset(self, rows):
    """Returns the StoredImages of some of these; reads nothing."""
    return StoredImages(self.store, self.shape[1:], self.rows[rows])

  def joined(self, other):
    """Returns the StoredImages of these and then those of `other`, of the same store."""
    if other.store is not self.store:
      raise ValueError("images of two stores can't be joined.")
    return StoredImages(self.store, self.shape[1:], np.concatenate([self.rows, other.rows]))

  def identity(self):
    """Yields bytes that stand for the images, in order."""
    return self.store.identity(self.rows, self.shape[1:])

  def __getitem__(self, rows):
    try:
      row = operator.index(rows)
    except TypeError:
      return self._read(self.rows[rows])
    return self._read(self.rows[[row]])[0]

  def __array__(self, dtype=None, copy=None):
    if copy is False:
      raise ValueError("images in files can't be an array without a copy.")
    return self[:] if dtype is None else self[:].astype(dtype)

  def mean(self, axis, dtype=np.float64):
    """Returns the mean image, `[height, width, channels]`; only for axis=0. In bounded memory."""
    if axis != 0:
      raise ValueError(f"axis={axis}: images in files have a mean over axis 0 only.")
    total = np.zeros(self.shape[1:], np.int64)
    for start in range(0, len(self), self.chunk):
      total += self[start:start + self.chunk].sum(axis=0, dtype=np.int64)
    return (total / len(self)).astype(dtype)

  @property
  def chunk(self):
    """How many images have 16 MiB together, at least 1: to go through them in bounded memory."""
    return max(1, CHUNK_BYTES // int(np.prod(self.shape[1:])))

  def check_unchanged(self, rows):
    """Raises InputError if a file of these rows is no longer the one that was listed."""
    self.store.check_unchanged(self.rows[rows])

  def fail(self, rows, error):
    """Raises the InputError of the first among these rows that is why `error` was raised."""
    self.store.fail(self.rows[rows], self.shape[1:], error)

  def read_ahead(self, batches, parallel):
    """Returns a tf.data.Dataset of images, uint8 `[k, ...]`, in the order of `batches`.

    Args:
      batches: a tf.data.Dataset of rows, integers `[k]`; a negative one gives image 0.
      parallel: how many of its elements are decoded at a time.
    """
    import tensorflow as tf  # heavy: listing a folder is done without it

    # In Python, once a batch: TensorFlow has no op that reads a part of a file, and would hold a
    # table of all files a second time, in larger pieces.
    def fetch(rows):
      return self.store.fetch(self.rows[np.maximum(rows, 0)])

    def fetched(rows):
      kind = tf.as_dtype(self.store.fetched)
      return tf.ensure_shape(tf.numpy_function(fetch, [rows], kind),
                             [rows.shape[0], *(() if kind == tf.string else self.shape[1:])])

    return batches.map(fetched).map(lambda value: self.store.decode(value, self.shape[1:]),
                                    num_parallel_calls=parallel, deterministic=True)

  def _read(self, rows):
    if not len(rows):
      return np.zeros((0, *self.shape[1:]), np.uint8)
    images = self.store.read(rows, self.shape[1:])
    self.store.check_unchanged(rows)  # after: what was read is what was listed
    return images


def state(path):
  """Returns (size, time of change in ns, inode) of a file; None if it is gone."""
  try:
    found = os.stat(path)
  except OSError:
    return None
  return found.st_size, found.st_mtime_ns, found.st_ino


def changed(path):
  """Returns the InputError of a file whose `state` is another than when it was listed."""
  return InputError(f"{path}: changed or gone since the run began. Put it back, or start again in "
                    "another workdir.")
