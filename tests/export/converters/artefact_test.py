"""A converted model is whole or not there."""

import fcntl
import json
import os

import pytest

from converters import artefact


def test_it_has_its_name_only_when_the_block_ends(tmp_path):
  with artefact.whole(tmp_path / "out/onnx") as folder:
    (folder / "a").write_text("a")
    assert not (tmp_path / "out/onnx").exists()
    assert folder.parent == tmp_path / "out"  # one file system: the rename is one step
  assert [path.name for path in (tmp_path / "out").iterdir()] == ["onnx"]
  assert (tmp_path / "out/onnx/a").read_text() == "a"


def test_a_block_that_raises_leaves_nothing(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    with artefact.whole(tmp_path / "onnx") as folder:
      (folder / "a").write_text("a")
      raise KeyboardInterrupt
  assert not list(tmp_path.iterdir())


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
  order = []
  fsync, rename = os.fsync, os.rename
  monkeypatch.setattr(os, "fsync", lambda fd: order.append(os.readlink(f"/proc/self/fd/{fd}"))
                      or fsync(fd))
  monkeypatch.setattr(os, "rename", lambda *paths: order.append("rename") or rename(*paths))
  with artefact.whole(tmp_path / "onnx") as folder:
    (folder / "a").write_text("a")
  assert order == [str(folder / "a"), str(folder), "rename", str(tmp_path)]


def test_a_name_that_another_took_meanwhile_stays_the_other_s(tmp_path):
  with pytest.raises(FileExistsError, match="onnx: another process has written it meanwhile"):
    with artefact.whole(tmp_path / "onnx") as folder:
      (folder / "a").write_text("mine")
      (tmp_path / "onnx").mkdir()
      (tmp_path / "onnx/a").write_text("the other's")
  assert (tmp_path / "onnx/a").read_text() == "the other's"
  assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


def test_what_a_killed_process_left_is_cleared_and_a_live_one_s_folder_stays(tmp_path):
  dead, live = tmp_path / ".tmp-1-00000000", tmp_path / ".tmp-2-00000000"
  other = tmp_path / ".tmp-mine"
  for folder in (dead, live, other):
    folder.mkdir()
    (folder / "a").write_text("a")
  owner = os.open(live, os.O_RDONLY)
  fcntl.flock(owner, fcntl.LOCK_EX)
  try:
    with artefact.whole(tmp_path / "onnx"):
      pass
  finally:
    os.close(owner)
  assert sorted(path.name for path in tmp_path.iterdir()) == [live.name, other.name, "onnx"]


def test_signature_json_maps_names_and_says_what_was_left_out(tmp_path):
  entry = lambda tensor: {"tensor": tensor, "dtype": "float32", "shape": [None, 2]}
  description = {"saved_model_sha256": "abc", "tolerance": 1e-5, "metadata": {"dataset": "d"},
                 "signatures": {"encode": {"inputs": {"x": entry("x:0")},
                                           "outputs": {"y": entry("encode/y:0")}},
                                "bytes": {"inputs": {}, "outputs": {}}}}
  (tmp_path / "m.tflite").write_bytes(b"m")
  artefact.write_signatures(tmp_path, "litert", description, {
      "encode": {"file": "m.tflite", "inputs": {"x": "encode_x:0"}, "outputs": {"y": "call:0"}},
      "bytes": "no decoder"}, {"tensorflow": "2"})
  found = json.loads((tmp_path / "signature.json").read_text())
  assert found["signatures"] == {"encode": {
      "file": "m.tflite", "inputs": {"x": entry("encode_x:0")},
      "outputs": {"y": entry("call:0")}}}
  assert found["left_out"] == {"bytes": "no decoder"}
  assert found["converted_from_sha256"] == "abc"
  assert list(found["files_sha256"]) == ["m.tflite"]
  assert artefact.size(tmp_path) == 1
