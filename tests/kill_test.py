"""A training process that is killed, wherever and however often, ends with the same bits."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import soak
import victims
from tfae import checkpoint


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
  with victims.nursery(tmp_path_factory.mktemp("nursery")) as opened:
    yield opened


@pytest.fixture(scope="module")
def ordeal(nursery):
  """An Ordeal for all tests of the module: the uninterrupted run is made once."""
  return victims.Ordeal(nursery, seed=11)


def endure(ordeal, faults, workdir):
  """All of the faults kill, and the run ends with the same bits."""
  before = ordeal.kills
  ordeal.through(faults, workdir)
  assert ordeal.kills - before == len(faults), "the run ended before all its kills"


def at(*points, passing=1):
  return [{"point": point, "passing": passing} for point in points]


def test_kills_in_a_data_write_between_two_renames_and_after_a_random_time_leave_the_same_bits(
    ordeal, tmp_path):
  faults = [{"bytes": 300, "passing": 3}, *at("before rename of index"),
            ordeal.random_fault("seconds")]
  print("seed 11", faults)
  ordeal.through(faults, tmp_path / "run")
  assert ordeal.tally["bytes", "during the data write"] == 1
  assert ordeal.tally["point", "before rename of index"] == 1


@pytest.mark.full
def test_twenty_kills_at_random_moments_leave_the_bits_of_an_uninterrupted_run(tmp_path):
  with victims.nursery(tmp_path) as nursery:
    ordeal, mismatch = soak.soak(nursery, 20, seed=5, kinds=("seconds", "line"))
  assert mismatch is None
  assert ordeal.kills == 20 and ordeal.completed >= 1
  assert {kind for kind, _ in ordeal.tally} == {"seconds", "line"}


@pytest.mark.full
def test_a_kill_at_each_boundary_of_a_save_twice_in_a_row_leaves_the_same_bits(ordeal, tmp_path):
  # First past the beginning: the very first save is made anew whatever it left.
  endure(ordeal, [*at("before data", passing=3),
                  *(fault for point in victims.SAVE for fault in at(point) * 2)], tmp_path / "run")


@pytest.mark.full
def test_a_kill_at_each_boundary_of_the_very_first_save_leaves_the_same_bits(ordeal, tmp_path):
  # Nothing was removed yet. After the state file there is a checkpoint, but no config.json.
  endure(ordeal, [*at(*victims.SAVE[:-1]), {"bytes": 300, "passing": 1},
                  *at("before config.json", "after config.json")], tmp_path / "run")


@pytest.mark.full
def test_a_kill_in_the_middle_of_a_data_or_index_write_leaves_the_same_bits(ordeal, tmp_path):
  # The data are some 14,000 bytes; the index is smaller and written later.
  sizes = [0, 1, 511, 4096, 9999]
  endure(ordeal, [{"bytes": size, "passing": 2} for size in sizes], tmp_path / "run")


@pytest.mark.full
def test_a_kill_at_every_other_change_on_the_disk_leaves_the_same_bits(ordeal, tmp_path):
  endure(ordeal, [fault for point in victims.OTHER for fault in at(point) * 2], tmp_path / "run")


@pytest.mark.full
def test_a_kill_right_after_the_test_line_leaves_one_test_line(ordeal, tmp_path):
  last = len(runs.lines(ordeal.whole))
  endure(ordeal, at("metrics line", passing=last), tmp_path / "run")


@pytest.mark.full
def test_a_kill_while_a_damaged_checkpoint_is_set_aside_leaves_the_same_bits(
    ordeal, nursery, tmp_path):
  workdir = tmp_path / "run"
  assert nursery.live(workdir, *at("pruning", passing=4)).killed
  (newest,) = (workdir / "checkpoints").glob(
      f"ckpt-{checkpoint.steps(workdir / 'checkpoints')[0]}.data-*")
  newest.write_bytes(newest.read_bytes()[:-3])
  life = nursery.live(workdir, *at("setting aside"))
  assert life.killed and "is damaged (" in life.err
  life = nursery.live(workdir)
  assert life.code == 0, life.err
  runs.assert_same_bits(ordeal.whole, workdir)
  assert len(list((workdir / "checkpoints/damaged").iterdir())) == 2
