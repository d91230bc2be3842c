"""A folder of TFRecord shards, of tf.train.Examples that hold an encoded image each.

    DIR/*train*.tfrecord*, DIR/*test*.tfrecord*    in two parts; of several shards by their names
    DIR/*.tfrecord*                                in one part

A record has the feature `image`, the bytes of one PNG or JPEG file, and in all records of a part or
in none `label`, an integer from 0 up; other features are left alone. Where each image lies is found
out once, when the run begins; then it is read from there alone, whatever the order. So shards must
not be compressed. What is done with an image is said in `tfae.data.encoded`.
"""

import array
import collections
import hashlib
import os
import pathlib
import struct
import threading

import numpy as np
import tqdm

from tfae.data import example, picture, stored
from tfae.data.crc32c import masked
from tfae.data.encoded import EncodedStore
from tfae.errors import InputError

PARTS = ("train", "test")
_MOST_OPEN = 128  # shards: a process may have 1,024 files open on most systems
_BUFFER = 2**20
_MOST_LABEL = 2**31 - 1
_SECONDS_BEFORE_PROGRESS = 3


class Records(EncodedStore):
  """A `tfae.data.stored.Store` of images within shards."""

  def __init__(self, shards, states, shard, number, offset, size, sha256):
    """Takes what `read` found.

    Args:
      shards: list of paths, str.
      states: list of their `tfae.data.stored.state`s before they were read.
      shard: integers [n], in which of them an image is.
      number: integers [n], of the record in its shard, from 0.
      offset, size: integers [n], where in the shard the encoded image is, in bytes.
      sha256: uint8 [n, 32], of the encoded image.
    """
    super().__init__(sha256)
    self._shards, self._states = shards, states
    self._shard, self._number, self._offset, self._size = shard, number, offset, size
    self._open, self._lock = collections.OrderedDict(), threading.Lock()

  def __del__(self):
    for descriptor in self._open.values():
      os.close(descriptor)

  def name(self, row):
    """As `Store.name`: the shard and the record's number."""
    return _name(self._shards[self._shard[row]], self._number[row])

  def label(self, row):
    """As `EncodedStore.label`: nothing, for an image may lie in any shard."""
    return ""

  def size(self, row):
    """As `EncodedStore.size`."""
    return int(self._size[row])

  def fetch(self, rows):
    """As `Store.fetch`: the encoded images."""
    rows = np.asarray(rows)
    found = np.empty(len(rows), object)
    # In the order of the disk.
    for place in np.lexsort((self._offset[rows], self._shard[rows])):
      row = rows[place]
      shard, size = int(self._shard[row]), int(self._size[row])
      with self._lock:  # the descriptor must not be closed meanwhile
        data = os.pread(self._descriptor(shard), size, int(self._offset[row]))
      if len(data) < size:
        raise OSError(0, "the file ends before it")
      found[place] = data
    return found

  def check_unchanged(self, rows):
    """As `Store.check_unchanged`."""
    for shard in np.unique(self._shard[rows]):
      if stored.state(self._shards[shard]) != self._states[shard]:
        raise stored.changed(self._shards[shard])

  def _descriptor(self, shard):
    if shard in self._open:
      self._open.move_to_end(shard)
    else:
      if len(self._open) >= _MOST_OPEN:
        os.close(self._open.popitem(last=False)[1])
      self._open[shard] = os.open(self._shards[shard], os.O_RDONLY | os.O_CLOEXEC)
    return self._open[shard]


def read(data_dir, size, channels):
  """Finds every image in a folder's shards, without decoding and without TensorFlow.

  Reads each shard once, and looks at both checksums of each record. That takes a while for many:
  it says how far it is.

  Args:
    data_dir: the folder.
    size: (height, width) that images are brought to.
    channels: 1 or 3.

  Returns:
    [(`tfae.data.stored.StoredImages`, labels) of train, the same of test], or [those of all, None]
    without a shard whose name has train or test in it. Labels are uint8, int32 for those above 255,
    [n], or None.

  Raises:
    InputError: a folder without shards, or with names that tell only of some what they are for; a
      damaged record, by shard and number; one that is no tf.train.Example, has no image that is
      taken, or no label although others have one.
  """
  root = pathlib.Path(data_dir)
  parts = _parts(root)
  finder = _Finder()
  shards = [str(root / name) for names in parts for name in names]
  total = sum(os.path.getsize(path) for path in shards if os.path.isfile(path))
  ends, labels = [], []
  with tqdm.tqdm(total=total, unit="B", unit_scale=True, desc="looking for images",
                 delay=_SECONDS_BEFORE_PROGRESS, leave=False, mininterval=1) as bar:
    for names in parts:
      labels.append(finder.part([str(root / name) for name in names], bar))
      ends.append(len(finder.offset))
  store = finder.store()
  rows = np.split(np.arange(len(store)), ends[:-1])
  result = [(stored.StoredImages(store, (*size, channels), some), numbers)
            for some, numbers in zip(rows, labels)]
  return result if len(result) == 2 else [*result, None]


def _parts(root):
  """Returns the sorted names of shards of [train, test], or [all]."""
  try:
    names = sorted(os.listdir(root))
  except OSError as error:
    raise InputError(f"{root}: can't be listed: {error.strerror}. Expected a folder of TFRecord "
                     "files.") from error
  names = [name for name in names if ".tfrecord" in name and not name.startswith(".")]
  if not names:
    raise InputError(f"{root}: has no TFRecord file; expected *train*.tfrecord* and "
                     "*test*.tfrecord*, or *.tfrecord* with data.fractions.")
  kinds = {name: [part for part in PARTS if part in name] for name in names}
  if not any(kinds.values()):
    return [names]
  for name, found in kinds.items():
    if len(found) != 1:
      raise InputError(f"{root / name}: has {'both train and test' if found else 'neither'} in its "
                       "name; expected one of train and test, as other shards here have. Rename "
                       "it.")
  parts = [[name for name in names if kinds[name] == [part]] for part in PARTS]
  for part, found in zip(PARTS, parts):
    if not found:
      raise InputError(f"{root}: has no *{part}*.tfrecord*, only shards such as {names[0]!r}. Add "
                       "some, or rename all so that data.fractions can split them.")
  return parts


class _Finder:
  """What has been found so far: in arrays, for there may be millions."""

  def __init__(self):
    self.shards, self.states = [], []
    self.shard, self.number = array.array("i"), array.array("q")
    self.offset, self.size = array.array("q"), array.array("q")
    self.sha256 = bytearray()

  def store(self):
    """Returns the `Records`."""
    return Records(self.shards, self.states, *map(np.array, (self.shard, self.number, self.offset,
                                                             self.size)),
                   np.frombuffer(self.sha256, np.uint8).reshape(-1, 32))

  def part(self, paths, bar):
    """Goes through the shards of a part; returns its labels, or None."""
    labels, has_label = array.array("q"), None
    for path in paths:
      self.states.append(stored.state(path))  # first: a change while it is read is seen later
      self.shards.append(path)
      before = len(self.offset)
      for number, offset, data in _records(path):
        image, label = _look_at(_name(path, number), data)
        if has_label is None:
          has_label, first = label is not None, (path, number)
        if has_label != (label is not None):
          have, lack = ((path, number), first) if label is not None else (first, (path, number))
          raise InputError(f"{_name(*lack)}: has no feature 'label', {_name(*have)} has one. "
                           "Expected one in each, or in none.")
        if label is not None:
          labels.append(label)
        self.shard.append(len(self.shards) - 1)
        self.number.append(number)
        # Wherever these bytes are found in the record, they are the image.
        self.offset.append(offset + data.index(image))
        self.size.append(len(image))
        self.sha256 += hashlib.sha256(image).digest()
        bar.update(len(data) + 16)
      if len(self.offset) == before:  # as when its writing was interrupted
        raise InputError(f"{path}: has no record; expected at least one. Write it again, or remove "
                         "it.")
    found = np.array(labels, np.int32)
    return None if not has_label else found.astype(np.uint8) if found.max() <= 255 else found


def _name(path, number):
  return f"{path}: record {number}"


def _records(path):
  """Yields (number from 0, offset of its data, its data) of each record of a shard.

  Source: tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
  """
  try:
    with open(path, "rb", buffering=_BUFFER) as stream:
      end = os.fstat(stream.fileno()).st_size
      at = number = 0
      while at < end:
        name = f"{_name(path, number)} (at byte {at})"
        head = stream.read(12)
        if number == 0 and head[:2] == b"\x1f\x8b":
          raise InputError(f"{path}: is compressed (gzip); its records can't be read in any order. "
                           "Unpack it: the images in it are compressed already.")
        if len(head) == 12 and struct.unpack_from("<I", head, 8)[0] != masked(head[:8]):
          raise InputError(f"{name}: wrong checksum of its length: the file is damaged, compressed "
                           "or no TFRecord file. Write or fetch it again.")
        size = struct.unpack_from("<Q", head)[0] if len(head) == 12 else 0
        if len(head) < 12 or at + size + 16 > end:  # before anything is allocated
          raise InputError(f"{name}: truncated: the file ends at byte {end}, within it. Write or "
                           "fetch it again.")
        data, tail = stream.read(size), stream.read(4)
        if len(data) < size or len(tail) < 4:
          raise InputError(f"{name}: truncated while it was read. Start again once the file is "
                           "complete.")
        if struct.unpack("<I", tail)[0] != masked(data):
          raise InputError(f"{name}: wrong checksum of its data: damaged. Write or fetch it again.")
        yield number, at + 12, data
        at += size + 16
        number += 1
  except OSError as error:
    raise InputError(f"{path}: can't be read: {error.strerror}.") from error


def _look_at(name, data):
  """Returns (encoded image, label or None) of a record; raises InputError if it is not taken."""
  try:
    features = example.features(data)
  except ValueError:
    raise InputError(f"{name}: is no tf.train.Example. Write Examples with the feature 'image'."
                     ) from None
  image = features.get("image")
  if image is None:
    raise InputError(f"{name}: has no feature 'image', but {sorted(features)[:20]}. Expected "
                     "'image', the bytes of a PNG or JPEG file. Rename it.")
  if len(image) != 1 or not isinstance(image[0], bytes):
    raise InputError(f"{name}: feature 'image' is a list of {len(image)} "
                     f"{type(image[0]).__name__ if image else 'values'}; expected one bytes value, "
                     "a PNG or JPEG file.")
  try:
    picture.check(image[0])
  except picture.Bad as error:
    raise InputError(f"{name}: feature 'image': {error}.") from None
  label = features.get("label")
  if label is None:
    return image[0], None
  if len(label) != 1 or not isinstance(label[0], int) or not 0 <= label[0] <= _MOST_LABEL:
    raise InputError(f"{name}: feature 'label' is {label[:5]}; expected one integer from 0 to "
                     f"{_MOST_LABEL}.")
  return image[0], label[0]
