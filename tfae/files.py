"""Files that are whole or not there, and a disk that fails in one clear line."""

import contextlib
import errno
import os
import pathlib
import re
import shutil

from tfae.errors import InputError

# What TensorFlow puts around its reasons.
_NODES = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]( name: ?)?")
_TEMPORARY = re.compile(r"\.(.+\.)?tmp-[0-9]+")


def reached(point):
  """Does nothing: fault tests put a kill or an error in its place at a named point of a save."""


@contextlib.contextmanager
def writing(path, errors=OSError):
  """Turns what fails inside the block into an InputError that names `path` and the way out.

  Args:
    path: the file or folder that is written, as the user knows it.
    errors: exception classes that mean the disk: OSError, for TensorFlow's files OpError too.
  """
  try:
    yield
  except errors as error:
    said = _NODES.sub("", str(getattr(error, "strerror", None) or error)).strip()
    lines = said.splitlines() or [repr(error)]
    full = next((os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT)
                 if os.strerror(n) in str(error)), None)
    if full is None:
      raise InputError(f"{path}: can't be written ({lines[0][:200]}). Make it writable, or use "
                       "another folder; what was written before is whole.") from error
    raise InputError(f"{path}: can't be written ({full}, {_free(path):,} bytes free). Free some "
                     "space there, then give the same command again; what was written before is "
                     "whole.") from error


def _free(path):
  """Returns the bytes that are free where `path` is, or would be."""
  path = pathlib.Path(path).absolute()
  return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free


def sync(path):
  """Makes a file's bytes, or a folder's entries, survive a power cut."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def write(path, content):
  """Writes bytes or text under a temporary name, syncs, and renames: all of it or nothing.

  Raises:
    InputError: a full disk, a missing right, a folder of that name.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
  with writing(path):
    try:
      temporary.write_bytes(content.encode() if isinstance(content, str) else content)
      sync(temporary)
      reached(f"before {path.name}")
      temporary.replace(path)
      reached(f"after {path.name}")
    finally:
      temporary.unlink(missing_ok=True)
    sync(path.parent)


def append(file, content):
  """Adds bytes to the end of a file that was opened without a buffer: all of them or none."""
  end = file.seek(0, os.SEEK_END)
  try:
    while content:  # a disk that is nearly full takes a part
      content = content[file.write(content):]
  except OSError:
    file.truncate(end)
    raise


def temporary_folder(directory):
  """Makes and returns a folder in `directory` that `clear_stale` knows."""
  folder = pathlib.Path(directory) / f".tmp-{os.getpid()}"
  folder.mkdir()
  return folder


def clear_stale(directory):
  """Removes the temporaries that killed writers left; only for the one who may write there."""
  directory = pathlib.Path(directory)
  for name in os.listdir(directory) if directory.is_dir() else []:
    if _TEMPORARY.fullmatch(name):
      remove(directory / name)


def remove(path):
  """Removes a file, a link (what it points to stays), or a folder with all that it holds."""
  path = pathlib.Path(path)
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink()
