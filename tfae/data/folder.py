"""A folder of PNG and JPEG files as an array that decodes what it is asked for.

    DIR/*.png                      images without labels
    DIR/CLASS/*.jpg                a sub-folder a class; labels in the order of the sorted names
    DIR/train/..., DIR/test/...    either of these in two parts

Files are told by their content, not by their name; names that begin with a dot are left alone.
What is done with them is said in `tfae.data.encoded`.
"""

import concurrent.futures
import hashlib
import os
import pathlib

import numpy as np

from tfae.data import idx, picture, stored
from tfae.data.encoded import EncodedStore
from tfae.errors import InputError

PARTS = ("train", "test")
_READERS = 8  # threads: they wait for the disk, and hashing frees the interpreter
_AT_ONCE = 1000


_STATE = np.dtype([("size", np.int64), ("time", np.int64), ("inode", np.uint64)])


class Files(EncodedStore):
  """A `tfae.data.stored.Store` of files below a folder, an image each."""

  whole_files = True

  def __init__(self, root, names, states, sha256):
    """Takes what `read` found.

    Args:
      root: the folder, str.
      names: list of str, the files' paths within it.
      states: `_STATE` [n], their `tfae.data.stored.state` before they were read.
      sha256: uint8 [n, 32], of their contents.
    """
    super().__init__(sha256)
    self._root, self._names, self._states = root, names, states

  def name(self, row):
    """As `Store.name`: the path."""
    return os.path.join(self._root, self._names[row])

  def label(self, row):
    """As `EncodedStore.label`: the path within the folder."""
    return self._names[row]

  def size(self, row):
    """As `EncodedStore.size`."""
    return int(self._states["size"][row])

  def fetch(self, rows):
    """As `Store.fetch`: paths as bytes, for a file's name need not be valid UTF-8."""
    return np.array([os.fsencode(self.name(row)) for row in rows], object)

  def check_unchanged(self, rows):
    """As `Store.check_unchanged`."""
    for row in rows:
      if stored.state(self.name(row)) != self._states[row].item():
        raise stored.changed(self.name(row))


def _read_file(path):
  """Returns (state, sha256, `picture.Header`) of a file; raises InputError if it is not taken."""
  state = stored.state(path)  # first: a change while it is read is seen later
  try:
    with open(path, "rb") as stream:
      data = idx.read_up_to(stream, picture.MOST_BYTES + 1)
  except OSError as error:
    raise InputError(f"{path}: can't be read: {error.strerror}.") from error
  try:
    header = picture.check(data)
  except picture.Bad as error:
    raise InputError(f"{path}: {error}.") from None
  return state or (-1, 0, 0), hashlib.sha256(data).digest(), header


def _files(root, names):
  """Returns (`Files`, Header of the last) of files that are looked at one and all."""
  states, sums = np.empty(len(names), _STATE), np.empty((len(names), 32), np.uint8)
  with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
    for start in range(0, len(names), _AT_ONCE):  # a future is larger than what it finds
      some = pool.map(_read_file, (os.path.join(root, name)
                                   for name in names[start:start + _AT_ONCE]))
      for row, (state, digest, header) in enumerate(some, start):
        states[row], sums[row] = state, np.frombuffer(digest, np.uint8)
  return Files(root, names, states, sums), header


def read_one(path, size, channels):
  """Checks one file as `read` does those of a folder; indexing decodes it as training would.

  Args:
    path: the file.
    size, channels: as `read`'s.

  Returns:
    (`tfae.data.stored.StoredImages` of that one file, its `tfae.data.picture.Header`).

  Raises:
    InputError: a file that can't be read, or is no image that is taken.
  """
  root, name = os.path.split(str(path))
  files, header = _files(root, [name])
  return stored.StoredImages(files, (*size, channels)), header


def read(data_dir, size, channels):
  """Lists a folder and checks every file in it, without decoding and without TensorFlow.

  Reads each file once, for its checksum.

  Args:
    data_dir: the folder.
    size: (height, width) that images are brought to.
    channels: 1 or 3.

  Returns:
    [(StoredImages, labels) of train, the same of test], or [those of all, None] without
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
  names, labels = [], []
  for part, classes in zip(PARTS, parts):
    found = _part(root, f"{part}/" if len(parts) == 2 else "", classes)
    names.append(found[0])
    labels.append(found[1])
  files, _ = _files(str(root), sum(names, []))
  rows = np.split(np.arange(len(files)), np.cumsum(list(map(len, names)))[:-1])
  result = [(stored.StoredImages(files, (*size, channels), some), numbers)
            for some, numbers in zip(rows, labels)]
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


def _part(root, prefix, classes):
  """Returns (names, labels) of the part in `root / prefix`; labels: array, or None: no classes."""
  names, labels = [], []
  for label, within in enumerate([prefix] if classes is None else
                                 [f"{prefix}{name}/" for name in classes]):
    files, folders = _entries(root / within)
    if folders or not files:
      what = f"the folder {folders[0]!r}" if folders else "nothing"
      raise InputError(f"{root / within}: found {what}; expected PNG or JPEG files.")
    names += [within + name for name in files]
    labels += [label] * len(files)
  kind = np.uint8 if classes is None or len(classes) <= 256 else np.int32
  return names, None if classes is None else np.array(labels, kind)


def _entries(folder):
  """Returns the sorted names of (files, folders) in a folder; hidden ones are left out."""
  try:
    with os.scandir(folder) as entries:
      found = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
  except OSError as error:
    raise InputError(f"{folder}: can't be listed: {error.strerror}. Expected a folder of PNG or "
                     "JPEG files.") from error
  return [sorted(name for name, is_folder in found if is_folder == kind) for kind in (False, True)]
