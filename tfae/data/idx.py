"""IDX files, the format of MNIST: two zero bytes, dtype code, rank, big-endian uint32 sizes, data.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", file formats.
"""

import contextlib
import dataclasses
import gzip
import io
import math
import os
import pathlib
import struct
import zlib

import numpy as np

from tfae import machine
from tfae.errors import InputError, check_int

CHUNK = 1 << 20
_UINT8 = 0x08
_DTYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32",
           0x0E: "float64"}
# Deflate can't expand more (zlib technical details, "maximum compression factor").
_MAX_EXPANSION = 1032


@dataclasses.dataclass(frozen=True)
class Content:
  """The raw bytes that the file `path` held when it was read: nobody can change them since."""
  path: pathlib.Path
  data: bytes

  def __str__(self):
    return str(self.path)


@contextlib.contextmanager
def unchanged(paths):
  """Raises InputError if one of the files was written to or replaced while the block ran.

  What is read in several steps, or from several files, could else be part old and part new. A
  write within the same tick of the file system's clock (milliseconds) as the one before the block
  stays unseen, if the size is the same.
  """
  before = [(path, _state(path)) for path in paths]
  failure = None
  try:
    yield
  except InputError as error:
    failure = error  # it may come from nothing but the change
  for path, state in before:
    if _state(path) != state:
      raise InputError(f"{path}: changed while it was read. Start again once it is complete."
                       ) from failure
  if failure:
    raise failure


def _state(path):
  try:
    found = os.stat(path)
  except OSError:
    return None
  return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextlib.contextmanager
def open_raw(file):
  """Opens a file, raw or gzip (told by its first bytes), for reading its raw bytes.

  `file` is a path or a Content. Yields (binary stream, the most raw bytes that the file can hold:
  exact unless gzip). Raises InputError if the file can't be opened or read, is damaged gzip, or is
  named .gz but is not gzip. Use the stream inside the `with` only to read: every OSError becomes
  InputError.
  """
  if isinstance(file, Content):
    yield io.BytesIO(file.data), len(file.data)
    return
  path = pathlib.Path(file)
  try:
    if not path.is_file():  # also keeps a named pipe from blocking
      raise InputError(f"{path}: not found or not a file: expected an IDX file, raw or .gz.")
    with open(path, "rb") as raw:
      size = os.fstat(raw.fileno()).st_size
      start = raw.read(2)
      raw.seek(0)
      if start == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=raw) as stream:
          yield stream, size * _MAX_EXPANSION
      elif path.suffix == ".gz":
        raise InputError(f"{path}: not gzip though named .gz: found 0x{start.hex()} at offset 0, "
                         "expected 0x1f8b. Drop .gz from its name if it is raw, or fetch it again.")
      else:
        yield raw, size
  except (OSError, EOFError, zlib.error) as error:
    raise InputError(f"{path}: can't be read: {error}. Fetch it again or check its permissions."
                     ) from error


def read_images(path):
  """Reads an IDX file of images: a path, raw or .gz, or a Content.

  Returns uint8 [n, height, width], values 0 to 255, n, height and width at least 1.
  Raises InputError for anything else, naming the file, field or offset, found and expected.
  """
  return _read(path, ("images", "height", "width"))


def is_raw(path):
  """Returns whether a file is not gzip, told by its first bytes; InputError if it can't be read."""
  with open_raw(path) as (stream, _):
    return not isinstance(stream, gzip.GzipFile)


def map_images(path):
  """Maps an IDX file of images into memory: a path of a raw file.

  Returns, as `read_images`, uint8 [n, height, width], an `np.memmap` that can't be written to.
  Where the file is cut off later, reading past its end ends the process (SIGBUS).
  Raises InputError as `read_images` does, and for gzip.
  """
  axes = "images", "height", "width"
  with open_raw(path) as (stream, size):
    if isinstance(stream, gzip.GzipFile):
      raise InputError(f"{path}: is gzip, which can't be memory-mapped. Unpack it, or use "
                       "data.memory_map='off'.")
    shape = _read_header(path, stream, axes)
    header, wanted = 4 + 4 * len(axes), math.prod(shape)
    if size != header + wanted:
      raise InputError(f"{path}: {'truncated' if size < header + wanted else 'trailing bytes'}: "
                       f"found {size} bytes, {_expected(header, shape)}")
    return np.memmap(stream, np.uint8, "r", header, shape)


def read_labels(path, classes=10):
  """Reads an IDX file of labels: a path, raw or .gz, or a Content.

  Returns uint8 [n], n at least 1, values below `classes` (None: any value, 0 to 255).
  Raises InputError for anything else, naming the file, field or offset, found and expected.
  """
  if classes is not None:
    classes = check_int("classes", classes, 1, 256)
  labels = _read(path, ("labels",))
  if classes is not None and labels.max() >= classes:
    first = int(np.argmax(labels >= classes))
    raise InputError(f"{path}: label {first} at offset {8 + first}: found {labels[first]}, "
                     f"expected 0 to {classes - 1}.")
  return labels


def read_pair(images_path, labels_path, classes=10, read=read_images):
  """Reads an image file, by `read_images` or `map_images`, and its label file.

  Returns (uint8 [n, height, width], uint8 [n]).
  Raises InputError as read_images and read_labels do, and if the counts differ.
  """
  images, labels = read(images_path), read_labels(labels_path, classes)
  if len(images) != len(labels):
    raise InputError(f"{labels_path}: found {len(labels)} labels, expected {len(images)}, one for "
                     f"each image of {images_path}. Do the two files belong together?")
  return images, labels


def _read(path, axes):
  with open_raw(path) as (stream, most):
    shape = _read_header(path, stream, axes)
    header = 4 + 4 * len(axes)
    size = math.prod(shape)
    expected = _expected(header, shape)
    # Python integers don't overflow, and nothing is allocated for a size that can't be there.
    if header + size > most:
      raise InputError(f"{path}: truncated or wrong sizes: found at most {most} bytes, {expected}")
    # What is in memory already is not copied.
    data = (memoryview(path.data)[header:] if isinstance(path, Content)
            else read_sized(path, stream, size))
  if len(data) < size:
    raise InputError(f"{path}: truncated: found {header + len(data)} bytes, {expected}")
  if len(data) > size:
    raise InputError(f"{path}: trailing bytes: found more than {header + size} bytes, {expected}")
  return np.frombuffer(data, np.uint8).reshape(shape)


def _expected(header, shape):
  return (f"expected {header + math.prod(shape)} (a header of {header} bytes and "
          f"{' x '.join(map(str, shape))} of data, sizes at offset 4). Fetch it again.")


def _read_header(path, stream, axes):
  magic = stream.read(4)
  if len(magic) < 4:
    raise InputError(f"{path}: truncated: found {len(magic)} bytes, expected at least 4, the magic "
                     "number of an IDX file.")
  if magic[:2] != b"\0\0":
    raise InputError(f"{path}: wrong magic number at offset 0: found 0x{magic[:2].hex()}, expected "
                     "0x0000. It is not an IDX file.")
  if magic[2] != _UINT8:
    raise InputError(f"{path}: dtype code at offset 2: found 0x{magic[2]:02x} "
                     f"({_DTYPES.get(magic[2], 'unknown')}), expected 0x08 (uint8).")
  if magic[3] != len(axes):
    raise InputError(f"{path}: rank at offset 3: found {magic[3]}, expected {len(axes)} "
                     f"({', '.join(axes)}). Is it another kind of IDX file?")
  sizes = stream.read(4 * len(axes))
  if len(sizes) < 4 * len(axes):
    raise InputError(f"{path}: truncated: found {4 + len(sizes)} bytes, expected a header of "
                     f"{4 + 4 * len(axes)} ({', '.join(axes)}).")
  shape = struct.unpack(f">{len(axes)}I", sizes)
  for i, (axis, n) in enumerate(zip(axes, shape)):
    if n == 0:
      raise InputError(f"{path}: {axis} at offset {4 + 4 * i}: found 0, expected at least 1.")
  return shape


def read_sized(path, stream, size):
  """Reads `size` bytes of the file `path`, and one more if there is one: it tells too much.

  Raises InputError if this machine or process can't hold so much.
  """
  # Past the memory a gzip file would end the machine before any allocation failed.
  if size > machine.memory_bytes():
    raise InputError(f"{path}: too large: {size} bytes of data, and this machine has "
                     f"{machine.memory_bytes()} of memory. Use fewer or smaller images.")
  try:
    return read_up_to(stream, size + 1)
  except MemoryError:
    raise InputError(f"{path}: too large: {size} bytes of data, more than this process may take. "
                     "Use fewer or smaller images.") from None


def read_up_to(stream, size):
  """Reads at most `size` bytes, allocating only for bytes that are there."""
  data = bytearray()
  while chunk := stream.read(min(CHUNK, size - len(data))):
    data += chunk
  return data
