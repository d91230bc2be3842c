"""CIFAR-10's binary batches: records of one label byte and 3,072 bytes of a 32x32 colour image.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009; the format is that
of "CIFAR-10 binary version (suitable for C programs)".
"""

import os
import pathlib

import numpy as np

from tfae.data import idx
from tfae.errors import InputError

CLASSES = 10
_SIDE = 32
_RECORD = 1 + 3 * _SIDE**2
_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST = "test_batch.bin"
_UNPACKED = "cifar-10-batches-bin"  # the folder in the archive as it is distributed


def read(data_dir):
  """Reads data_batch_1.bin to data_batch_5.bin and test_batch.bin.

  Args:
    data_dir: the folder that holds them, or one that holds the unpacked cifar-10-batches-bin.

  Returns:
    ((images, labels) of the five batches in order, (images, labels) of the test batch): uint8
    [n, 32, 32, 3], values 0 to 255, and uint8 [n], values 0 to 9. A batch may have any number of
    records.

  Raises:
    InputError: a file that is missing, is no whole number of records, has a label above 9, changed
      while it was read, or does not fit into memory.
  """
  folder = pathlib.Path(data_dir)
  if (folder / _UNPACKED).is_dir():
    folder = folder / _UNPACKED
  paths = [folder / name for name in (*_TRAIN, _TEST)]
  with idx.unchanged(paths):
    *train, test = map(_read, paths)
  return tuple(np.concatenate(arrays) for arrays in zip(*train)), test


def _read(path):
  try:
    if not path.is_file():
      raise InputError(f"{path}: not found or not a file: expected a binary batch of CIFAR-10. "
                       "Unpack cifar-10-binary.tar.gz into the folder --data_dir.")
    with open(path, "rb") as stream:
      data = idx.read_sized(path, stream, os.fstat(stream.fileno()).st_size)
  except OSError as error:
    raise InputError(f"{path}: can't be read: {error}. Fetch it again or check its permissions."
                     ) from error
  if not data or len(data) % _RECORD:
    raise InputError(f"{path}: found {len(data)} bytes, expected a multiple of {_RECORD}: 1 of "
                     f"label and 3 x {_SIDE} x {_SIDE} of image a record. Fetch it again.")
  records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
  labels = records[:, 0].copy()
  if labels.max() >= CLASSES:
    first = int(np.argmax(labels >= CLASSES))
    raise InputError(f"{path}: label of record {first} at offset {first * _RECORD}: found "
                     f"{labels[first]}, expected 0 to {CLASSES - 1}.")
  # Planes of red, green and blue become channels.
  planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
  return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
