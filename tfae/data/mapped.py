"""Images in memory-mapped files: what is asked for is read, and the system keeps what it has room
for."""

import numpy as np

from tfae.data import stored


class Maps(stored.Store):
  """A `tfae.data.stored.Store` of grey images in files that hold nothing but pixels."""

  def __init__(self, parts):
    """Takes arrays, one after the other.

    Args:
      parts: list of (path, uint8 array [n, height, width]); a `np.memmap` is of the file `path` as
        it is now, any other array is in memory.
    """
    self._parts = [(path, stored.state(path) if isinstance(array, np.memmap) else None, array)
                   for path, array in parts]
    self._starts = np.cumsum([0] + [len(array) for _, array in parts])

  def __len__(self):
    return int(self._starts[-1])

  def name(self, row):
    """As `Store.name`: the file and the image's number in it."""
    part = int(np.searchsorted(self._starts, row, "right")) - 1
    return f"{self._parts[part][0]}: image {row - self._starts[part]}"

  def fetch(self, rows):
    """As `Store.fetch`: the images, `[k, height, width, 1]`."""
    # First: where a mapped file was cut off, reading ends the process.
    self.check_unchanged(rows)
    found = np.empty((len(rows), *self._parts[0][2].shape[1:], 1), np.uint8)
    for places, array, within in self._by_part(rows):
      found[places, ..., 0] = array[within]
    return found

  def decode(self, fetched, shape):
    """As `Store.decode`: they are images already."""
    return fetched

  def read(self, rows, shape):
    """As `Store.read`."""
    return self.fetch(np.asarray(rows))

  def check_unchanged(self, rows):
    """As `Store.check_unchanged`, of all files."""
    for path, state, _ in self._parts:
      if state is not None and stored.state(path) != state:
        raise stored.changed(path)

  def fail(self, rows, shape, error):
    """As `Store.fail`."""
    self.check_unchanged(rows)
    raise error

  def identity(self, rows, shape):
    """As `Store.identity`: the pixels, as those of an array in memory."""
    chunk = max(1, stored.CHUNK_BYTES // int(np.prod(shape)))
    for start in range(0, len(rows), chunk):
      yield self.fetch(rows[start:start + chunk])
    self.check_unchanged(rows)

  def _by_part(self, rows):
    """Yields (places among `rows`, array, its rows there) for each part that has some."""
    part = np.searchsorted(self._starts, rows, "right") - 1
    for number, (_, _, array) in enumerate(self._parts):
      places = np.flatnonzero(part == number)
      if len(places):
        yield places, array, np.asarray(rows)[places] - self._starts[number]
