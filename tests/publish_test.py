"""Publishing into integer versions."""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading

import pytest

from tfae import publish
from tfae.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]


def write(folder):
  (folder / "saved_model.pb").write_text("model")
  (folder / "assets").mkdir()
  (folder / "assets" / "a").write_text("asset")


def good(folder):
  assert (folder / "saved_model.pb").read_text() == "model"


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def abandoned(export_dir):
  """A publisher that is killed while it writes; returns what it leaves."""
  program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from tfae import publish
publish.publish({str(export_dir)!r}, lambda folder: os.kill(os.getpid(), signal.SIGKILL), None)
"""
  result = subprocess.run([sys.executable, "-c", program], check=False)
  assert result.returncode == -signal.SIGKILL
  return [name for name in names(export_dir) if name.startswith(".tmp-")]


def test_versions_count_from_one_and_follow_the_highest(tmp_path):
  export_dir = tmp_path / "served" / "digits"
  assert publish.publish(export_dir, write, good) == export_dir / "1"
  (export_dir / "009").mkdir()
  (export_dir / "notes").mkdir()
  assert publish.publish(export_dir, write, good) == export_dir / "10"
  assert names(export_dir) == ["009", "1", "10", "notes"]
  assert (export_dir / "10" / "assets" / "a").read_text() == "asset"


def test_a_version_has_its_number_only_after_it_was_written_and_verified(tmp_path):
  seen = []
  look = lambda folder: seen.append((folder.parent, names(tmp_path)))
  publish.publish(tmp_path, lambda folder: (write(folder), look(folder)), look)
  assert [parent for parent, _ in seen] == [tmp_path, tmp_path]
  assert all(len(found) == 1 and found[0].startswith(".tmp-") for _, found in seen)
  assert names(tmp_path) == ["1"]


@pytest.mark.parametrize("step", ["write", "verify"])
def test_a_failure_publishes_nothing_and_leaves_nothing(tmp_path, step):
  def fail(folder):
    (folder / "half").write_text("")
    raise RuntimeError("bad model")
  publish.publish(tmp_path, write, good)
  with pytest.raises(RuntimeError, match="bad model"):
    publish.publish(tmp_path, fail if step == "write" else write, fail, keep=1)
  assert names(tmp_path) == ["1"]


def test_publishers_at_once_get_different_versions(tmp_path):
  count = 8
  barrier, versions = threading.Barrier(count), []

  def run(i):
    try:
      versions.append(publish.publish(
          tmp_path, lambda folder: (folder / "who").write_text(str(i)), lambda _: barrier.wait()))
    except BaseException:
      barrier.abort()  # the others would wait for this one for ever
      raise
  threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert sorted(int(version.name) for version in versions) == list(range(1, count + 1))
  assert {(version / "who").read_text() for version in versions} == set(map(str, range(count)))
  assert names(tmp_path) == sorted(map(str, range(1, count + 1)))


def test_a_number_that_is_taken_at_the_last_moment_is_passed_over(tmp_path, monkeypatch):
  publish.publish(tmp_path, write, good)
  listings = [[], [(1, "1")]]
  monkeypatch.setattr(publish, "_versions", lambda _: listings.pop(0))
  assert publish.publish(tmp_path, write, good) == tmp_path / "2"


def test_a_rename_that_fails_for_another_reason_is_not_tried_again(tmp_path, monkeypatch):
  def fail(*_):
    raise OSError("disk is gone")
  monkeypatch.setattr(os, "rename", fail)
  with pytest.raises(OSError, match="disk is gone"):
    publish.publish(tmp_path, write, good)
  assert names(tmp_path) == []


def test_a_killed_publisher_s_folder_is_cleared_by_the_next(tmp_path):
  assert len(abandoned(tmp_path)) == 1
  publish.publish(tmp_path, write, good)
  assert names(tmp_path) == ["1"]


def test_the_folder_of_a_living_publisher_is_left_alone(tmp_path):
  def write_while_another_publishes(folder):
    write(folder)
    assert publish.publish(tmp_path, write, good) == tmp_path / "1"
    good(folder)
  assert publish.publish(tmp_path, write_while_another_publishes, good) == tmp_path / "2"


def test_a_temporary_of_another_program_is_left_alone(tmp_path):
  (tmp_path / ".tmp-notes").mkdir()
  publish.publish(tmp_path, write, good)
  assert names(tmp_path) == [".tmp-notes", "1"]


def test_everything_is_on_the_disk_before_the_version_has_its_number(tmp_path, monkeypatch):
  events, fsync, rename = [], os.fsync, os.rename

  def record_fsync(descriptor):
    events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
    fsync(descriptor)

  def record_rename(source, target):
    events.append("rename")
    rename(source, target)
  monkeypatch.setattr(os, "fsync", record_fsync)
  monkeypatch.setattr(os, "rename", record_rename)
  publish.publish(tmp_path / "served", write, good)
  before = events[:events.index("rename")]
  assert {"saved_model.pb", "assets", "a"} < set(before)
  assert any(name.startswith(".tmp-") for name in before)
  assert events[events.index("rename") + 1] == "served"


def test_another_user_s_server_may_read_the_version(tmp_path):
  mask = os.umask(0o022)
  try:
    version = publish.publish(tmp_path, write, good)
  finally:
    os.umask(mask)
  assert stat.S_IMODE(version.stat().st_mode) == 0o755


def test_keep_retires_the_lowest_numbers_and_never_the_newest(tmp_path):
  for _ in range(3):
    publish.publish(tmp_path, write, good)
  (tmp_path / "9").mkdir()
  assert publish.publish(tmp_path, write, good, keep=2) == tmp_path / "10"
  assert names(tmp_path) == ["10", "9"]
  assert publish.retire(tmp_path, 1) == [9]
  assert publish.retire(tmp_path, 1) == []
  assert names(tmp_path) == ["10"]


def test_a_retired_version_loses_its_number_before_its_files(tmp_path, monkeypatch):
  publish.publish(tmp_path, write, good)
  publish.publish(tmp_path, write, good)
  removed, remove = [], publish.shutil.rmtree
  monkeypatch.setattr(publish.shutil, "rmtree", lambda folder: (
      removed.append((pathlib.Path(folder).name, names(pathlib.Path(folder)))), remove(folder)))
  publish.retire(tmp_path, 1)
  (name, files), = removed
  assert name.startswith(".tmp-") and "saved_model.pb" in files
  assert names(tmp_path) == ["2"]


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, "2"])
def test_keeping_less_than_the_newest_is_refused_before_anything_is_written(tmp_path, keep):
  with pytest.raises(InputError, match="keep="):
    publish.retire(tmp_path, keep)
  with pytest.raises(InputError, match="keep="):
    publish.publish(tmp_path / "new", write, good, keep=keep)
  assert names(tmp_path) == []


def test_an_export_dir_that_cannot_be_one_is_refused_by_name(tmp_path):
  (tmp_path / "file").write_text("")
  for path in (tmp_path / "file", tmp_path / "file" / "below", pathlib.Path("/proc/served")):
    with pytest.raises(InputError, match=f"export_dir='{path}': .*expected a folder"):
      publish.publish(path, write, good)
  with pytest.raises(InputError, match="No such file"):
    publish.retire(tmp_path / "missing", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_export_dir_that_may_not_be_written_is_refused_by_name(tmp_path):
  tmp_path.chmod(0o555)
  with pytest.raises(InputError, match="Permission denied"):
    publish.publish(tmp_path, write, good)
