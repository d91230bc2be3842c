"""A folder of PNG and JPEG files as an array that decodes what it is asked for.

    DIR/*.png                      images without labels
    DIR/CLASS/*.jpg                a sub-folder a class; labels in the order of the sorted names
    DIR/train/..., DIR/test/...    either of these in two parts

Files are told by their content, not by their name; names that begin with a dot are left alone.
An image is cut to the proportions of the wanted size around its centre, and resized by area: each
pixel is the mean of what it covers, rounded. Grey files become colour by repetition, colour files
grey as libpng and libjpeg weigh the channels. An EXIF rotation is not applied. What PNG and JPEG
can hold beyond 8 bits and three channels (16 bits, transparency, CMYK) is refused, with the way
out: see `tfae.data.picture`.

Of a PNG every checksum is looked at: damage is an error. A JPEG has none. One that is cut off or
whose tables are wrong is an error too; but a changed bit in its pixels is other pixels, for the
decoder goes on: libjpeg warns at most, in a line on stderr that names no file and that TensorFlow's
op does not return. A run's sha256 tells such a file from the right one, not which of the two is
right.
"""

import concurrent.futures
import functools
import hashlib
import operator
import os
import pathlib

import numpy as np

from tfae.data import idx, picture
from tfae.errors import InputError

PARTS = ("train", "test")
_READERS = 8  # threads: they wait for the disk, and hashing frees the interpreter
_AT_ONCE = 1000


class FolderImages:
  """Images in files, uint8 `[n, height, width, channels]`; in memory are only names and checksums.

  As of a NumPy array: len, shape, dtype, ndim, `mean(axis=0)`, np.asarray, and indexing of the
  first axis by an integer, a slice, a list or an array of integers, or a mask. Indexing reads and
  decodes those images at once, in parallel, in tf.data, and returns a NumPy array.

  Raises, while indexing:
    InputError: a file that is gone, that changed since it was listed, or can't be decoded; by name.

  Attributes:
    paths: list of str, in order.
  """

  dtype = np.dtype(np.uint8)
  ndim = 4

  def __init__(self, files, size, channels):
    """Takes what `read` found.

    Args:
      files: list of `_File`.
      size: (height, width) of what is returned.
      channels: 1 or 3.
    """
    self._files = list(files)
    self.shape = (len(self._files), *size, channels)

  def __len__(self):
    return len(self._files)

  @property
  def paths(self):
    """Where the files are."""
    return [file.path for file in self._files]

  @property
  def encoded_paths(self):
    """The same as bytes, for TensorFlow: a file's name need not be valid UTF-8."""
    return list(map(os.fsencode, self.paths))

  def subset(self, rows):
    """Returns the FolderImages of some rows; decodes nothing."""
    return FolderImages([self._files[row] for row in rows], self.shape[1:3], self.shape[3])

  def joined(self, other):
    """Returns the FolderImages of these files and then those of `other`, of the same shape."""
    return FolderImages(self._files + other._files, self.shape[1:3], self.shape[3])

  def identity(self):
    """Returns bytes that stand for names, sizes and contents of the files, in order."""
    digest = hashlib.sha256()
    for file in self._files:
      digest.update(f"{file.name}\0{file.state[0]}\0".encode(errors="surrogateescape"))
      digest.update(file.sha256)
    return digest.digest()

  def __getitem__(self, rows):
    try:
      row = operator.index(rows)
    except TypeError:
      return self._decode(np.arange(len(self))[rows])
    return self._decode(np.arange(len(self))[[row]])[0]

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
    return max(1, 2**24 // int(np.prod(self.shape[1:])))

  def check_unchanged(self, rows):
    """Raises InputError if a file is no longer the one that was listed."""
    for row in rows:
      file = self._files[row]
      if _state(file.path) != file.state:
        raise InputError(f"{file.path}: changed or gone since the run began. Put it back, or start "
                         "again in another workdir.")

  def fail(self, rows, error):
    """Raises the InputError of the first file among `rows` that is why decoding raised `error`."""
    self.check_unchanged(rows)
    import tensorflow as tf
    for row in rows:
      path = self._files[row].path
      try:
        with tf.device("/CPU:0"):
          decode_file(os.fsencode(path), self.shape[1:])
      except tf.errors.OpError as reason:
        said = reason.message.split("}}")[-1].split("[Op:")[0].strip()[:200]
        raise InputError(f"{path}: can't be decoded ({said}). Mend it or take it out of the folder."
                         ) from error
    raise error

  def _decode(self, rows):
    if not len(rows):
      return np.zeros((0, *self.shape[1:]), np.uint8)
    import tensorflow as tf  # heavy: listing a folder is done without it
    try:
      with tf.device("/CPU:0"):
        images = decoder(self.shape[1:])(tf.constant(self.subset(rows).encoded_paths))
    except tf.errors.OpError as error:
      self.fail(rows, error)
    self.check_unchanged(rows)
    return images.numpy()


def decode_file(path, shape):
  """Returns the image of one file, uint8 `shape` (height, width, channels); an op of a graph."""
  import tensorflow as tf
  return decode(tf.io.read_file(path), shape)


def decode(data, shape):
  """Returns the image in the bytes of a PNG or JPEG file, a string tensor [], as `decode_file`."""
  import tensorflow as tf
  height, width, channels = shape
  # The accurate transform, as other programs have it: TensorFlow's default is the fast one.
  image = tf.cond(tf.io.is_jpeg(data),
                  lambda: tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE"),
                  lambda: tf.io.decode_png(data, channels))
  # The largest centred piece of the wanted proportions, to the nearest pixel, at least one.
  found, wanted = tf.shape(image, tf.int64)[:2], np.array([height, width])
  other = wanted[::-1]
  taken = tf.clip_by_value((2 * found[::-1] * wanted + other) // (2 * other), 1, found)
  image = tf.slice(image, tf.concat([(found - taken) // 2, [0]], 0),
                   tf.concat([taken, [channels]], 0))
  image = tf.raw_ops.ResizeArea(images=image[None], size=(height, width))[0]
  return tf.ensure_shape(tf.cast(tf.floor(image + 0.5), tf.uint8), shape)


@functools.lru_cache(maxsize=8)
def decoder(shape):
  """Returns a function of paths, string [n], n >= 1, that gives their images [n, *shape]."""
  import tensorflow as tf

  @functools.partial(tf.function, autograph=False,
                     input_signature=[tf.TensorSpec([None], tf.string)])
  def decode(paths):
    files = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda path: decode_file(path, shape), num_parallel_calls=os.cpu_count(),
        deterministic=True)
    return files.batch(tf.size(paths, tf.int64)).get_single_element()

  return decode.get_concrete_function()


class _File:
  """One file: its path, its name within the folder, and what it was when it was read."""
  __slots__ = "path", "name", "state", "sha256"

  def __init__(self, path, name, state, sha256):
    self.path, self.name, self.state, self.sha256 = path, name, state, sha256


def _read_file(path, name):
  """Returns (_File, `picture.Header`) of a file that is taken; raises InputError for another."""
  state = _state(path)  # first: a change while it is read is seen later
  try:
    with open(path, "rb") as stream:
      data = idx.read_up_to(stream, picture.MOST_BYTES + 1)
  except OSError as error:
    raise InputError(f"{path}: can't be read: {error.strerror}.") from error
  try:
    header = picture.check(data)
  except picture.Bad as error:
    raise InputError(f"{path}: {error}.") from None
  return _File(path, name, state, hashlib.sha256(data).digest()), header


def _state(path):
  try:
    found = os.stat(path)
  except OSError:
    return None
  return found.st_size, found.st_mtime_ns, found.st_ino


def read_one(path, size, channels):
  """Checks one file as `read` does those of a folder; indexing decodes it as training would.

  Args:
    path: the file.
    size, channels: as `read`'s.

  Returns:
    (FolderImages of that one file, its `tfae.data.picture.Header`).

  Raises:
    InputError: a file that can't be read, or is no image that is taken.
  """
  file, header = _read_file(str(path), os.path.basename(path))
  return FolderImages([file], size, channels), header


def read(data_dir, size, channels):
  """Lists a folder and checks every file in it, without decoding and without TensorFlow.

  Reads each file once, for its checksum.

  Args:
    data_dir: the folder.
    size: (height, width) that images are brought to.
    channels: 1 or 3.

  Returns:
    [(FolderImages, labels) of train, the same of test], or [those of all, None] without
    sub-folders train and test. Labels are uint8, int32 for more than 256 classes, [n], or None.

  Raises:
    InputError: a folder that is empty, mixes files with sub-folders or goes deeper than classes; a
      class that only one of train and test has; a file that is no image that is taken.
  """
  root = pathlib.Path(data_dir)
  files, folders = _entries(root)
  if set(PARTS) <= set(folders):
    extra = [name for name in (*folders, *files) if name not in PARTS]
    if extra:
      raise InputError(f"{root / extra[0]}: found beside the folders train and test; expected "
                       "these two alone. Move it elsewhere.")
    parts = [_classes(root / part) for part in PARTS]
    if (parts[0] is None) != (parts[1] is None):
      flat = PARTS[0 if parts[0] is None else 1]
      raise InputError(f"{root / flat}: has no class folders, the other of train and test has. "
                       "Expected the same classes in both, or none.")
    for mine, theirs, where in ((*parts, "test"), (*parts[::-1], "train")):
      missing = sorted(set(mine or ()) - set(theirs or ()))
      if missing:
        other = PARTS[PARTS.index(where) - 1]
        raise InputError(f"{root / where / missing[0]}: not found; expected a folder of each class "
                         f"that {root / other} has. Add it, or take it out there.")
  else:
    parts = [_classes(root)]
  result = [_part(root / part if len(parts) == 2 else root, classes, root, size, channels)
            for part, classes in zip(PARTS, parts)]
  return result if len(result) == 2 else [*result, None]


def _classes(folder):
  """Returns the sorted names of the class folders, None if it holds images itself."""
  files, folders = _entries(folder)
  if files and folders:
    raise InputError(f"{folder}: has files such as {files[0]!r} and folders such as "
                     f"{folders[0]!r}; expected images, or a folder for each class.")
  if not files and not folders:
    raise InputError(f"{folder}: found nothing; expected PNG or JPEG files, or a folder of them "
                     "for each class.")
  return folders or None


def _part(folder, classes, root, size, channels):
  paths, labels = [], []
  for label, directory in enumerate([folder] if classes is None else
                                    [folder / name for name in classes]):
    files, folders = _entries(directory)
    if folders or not files:
      what = f"the folder {folders[0]!r}" if folders else "nothing"
      raise InputError(f"{directory}: found {what}; expected PNG or JPEG files.")
    paths += [directory / name for name in files]
    labels += [label] * len(files)
  files = []
  with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
    for start in range(0, len(paths), _AT_ONCE):  # a future is larger than what it finds
      files += pool.map(lambda path: _read_file(str(path), path.relative_to(root).as_posix())[0],
                        paths[start:start + _AT_ONCE])
  kind = np.uint8 if classes is None or len(classes) <= 256 else np.int32
  return FolderImages(files, size, channels), None if classes is None else np.array(labels, kind)


def _entries(folder):
  """Returns the sorted names of (files, folders) in a folder; hidden ones are left out."""
  try:
    with os.scandir(folder) as entries:
      found = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
  except OSError as error:
    raise InputError(f"{folder}: can't be listed: {error.strerror}. Expected a folder of PNG or "
                     "JPEG files.") from error
  return [sorted(name for name, is_folder in found if is_folder == kind) for kind in (False, True)]
