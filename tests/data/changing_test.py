"""Files that change while they are read: the old content whole, the new one, or a clear error."""

import gzip
import hashlib
import os
import shutil
import struct

import numpy as np
import pytest

from tfae.data import datasets, fetchers, idx, mnist, sources
from tfae.errors import InputError


def idx_bytes(array):
  return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) \
      + array.tobytes()


def content(fill):
  """{name: bytes} of a data set all of whose pixels and labels are `fill`."""
  full = lambda *shape: idx_bytes(np.full(shape, fill, np.uint8))
  return {"train-images-idx3-ubyte": full(6, 4, 3), "train-labels-idx1-ubyte": full(6),
          "t10k-images-idx3-ubyte": full(2, 4, 3), "t10k-labels-idx1-ubyte": full(2)}


def put(folder, fill):
  folder.mkdir(exist_ok=True)
  for name, data in content(fill).items():
    (folder / name).write_bytes(data)


def assert_all(data, fill):
  for split, count in ((data.train, 6), (data.test, 2)):
    assert len(split) == len(split.labels) == count
    assert np.all(split.images == fill) and np.all(split.labels == fill)


@pytest.mark.parametrize("where", ["data_dir", "cache", "fetched"])
def test_what_was_verified_is_what_is_used_even_if_the_files_are_swapped_right_after(
    tmp_path, monkeypatch, where):
  keys = ("train_images", "train_labels", "test_images", "test_labels")
  files = {key: sources.File(name, hashlib.sha256(data).hexdigest(), len(data))
           for key, (name, data) in zip(keys, content(7).items())}
  folder = tmp_path / "mnist"
  if where != "fetched":
    put(folder, 7)
  monkeypatch.setenv("TFAE_CACHE", str(tmp_path))
  monkeypatch.setattr(mnist, "FILES", files)

  def mirror(_):
    def fetch(missing, deliver, scratch):
      assert where == "fetched"
      put(tmp_path / "web", 7)
      for file in missing:
        with open(tmp_path / "web" / file.name, "rb") as stream:
          deliver(file, stream)
    return fetch

  locate = sources.locate

  def locate_and_swap(*arguments):
    found = locate(*arguments)
    assert (folder / "train-images-idx3-ubyte").read_bytes() == content(7)[
        "train-images-idx3-ubyte"]
    put(folder, 8)  # valid as a file, but not what was verified
    return found

  monkeypatch.setattr(fetchers, "mirror", mirror)
  monkeypatch.setattr(sources, "locate", locate_and_swap)
  assert_all(datasets.load("mnist", folder if where == "data_dir" else None), 7)


def replace(path, new):
  path.with_name("new").write_bytes(new)
  path.with_name("new").rename(path)


def overwrite(path, new):
  with open(path, "r+b") as file:
    file.write(new)


def overwrite_in_secret(path, new):
  """As cp -p and rsync --inplace do: the time of the file says that nothing happened."""
  before = path.stat()
  overwrite(path, new)
  os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "replaced": replace,
    "overwritten": overwrite,
    "overwritten in secret": overwrite_in_secret,
    "truncated": lambda path, new: os.truncate(path, 20),
    "extended": lambda path, new: path.open("ab").write(b"\0"),
    "removed": lambda path, new: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("which", list(content(0)))
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("instant", ["within", "after"])
def test_a_file_that_changes_while_the_data_set_is_read_is_an_error_that_names_it(
    tmp_path, monkeypatch, change, which, pack, instant):
  for name, data in content(7).items():
    (tmp_path / name).write_bytes(pack(data))
    os.utime(tmp_path / name, (1, 1))  # so that every later write shows
  read_up_to = idx.read_up_to
  order = list(content(0))
  left = [order.index(which)]

  def read(stream, size):
    # Reads come in this order; the file in question changes in the middle of its own, or after it.
    left[0] -= 1
    if left[0] != -1:
      return read_up_to(stream, size)
    data = read_up_to(stream, size // 2 if instant == "within" else size)
    CHANGES[change](tmp_path / which, pack(content(8)[which]))
    return data + read_up_to(stream, size - len(data))

  monkeypatch.setattr(idx, "read_up_to", read)
  with pytest.raises(InputError, match=f"{tmp_path / which}: changed while it was read"):
    datasets.load("idx", tmp_path)
  assert left[0] < 0
  monkeypatch.undo()
  # And what is complete then is read.
  shutil.rmtree(tmp_path)
  put(tmp_path, 8)
  assert_all(datasets.load("idx", tmp_path), 8)


def test_an_interrupt_stays_one_whatever_changed(tmp_path):
  put(tmp_path, 7)
  path = tmp_path / "train-images-idx3-ubyte"
  with pytest.raises(KeyboardInterrupt), idx.unchanged([path]):
    path.write_bytes(b"")
    raise KeyboardInterrupt
