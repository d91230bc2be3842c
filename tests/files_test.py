"""tfae.files: all of it or nothing."""

import os

import pytest

from tfae import files
from tfae.errors import InputError


def test_text_and_bytes_are_written_and_replace_what_was_there(tmp_path):
  files.write(tmp_path / "a", "naïve ☃\n")
  assert (tmp_path / "a").read_bytes() == "naïve ☃\n".encode()
  files.write(str(tmp_path / "a"), b"\0\xff")
  assert (tmp_path / "a").read_bytes() == b"\0\xff"
  assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content_and_no_temporary(tmp_path, monkeypatch, broken):
  files.write(tmp_path / "a", "old")

  def fail(*_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, broken, fail)
  with pytest.raises(InputError, match=r"/a: can't be written \(No space left on device, [\d,]+ "
                                       r"bytes free\)\. Free some space"):
    files.write(tmp_path / "a", "new")
  monkeypatch.undo()
  assert (tmp_path / "a").read_text() == "old"
  assert os.listdir(tmp_path) == ["a"]


def test_the_bytes_are_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
  calls = []
  fsync, replace = os.fsync, os.replace

  def spy_fsync(descriptor):
    calls.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
    fsync(descriptor)

  def spy_replace(*paths):
    calls.append("rename")
    replace(*paths)

  monkeypatch.setattr(os, "fsync", spy_fsync)
  monkeypatch.setattr(os, "replace", spy_replace)
  files.write(tmp_path / "a", "x")
  assert calls == [f".a.tmp-{os.getpid()}", "rename", tmp_path.name]


def test_an_error_of_the_disk_names_the_file_the_reason_and_the_way_out(tmp_path):
  (tmp_path / "a").mkdir()
  with pytest.raises(InputError, match=r"/a: can't be written \(Is a directory\)\. Make it "
                                       r"writable, or use another folder"):
    files.write(tmp_path / "a", "x")
  with pytest.raises(InputError, match=r"nowhere/b: can't be written \(No such file"):
    files.write(tmp_path / "nowhere" / "b", "x")
  with pytest.raises(InputError, match=r"/c: can't be written \(Disk quota exceeded, [\d,]+ bytes"):
    with files.writing(tmp_path / "nowhere" / "c", (OSError, RuntimeError)):
      raise RuntimeError("op failed\n/tmp/x; Disk quota exceeded [Op:SaveV2]")
  with pytest.raises(KeyError):
    with files.writing(tmp_path):
      raise KeyError("not of the disk")
  assert os.listdir(tmp_path) == ["a"]


def test_what_killed_writers_left_is_cleared_and_nothing_else(tmp_path):
  for name in (".tmp-12", ".tmp-12-0a1b2c3d", ".config.json.tmp-7", "a.tmp-7", ".tmp-x", ".tmp"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").touch()
  (tmp_path / ".b.tmp-8").touch()
  files.clear_stale(tmp_path)
  assert sorted(os.listdir(tmp_path)) == [".tmp", ".tmp-12-0a1b2c3d", ".tmp-x", "a.tmp-7"]
  files.clear_stale(tmp_path / "nowhere")
