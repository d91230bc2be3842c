"""tfae.checkpoint: what a kill or a fault of the disk leaves is used, or refused by name."""

import logging
import pathlib
import re
import shutil

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
import tensorflow as tf

from tfae import files
from tfae.checkpoint import Checkpoints, restore_model, steps
from tfae.errors import InputError


class Thing(tf.Module):
  """What is saved: values that say of which step they are."""

  def __init__(self, parts=2, size=50):
    super().__init__()
    self.weights = [tf.Variable(tf.zeros(size), name=f"w{i}") for i in range(parts)]

  def set(self, value):
    for weight in self.weights:
      weight.assign(tf.fill(weight.shape, float(value)))

  def get(self):
    """The one value that all of them have."""
    (value,) = set(tf.concat(self.weights, 0).numpy().tolist())
    return value


class Progress(tf.Module):

  def __init__(self, best=-1):
    super().__init__()
    self.step = tf.Variable(0, dtype=tf.int64)
    self.best_step = tf.Variable(best, dtype=tf.int64)


def save(checkpoints, thing, progress, step, best=None):
  thing.set(step)
  progress.step.assign(step)
  checkpoints.save(step, best)


def saved(directory, at=(1, 2, 3), best=-1, keep=3):
  """Checkpoints at some steps, each holding its own number; returns the folder."""
  thing, progress = Thing(), Progress(best)
  checkpoints = Checkpoints(directory, {"model": thing, "progress": progress}, keep)
  for step in at:
    save(checkpoints, thing, progress, step, best if best >= 0 else None)
  return directory


def restored(directory):
  """(step, value) of what a fresh process would restore."""
  thing = Thing()
  step = Checkpoints(directory, {"model": thing, "progress": Progress()}).restore()
  return step, thing.get()


def contents(directory):
  return {str(path.relative_to(directory)): path.read_bytes()
          for path in sorted(directory.rglob("*")) if path.is_file()}


def file_of(directory, step, kind):
  (path,) = directory.glob(f"ckpt-{step}.{kind}*")
  return path


def truncate(path):
  path.write_bytes(path.read_bytes()[:-5])


def flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 3] ^= 0x10
  path.write_bytes(content)


def empty(path):
  path.write_bytes(b"")


def delete(path):
  path.unlink()


DAMAGES = [(kind, damage) for kind in ("data", "index")
           for damage in (truncate, flip, empty, delete)]


def test_the_newest_checkpoint_is_restored(tmp_path):
  assert steps(saved(tmp_path)) == [3, 2, 1]
  assert restored(tmp_path) == (3, 3.0)
  assert steps(tmp_path / "nowhere") == []


@pytest.mark.parametrize("kind, damage", DAMAGES)
def test_a_damaged_newest_is_named_and_the_one_before_it_used(tmp_path, caplog, kind, damage):
  saved(tmp_path)
  damage(file_of(tmp_path, 3, kind))
  with caplog.at_level(logging.WARNING, "tfae"):
    assert restored(tmp_path) == (2, 2.0)
  assert any("ckpt-3" in record.getMessage() for record in caplog.records)
  # It is out of the way of later saves, not lost.
  assert steps(tmp_path) == [2, 1] and not list(tmp_path.glob("ckpt-3*"))
  assert any("ckpt-3" in path.name for path in (tmp_path / "damaged").iterdir())
  assert restored(tmp_path) == (2, 2.0)


@pytest.mark.parametrize("damage", [truncate, empty, delete, flip])
def test_a_damaged_state_file_costs_nothing(tmp_path, caplog, damage):
  damage(saved(tmp_path) / "checkpoint")
  assert restored(tmp_path) == (3, 3.0)
  assert not [r for r in caplog.records if r.name.startswith("tfae")]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_or_cut_gives_a_whole_checkpoint_never_a_mixture(tmp_path_factory, data):
  directory = saved(tmp_path_factory.mktemp("run"), at=(1, 2))
  path = file_of(directory, 2, data.draw(st.sampled_from(["data", "index"])))
  content = bytearray(path.read_bytes())
  position = data.draw(st.integers(0, len(content) - 1))
  if data.draw(st.booleans()):
    content[position] ^= 1 << data.draw(st.integers(0, 7))
  else:
    del content[position:]
  path.write_bytes(content)
  step, value = restored(directory)
  assert step == value and step in (1, 2)
  shutil.rmtree(directory)


@pytest.mark.parametrize("kind, damage", DAMAGES[:-1])  # without an index there is no checkpoint
def test_if_all_are_damaged_each_is_named_and_nothing_is_touched(tmp_path, kind, damage):
  saved(tmp_path)
  for step in (1, 2, 3):
    damage(file_of(tmp_path, step, kind))
  before = contents(tmp_path)
  with pytest.raises(InputError) as error:
    restored(tmp_path)
  assert str(tmp_path) in str(error.value) and "another --workdir" in str(error.value)
  for step in (1, 2, 3):
    assert re.search(rf"ckpt-{step}: \w+", str(error.value))
  assert "\n" not in str(error.value)
  assert contents(tmp_path) == before


def test_nothing_to_restore_is_an_error_and_no_fresh_start(tmp_path):
  with pytest.raises(InputError, match="none found"):
    restored(tmp_path)
  saved(tmp_path)
  for path in tmp_path.glob("*.index"):
    path.unlink()
  before = contents(tmp_path)
  with pytest.raises(InputError, match="no usable checkpoint"):
    restored(tmp_path)
  assert contents(tmp_path) == before


@pytest.mark.parametrize("parts", [1, 3])
def test_everything_must_be_consumed_on_both_sides(tmp_path, parts):
  saved(tmp_path)
  before = contents(tmp_path)
  other = Checkpoints(tmp_path, {"model": Thing(parts), "progress": Progress()})
  with pytest.raises(InputError, match="ckpt-3: .*ckpt-2: .*ckpt-1: "):
    other.restore()
  with pytest.raises(InputError, match="no usable checkpoint"):
    Checkpoints(tmp_path, {"model": Thing(2, size=51), "progress": Progress()}).restore()
  assert contents(tmp_path) == before


def test_the_newest_n_and_the_best_are_kept(tmp_path):
  saved(tmp_path, at=range(1, 9), best=2, keep=3)
  assert steps(tmp_path) == [8, 7, 6, 2]
  assert not [p for p in tmp_path.iterdir() if not re.fullmatch(
      r"checkpoint|ckpt-[8762]\.(index|data-00000-of-00001)", p.name)]
  assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-8")
  state = tf.train.get_checkpoint_state(str(tmp_path))
  assert [pathlib.Path(p).name for p in state.all_model_checkpoint_paths] == [
      "ckpt-2", "ckpt-6", "ckpt-7", "ckpt-8"]


def test_what_a_killed_removal_left_goes_with_the_next_save_and_other_files_stay(tmp_path):
  saved(tmp_path)
  file_of(tmp_path, 1, "index").unlink()
  (tmp_path / "ckpt-0.index.bak").touch()
  thing, progress = Thing(), Progress()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": progress})
  checkpoints.restore()
  assert list(tmp_path.glob("ckpt-1.data-*")) and not (tmp_path / "damaged").exists()
  save(checkpoints, thing, progress, 4)
  assert not list(tmp_path.glob("ckpt-1.*")) and (tmp_path / "ckpt-0.index.bak").exists()
  assert steps(tmp_path) == [4, 3, 2]


def test_a_step_is_saved_once(tmp_path):
  thing, progress = Thing(), Progress()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": progress})
  save(checkpoints, thing, progress, 1)
  thing.set(2)
  checkpoints.save(1)
  assert restored(tmp_path) == (1, 1.0)


def test_stale_temporaries_are_cleared_by_the_next_save(tmp_path):
  saved(tmp_path)
  for name in (".tmp-1", ".tmp-999999"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "ckpt-4.index").write_text("half")
  assert restored(tmp_path) == (3, 3.0)
  thing = Thing()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": Progress()})
  checkpoints.restore()
  checkpoints.save(4)
  assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("survives", range(13))
def test_a_save_that_is_killed_at_any_file_operation_leaves_a_whole_checkpoint(
    tmp_path, monkeypatch, survives):
  thing, progress = Thing(), Progress()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": progress}, keep=2)
  for step in (1, 2):
    save(checkpoints, thing, progress, step)
  left = [survives]

  def mortal(function):
    def call(*arguments, **options):
      if not left[0]:
        raise KeyboardInterrupt
      left[0] -= 1
      return function(*arguments, **options)
    return call

  monkeypatch.setattr(files, "sync", mortal(files.sync))
  for method in ("rename", "rmdir", "unlink", "mkdir", "replace"):
    monkeypatch.setattr(pathlib.Path, method, mortal(getattr(pathlib.Path, method)))
  with pytest.raises(KeyboardInterrupt):
    save(checkpoints, thing, progress, 3)
  monkeypatch.undo()
  step, value = restored(tmp_path)
  assert step == value and step in (2, 3)
  # And the run goes on from there.
  thing, progress = Thing(), Progress()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": progress}, keep=2)
  checkpoints.restore()
  for step in (3, 4):
    save(checkpoints, thing, progress, step)
  assert restored(tmp_path) == (4, 4.0) and steps(tmp_path) == [4, 3]
  assert not list(tmp_path.glob(".tmp-*"))


def test_the_index_is_renamed_after_the_data_and_both_are_synced_before(tmp_path, monkeypatch):
  calls = []
  sync, rename = files.sync, pathlib.Path.rename

  def spy_sync(path):
    calls.append(("sync", pathlib.Path(path).suffix[:6]))
    sync(path)

  def spy_rename(self, target):
    calls.append(("rename", pathlib.Path(target).suffix[:6]))
    return rename(self, target)

  monkeypatch.setattr(files, "sync", spy_sync)
  monkeypatch.setattr(pathlib.Path, "rename", spy_rename)
  saved(tmp_path / "run", at=(1,))
  assert calls[:5] == [("sync", ".data-"), ("sync", ".index"), ("rename", ".data-"),
                       ("rename", ".index"), ("sync", "")]


# restore_model


def model_at(directory, which="latest"):
  thing = Thing()
  step = restore_model(thing, directory, which)
  assert thing.get() == step
  return step


def test_a_model_alone_is_restored_as_latest_best_or_at_a_step(tmp_path):
  saved(tmp_path, best=2)
  assert model_at(tmp_path) == 3
  assert model_at(tmp_path, "best") == 2
  assert model_at(tmp_path, "1") == model_at(tmp_path, 1) == 1


@pytest.mark.parametrize("which", ["4", "-1", "lates", "", "²", "1.0", None])
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(tmp_path, which):
  saved(tmp_path)
  with pytest.raises(InputError, match="expected 'latest', 'best' or one of the steps 3, 2, 1"):
    restore_model(Thing(), tmp_path, which)


def test_no_best_without_a_validation_set_and_no_checkpoint_without_training(tmp_path):
  with pytest.raises(InputError, match="Train first"):
    restore_model(Thing(), tmp_path)
  with pytest.raises(InputError, match="config.data.validation=N"):
    restore_model(Thing(), saved(tmp_path), "best")


@pytest.mark.parametrize("kind, damage", DAMAGES)
def test_latest_and_best_are_found_past_a_damaged_newest(tmp_path, kind, damage):
  saved(tmp_path, best=1)
  damage(file_of(tmp_path, 3, kind))
  assert model_at(tmp_path) == 2
  assert model_at(tmp_path, "best") == 1
  # Reading is not the place to move files.
  assert not (tmp_path / "damaged").exists()


def test_a_checkpoint_that_was_asked_for_and_is_damaged_is_an_error(tmp_path):
  saved(tmp_path, best=2)
  truncate(file_of(tmp_path, 2, "data"))
  for which in ("2", "best"):
    with pytest.raises(InputError, match="no usable checkpoint .*ckpt-2: "):
      restore_model(Thing(), tmp_path, which)


def test_another_model_is_refused(tmp_path):
  saved(tmp_path)
  with pytest.raises(InputError, match="no usable checkpoint"):
    restore_model(Thing(parts=3), tmp_path)


def test_what_a_kill_left_undone_of_a_save_is_done_when_the_run_ends_there(tmp_path, monkeypatch):
  # The last save of a run: no other one comes after it to clear up.
  saved(tmp_path, at=(1, 2), keep=2)
  thing, progress = Thing(), Progress()
  checkpoints = Checkpoints(tmp_path, {"model": thing, "progress": progress}, keep=2)

  def killed(point):
    if point == "after rename of index":
      raise KeyboardInterrupt

  with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
    context.setattr(files, "reached", killed)
    progress.step.assign(3)
    checkpoints.save(3)
  assert steps(tmp_path) == [3, 2, 1]
  resumed = Checkpoints(tmp_path, {"model": Thing(), "progress": Progress()}, keep=2)
  assert resumed.restore() == 3
  resumed.save(3)
  assert steps(tmp_path) == [3, 2]
  assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-3")
