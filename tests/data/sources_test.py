"""tfae.data.sources on small files and injected fetchers."""

import gzip
import hashlib
import io
import logging
import multiprocessing
import os
import signal
import socket

import pytest

from tfae.data import sources
from tfae.data.fetchers import FetchError
from tfae.errors import InputError

CONTENT = {"train_images": b"images" * 700_000, "train_labels": b"labels"}
NAMES = {"train_images": "train-images-idx3-ubyte", "train_labels": "train-labels-idx1-ubyte"}
FILES = {key: sources.File(NAMES[key], hashlib.sha256(data).hexdigest(), len(data))
         for key, data in CONTENT.items()}
BY_NAME = {NAMES[key]: data for key, data in CONTENT.items()}


class Fetcher:
  """Delivers CONTENT, or `instead` for every file; counts the files that it was asked for."""

  def __init__(self, instead=None):
    self.instead = instead
    self.asked = []

  def __call__(self, files, deliver, scratch):
    self.asked += [file.name for file in files]
    for file in files:
      deliver(file, io.BytesIO(BY_NAME[file.name] if self.instead is None else self.instead))


def broken(message):
  def fetch(files, deliver, scratch):
    raise FetchError(message)
  return fetch


def assert_content(found):
  """What is given out is the content, and so is what lies at the path that is given with it."""
  assert set(found) == set(CONTENT)
  for key, content in found.items():
    data = content.path.read_bytes()
    assert content.data == CONTENT[key]
    assert (gzip.decompress(data) if content.path.suffix == ".gz" else data) == CONTENT[key]


def names_in(folder):
  return sorted(os.listdir(folder))


def fill(folder):
  folder.mkdir(parents=True, exist_ok=True)
  for name, data in BY_NAME.items():
    (folder / name).write_bytes(data)


@pytest.mark.parametrize("rename", [
    lambda name: name,
    lambda name: name + ".gz",
    lambda name: name.replace("-idx", ".idx"),
    lambda name: name.replace("-idx", ".idx") + ".gz",
])
def test_the_data_dir_is_used_first_under_every_usual_name(tmp_path, rename):
  for name, data in BY_NAME.items():
    name = rename(name)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
  found = sources.locate(FILES, str(tmp_path), tmp_path / "cache", {"never": broken("called")})
  assert_content(found)
  assert {content.path.parent for content in found.values()} == {tmp_path}
  assert not (tmp_path / "cache").exists()


def test_a_wrong_file_in_the_data_dir_is_an_error_with_both_sums(tmp_path):
  fill(tmp_path)
  wrong = tmp_path / NAMES["train_labels"]
  wrong.write_bytes(b"label!")
  with pytest.raises(InputError) as caught:
    sources.locate(FILES, tmp_path, tmp_path / "cache", {"good": Fetcher()})
  for part in (str(wrong), hashlib.sha256(b"label!").hexdigest(), FILES["train_labels"].sha256):
    assert part in str(caught.value)


def test_a_data_dir_that_is_no_folder_is_an_error(tmp_path):
  (tmp_path / "file").write_bytes(b"")
  for data_dir in (tmp_path / "nowhere", tmp_path / "file"):
    with pytest.raises(InputError, match=f"data_dir='{data_dir}'"):
      sources.locate(FILES, data_dir, tmp_path / "cache", {"good": Fetcher()})


def test_a_file_that_the_data_dir_lacks_is_fetched_alone_and_the_log_says_so(tmp_path, caplog):
  fill(tmp_path / "data")
  (tmp_path / "data" / NAMES["train_labels"]).unlink()
  fetcher = Fetcher()
  with caplog.at_level(logging.INFO):
    paths = sources.locate(FILES, tmp_path / "data", tmp_path / "cache", {"good": fetcher})
  assert_content(paths)
  assert fetcher.asked == [NAMES["train_labels"]]
  assert f"{NAMES['train_labels']} is not in {tmp_path / 'data'}" in caplog.text
  assert "Fetching train-labels-idx1-ubyte" in caplog.text


def test_a_fetch_fills_the_cache_and_the_second_time_nothing_is_fetched(tmp_path):
  cache = tmp_path / "deep" / "cache"
  assert_content(sources.locate(FILES, None, cache, {"good": Fetcher()}))
  assert names_in(cache) == sorted(BY_NAME)
  assert_content(sources.locate(FILES, None, cache, {"never": broken("called")}))


@pytest.mark.parametrize("damage", [b"", b"images", b"x" * 4_200_000, b"images" * 700_000 + b"x",
                                    b"\x1f\x8bimages"])
def test_a_damaged_cached_file_is_fetched_again_with_a_warning(tmp_path, caplog, damage):
  fill(tmp_path)
  (tmp_path / NAMES["train_images"]).write_bytes(damage)
  fetcher = Fetcher()
  assert_content(sources.locate(FILES, None, tmp_path, {"good": fetcher}))
  assert fetcher.asked == [NAMES["train_images"]]
  warning = next(r for r in caplog.records if r.levelno == logging.WARNING).getMessage()
  assert "damaged" in warning and str(tmp_path / NAMES["train_images"]) in warning


def test_the_next_source_is_asked_only_for_what_the_first_did_not_deliver(tmp_path):
  def first(files, deliver, scratch):
    deliver(files[0], io.BytesIO(BY_NAME[files[0].name]))
    raise TimeoutError("timed out")

  second = Fetcher()
  assert_content(sources.locate(FILES, None, tmp_path, {"first": first, "second": second}))
  assert second.asked == [NAMES["train_labels"]]


def test_a_failed_fetch_lists_each_source_with_its_reason_and_the_ways_out(tmp_path):
  fetchers = {"one": broken("no route"), "two": Fetcher(instead=b"<html>sorry</html>"),
              "three": lambda files, deliver, scratch: None}
  with pytest.raises(InputError) as caught:
    sources.locate(FILES, None, tmp_path, fetchers)
  message = str(caught.value)
  assert "\n" not in message
  for part in ("one: no route", hashlib.sha256(b"<html>sorry</html>").hexdigest(),
               FILES["train_images"].sha256, "three: did not deliver train-images", "TFAE_CACHE",
               "--data_dir", "npm", "https"):
    assert part in message
  assert names_in(tmp_path) == []


def test_a_source_that_gives_a_little_at_a_time_is_read_to_its_end(tmp_path):
  class Slow(io.BytesIO):
    def read(self, size=-1):
      return super().read(min(size, 999))

  def fetch(files, deliver, scratch):
    for file in files:
      deliver(file, Slow(BY_NAME[file.name]))

  assert_content(sources.locate(FILES, None, tmp_path, {"slow": fetch}))


def test_a_source_without_end_is_stopped_past_the_known_size(tmp_path):
  class Endless:
    given = 0

    def read(self, n):
      self.given += n
      return bytes(n)

  endless = Endless()
  with pytest.raises(InputError, match=f"more than {len(CONTENT['train_images'])} bytes"):
    sources.locate(FILES, None, tmp_path,
                   {"endless": lambda files, deliver, scratch: deliver(files[0], endless)})
  assert endless.given == len(CONTENT["train_images"]) + 1  # and none of it went to the disk
  assert names_in(tmp_path) == []


def test_a_cache_that_cannot_be_made_is_an_error_that_names_tfae_cache(tmp_path):
  (tmp_path / "file").write_bytes(b"")
  with pytest.raises(InputError, match="TFAE_CACHE"):
    sources.locate(FILES, None, tmp_path / "file" / "cache", {"good": Fetcher()})


def test_a_scratch_folder_is_removed_after_success_and_failure(tmp_path):
  def fetch(files, deliver, scratch):
    scratch.mkdir()
    (scratch / "package.tgz").write_bytes(b"x")
    Fetcher(instead)(files, deliver, scratch)

  for instead in (b"wrong", None):
    try:
      sources.locate(FILES, None, tmp_path, {"scratchy": fetch})
    except InputError:
      pass
    assert not [name for name in names_in(tmp_path) if name.endswith(".tmp")]


def locate_together(cache, barrier, results, dies=False):
  """Fetches; the first file gets its name only when both processes have written theirs."""
  replace = os.replace

  def meet_and_replace(*paths):
    os.replace = replace
    barrier.wait()
    if dies:
      os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

  os.replace = meet_and_replace
  results.put(sources.locate(FILES, None, cache, {"good": Fetcher()}))


def start(target, *args):
  process = multiprocessing.get_context("spawn").Process(target=target, args=args)
  process.start()
  return process


def test_two_processes_that_fetch_at_once_both_succeed(tmp_path):
  context = multiprocessing.get_context("spawn")
  barrier, results = context.Barrier(2, timeout=300), context.Queue()
  processes = [start(locate_together, tmp_path, barrier, results) for _ in range(2)]
  for _ in processes:
    assert_content(results.get(timeout=300))
  for process in processes:
    process.join(300)
    assert process.exitcode == 0
  assert names_in(tmp_path) == sorted(BY_NAME)


def test_a_killed_fetch_leaves_the_other_one_alone_and_a_temporary_that_a_later_run_removes(
    tmp_path):
  context = multiprocessing.get_context("spawn")
  barrier, results = context.Barrier(2, timeout=300), context.Queue()
  victim = start(locate_together, tmp_path, barrier, results, True)
  survivor = start(locate_together, tmp_path, barrier, results)
  assert_content(results.get(timeout=300))
  victim.join(300)
  survivor.join(300)
  assert (victim.exitcode, survivor.exitcode) == (-signal.SIGKILL, 0)
  left = set(names_in(tmp_path)) - set(BY_NAME)
  assert len(left) == 1 and min(left).startswith(".train-images") and min(left).endswith(".tmp")
  assert_content(sources.locate(FILES, None, tmp_path, {"good": Fetcher()}))
  assert names_in(tmp_path) == sorted(BY_NAME)


def test_temporaries_of_the_living_and_of_other_hosts_stay_until_they_are_a_day_old(tmp_path):
  fill(tmp_path)
  mine = tmp_path / f".a~{socket.gethostname()}~{os.getpid()}~00.tmp"
  elsewhere = tmp_path / ".b~another-host~1~00.tmp"
  for path in (mine, elsewhere):
    path.write_bytes(b"")
  sources.locate(FILES, None, tmp_path, {})
  assert mine.exists() and elsewhere.exists()
  for path in (mine, elsewhere):
    os.utime(path, (0, 0))
  sources.locate(FILES, None, tmp_path, {})
  assert not mine.exists() and not elsewhere.exists()


def test_the_cache_is_tfae_cache_then_xdg_then_home(monkeypatch):
  monkeypatch.setenv("HOME", "/h")
  monkeypatch.setenv("XDG_CACHE_HOME", "/x")
  monkeypatch.setenv("TFAE_CACHE", "~/mine")
  assert str(sources.cache_dir()) == "/h/mine"
  monkeypatch.delenv("TFAE_CACHE")
  assert str(sources.cache_dir()) == "/x/tfae"
  monkeypatch.delenv("XDG_CACHE_HOME")
  assert str(sources.cache_dir()) == "/h/.cache/tfae"
