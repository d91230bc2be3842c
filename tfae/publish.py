"""Publishing a verified model into the next integer version of a folder, and retiring old ones.

Readers (TensorFlow Serving, a program that takes the highest number) never see half a version,
and no number ever means another model. A version that is retired is gone in one step: who listed
the folder before and opens the version after finds no such file, and lists again. With `keep` that
takes `keep` publications between the listing and the end of the loading: 2 or more leave a reader
the time of a whole export, 1 leaves it none.
Linux: relies on flock, which the kernel releases when its owner dies, however it dies.
"""

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import re
import secrets
import shutil

from tfae import files, labels
from tfae.errors import InputError, check_int

_log = logging.getLogger(__name__)

_VERSION = re.compile(r"[0-9]+")
_TEMPORARY = re.compile(r"\.tmp-[0-9]+-[0-9a-f]{8}")


def publish(export_dir, write_fn, verify_fn, keep=None):
  """Publishes what `write_fn(folder)` writes as export_dir/<highest version + 1>.

  It is written into export_dir/.tmp-<pid>-<random>, checked by `verify_fn(folder)`, which raises
  if it is bad, brought to the disk (fsync) and only then renamed. If either function raises,
  nothing is published and nothing is left behind. `keep` retires all but the newest `keep`
  versions afterwards. Returns the pathlib.Path of the version. Raises InputError for an
  export_dir that cannot be made or written or is full (an OSError of `write_fn` counts as that),
  and for versions that cannot be retired; otherwise whatever the two functions raise.
  """
  if keep is not None:
    check_int("keep", keep, 1)
  export_dir = pathlib.Path(export_dir)
  with _as_input_error(export_dir):
    export_dir.mkdir(parents=True, exist_ok=True)
    with locked(export_dir):
      folder = _temporary(export_dir)
      # mkdir, not mkdtemp: the server that reads the version may be another user.
      folder.mkdir()
      owner = os.open(folder, os.O_RDONLY)
      fcntl.flock(owner, fcntl.LOCK_EX)
  try:
    with _as_input_error(export_dir):
      write_fn(folder)
    verify_fn(folder)
    with _as_input_error(export_dir):
      _fsync_tree(folder)
      version = _rename_to_next(folder, export_dir)
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise
  finally:
    os.close(owner)
  files.sync(export_dir)
  files.sync(export_dir.absolute().parent)
  if keep is not None:
    try:
      retire(export_dir, keep)
    except InputError as error:
      raise InputError(f"{version} is published, but keep={keep} failed: {error}") from error
  return version


def retire(export_dir, keep):
  """Removes all but the `keep` highest versions and those that have a label (`tfae.labels`).

  `keep` is at least 1: the newest is never removed. A version leaves its name in one step, then
  its files go. Returns the removed version numbers.
  Raises InputError for keep < 1, an export_dir that is missing or cannot be written, and a damaged
  serving.json, of which nobody knows what it protects.
  """
  check_int("keep", keep, 1)
  export_dir = pathlib.Path(export_dir)
  with _as_input_error(export_dir), locked(export_dir):
    serving = labels.read(export_dir)
    labelled = set(serving.labels.values()) if serving else set()
    retired = [(number, name) for number, name in _versions(export_dir)[:-keep]
               if number not in labelled]
    for _, name in retired:
      remove(export_dir, name)
  return [number for number, _ in retired]


def remove(export_dir, name):
  """Removes the version called `name`, which leaves its name first; for who holds the lock."""
  folder = _temporary(export_dir)
  os.rename(export_dir / name, folder)
  files.remove(folder)


def versions(export_dir):
  """Returns {number: [names]}, ascending: '7' and '007' are both version 7 to a server.

  Raises InputError for an export_dir that is missing or can't be read.
  """
  found = {}
  with _as_input_error(export_dir):
    for number, name in _versions(export_dir):
      found.setdefault(number, []).append(name)
  return found


def _versions(export_dir):
  """Sorted [(number, name)]."""
  return sorted((int(name), name) for name in os.listdir(export_dir)
                if _VERSION.fullmatch(name))


def _temporary(export_dir):
  return export_dir / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"


def _rename_to_next(folder, export_dir):
  while True:
    number = max([number for number, _ in _versions(export_dir)], default=0) + 1
    try:
      os.rename(folder, export_dir / str(number))
      return export_dir / str(number)
    except OSError:
      # Another publisher took the number between the listing and the rename.
      if not (export_dir / str(number)).exists():
        raise


@contextlib.contextmanager
def locked(export_dir):
  """Holds the folder's lock, after clearing what publishers left that are gone.

  Held only while names and labels change, never while a model is written. Raises OSError for a
  folder that is missing or can't be read.
  """
  descriptor = os.open(export_dir, os.O_RDONLY | os.O_DIRECTORY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _clear_stale(pathlib.Path(export_dir))
    yield
  finally:
    os.close(descriptor)


def _clear_stale(export_dir):
  """Removes temporaries whose publisher is gone; a live one holds the lock on its folder."""
  for name in filter(_TEMPORARY.fullmatch, os.listdir(export_dir)):
    path = export_dir / name
    try:
      if path.is_symlink() or not _is_locked(path):
        files.remove(path)
    except OSError as error:
      # Another user's, say. It is in nobody's way, so it must not end all publishing.
      _log.warning("%s: left by a publisher that is gone, can't be removed: %s", path, error)


def _is_locked(path):
  descriptor = os.open(path, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return False
  except BlockingIOError:
    return True
  finally:
    os.close(descriptor)


@contextlib.contextmanager
def _as_input_error(export_dir):
  try:
    yield
  except OSError as error:
    where = f" ({error.filename})" if error.filename else ""
    what = ("nothing was published, what is there stays as it was. Make room, or choose another "
            "folder, and export again." if error.errno in (errno.ENOSPC, errno.EDQUOT) else
            "expected a folder that exists or can be made, and can be written.")
    raise InputError(
        f"export_dir={str(export_dir)!r}: {error.strerror or error}{where}; {what}") from error


def _fsync_tree(folder):
  for path, _, names in os.walk(folder):
    for name in names:
      files.sync(os.path.join(path, name))
    files.sync(path)
