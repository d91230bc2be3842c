"""Publishing into integer versions."""

import logging
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import tmpfs
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
  with pytest.raises(InputError, match="disk is gone"):
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


def test_a_link_or_a_file_with_a_number_is_retired_and_blocks_nobody(tmp_path):
  elsewhere = tmp_path / "elsewhere"
  publish.publish(elsewhere, write, good)
  export_dir = tmp_path / "served"
  export_dir.mkdir()
  (export_dir / "1").symlink_to(elsewhere / "1")
  (export_dir / "2").write_text("a file")
  (export_dir / "3").symlink_to(tmp_path / "nowhere")
  assert publish.publish(export_dir, write, good, keep=1) == export_dir / "4"
  assert names(export_dir) == ["4"]
  good(elsewhere / "1")  # a link's target is not the publisher's
  # As a kill between the two steps of retiring a link leaves it.
  (export_dir / ".tmp-1-0123abcd").symlink_to(elsewhere / "1")
  (export_dir / ".tmp-1-4567abcd").symlink_to(tmp_path / "nowhere")
  publish.publish(export_dir, write, good)
  assert names(export_dir) == ["4", "5"]
  good(elsewhere / "1")


def test_what_cannot_be_cleared_is_a_warning_and_ends_no_publishing(tmp_path, monkeypatch, caplog):
  stale = tmp_path / abandoned(tmp_path)[0]
  remove = publish.shutil.rmtree

  def refuse(path, **options):
    if pathlib.Path(path) == stale:
      raise PermissionError(13, "Permission denied", str(path))
    remove(path, **options)

  monkeypatch.setattr(publish.shutil, "rmtree", refuse)
  with caplog.at_level(logging.WARNING):
    assert publish.publish(tmp_path, write, good) == tmp_path / "1"
  assert f"{stale}: left by a publisher that is gone, can't be removed" in caplog.text


def test_who_can_not_retire_is_told_which_version_is_published(tmp_path, monkeypatch):
  publish.publish(tmp_path, write, good)

  def refuse(path):
    raise PermissionError(13, "Permission denied", f"{path}/saved_model.pb")

  monkeypatch.setattr(publish.shutil, "rmtree", refuse)
  with pytest.raises(InputError, match=(
      rf"{tmp_path}/2 is published, but keep=1 failed: .*Permission denied \(.*saved_model.pb\)")):
    publish.publish(tmp_path, write, good, keep=1)
  monkeypatch.undo()
  publish.publish(tmp_path, write, good)
  assert names(tmp_path) == ["2", "3"]


def test_a_reader_overtaken_by_keep_finds_no_such_file_and_the_next_listing_helps(tmp_path):
  def newest():
    return tmp_path / max(names(tmp_path), key=int)

  for keep in (1, 2, 3):
    publish.publish(tmp_path, write, good, keep)
    listed = newest()
    # `keep` publications between its listing and its opening: one fewer is not enough.
    for _ in range(keep - 1):
      publish.publish(tmp_path, write, good, keep)
      good(listed)
    publish.publish(tmp_path, write, good, keep)
    with pytest.raises(FileNotFoundError):
      good(listed)
    good(newest())


def test_a_full_disk_is_one_clear_error_and_there_is_room_again_afterwards(tmp_path):
  with tmpfs.mounted(tmp_path / "disk", 256 << 10) as disk:
    export_dir = disk / "served"
    large = lambda folder: (write(folder), (folder / "weights").write_bytes(bytes(300 << 10)))
    publish.publish(export_dir, write, good)
    for _ in range(2):  # what the first leaves would be in the way of the second
      with pytest.raises(InputError) as caught:
        publish.publish(export_dir, large, good, keep=1)
      message = str(caught.value)
      assert f"export_dir='{export_dir}': No space left on device" in message
      assert "nothing was published" in message and "Make room" in message
      assert names(export_dir) == ["1"]
    good(export_dir / "1")
    tmpfs.fill(disk)
    with pytest.raises(InputError, match="No space left on device.*Make room"):
      publish.publish(export_dir, write, good)
    (disk / "filler").unlink()
    tmpfs.resize(disk, 1 << 20)
    assert publish.publish(export_dir, large, good) == export_dir / "2"


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
