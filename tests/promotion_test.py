"""Labels move whole, one after the other, whoever is killed."""

import json
import pathlib
import shutil
import sys
import threading

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import promoters
import runs
from tfae import labels, promotion, publish
from tfae.errors import InputError


@pytest.fixture
def served(tmp_path):
  """A folder with versions 1 to 4."""
  return promoters.folder(tmp_path / "served")


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def listed(folder):
  return {version.number: version.labels for version in promotion.versions(folder)}


def test_a_canary_becomes_stable_and_is_rolled_back(served):
  promotion.promote(served, 2)
  promotion.label(served, "canary", "3")
  promotion.promote(served, "canary")
  assert listed(served) == {1: (), 2: ("previous",), 3: ("canary", "stable"), 4: ()}
  promotion.roll_back(served)
  promotion.unlabel(served, "canary")
  assert listed(served) == {1: (), 2: ("stable",), 3: (), 4: ()}
  assert labels.read(served).labels == {"stable": 2} == promoters.told_to_server(served)


def test_listing_writes_nothing_and_counts_the_bytes(served):
  (served / "2" / "more").write_bytes(bytes(100))
  before = names(served)
  assert [version.bytes for version in promotion.versions(served)] == [5, 105, 5, 5]
  assert names(served) == before


def test_what_the_server_reads_is_beside_the_versions(served):
  promotion.configure(served, base_path="/srv/x", max_batch_size=4)
  assert names(served / "serving") == ["batching.config", "models.config", "monitoring.config"]
  promotion.promote(served, 1)
  assert '"/srv/x"' in (served / "serving" / "models.config").read_text()
  assert labels.read(served).max_batch_size == 4


def test_a_version_without_a_label_is_retired_and_its_number_is_not_given_again(served):
  for version in (1, 2, 3):
    promotion.promote(served, version)
  promotion.label(served, "canary", 4)
  for version, message in ((3, "retire=3: is stable. Move"), (4, "retire=4: is canary. Move")):
    with pytest.raises(InputError, match=message):
      promotion.retire(served, version)
  promotion.unlabel(served, "canary")
  with pytest.raises(InputError, match="retire=4: is the newest, and its number"):
    promotion.retire(served, 4)
  promotion.retire(served, 2)  # the previous one: now the one before is
  assert listed(served) == {1: ("previous",), 3: ("stable",), 4: ()}
  assert promoters.told_to_server(served) == {"stable": 3, "previous": 1}
  assert names(served) == ["1", "3", "4", "serving", "serving.json"]


def test_both_spellings_of_a_number_are_one_version_and_go_together(served):
  shutil.copytree(served / "2", served / "002")
  promotion.retire(served, "02")
  assert names(served) == ["1", "3", "4", "serving", "serving.json"]


def test_an_exporter_s_keep_leaves_what_has_a_label(served):
  promotion.promote(served, 1)
  promotion.promote(served, 2)
  promotion.label(served, "canary", 3)
  for _ in range(3):
    publish.publish(served, promoters.write, lambda _: None, keep=1)
  assert sorted(listed(served)) == [1, 2, 3, 7]
  (served / "serving.json").write_text("{")
  with pytest.raises(InputError, match="8 is published, but keep=1 failed: .*serving.json: dam"):
    publish.publish(served, promoters.write, lambda _: None, keep=1)


def test_a_version_that_somebody_removed_by_hand_is_named_until_its_label_moves(served):
  for version in (1, 2, 3):
    promotion.promote(served, version)
  promotion.label(served, "canary", 4)
  shutil.rmtree(served / "4")
  with pytest.raises(InputError, match="the version 4 that canary names is not there any more. Use "
                                       "--unlabel=canary first"):
    promotion.promote(served, 2)
  promotion.unlabel(served, "canary")
  shutil.rmtree(served / "3")
  with pytest.raises(InputError, match="the version 3 that stable .* Use --promote=VERSION or "
                                       "--roll_back first"):
    promotion.label(served, "canary", 1)
  shutil.rmtree(served / "2")
  assert promotion.roll_back(served).labels == {"stable": 1}  # the newest that is still there


@pytest.mark.parametrize("call, message", [
    (lambda d: promotion.promote(d, 9), "promote=9: no such version. Expected one of 1, 2, 3, 4"),
    (lambda d: promotion.promote(d, "canary"), "promote=canary: no such version"),
    (lambda d: promotion.promote(d, "²"), "no such version"),
    (lambda d: promotion.label(d, "stable", 1), "label='stable': is moved by"),
    (lambda d: promotion.label(d, "canary", -1), "label=canary:-1: no such version"),
    (lambda d: promotion.unlabel(d, "canary"), "unlabel='canary': no version has this label"),
    (lambda d: promotion.retire(d, 9), "retire=9: no such version"),
    (promotion.roll_back, "roll_back: no version is stable"),
    (lambda d: promotion.configure(d, max_batch_size=0), "max_batch_size=0"),
    (lambda d: promotion.promote(d / "missing", 1), "missing': No such file or directory")])
def test_a_mistake_is_refused_and_changes_nothing(served, call, message):
  with pytest.raises(InputError, match=message):
    call(served)
  assert names(served) == ["1", "2", "3", "4"]


def test_changes_at_once_are_made_one_after_the_other_and_none_is_lost(served):
  barrier = threading.Barrier(8)

  def run(i):
    barrier.wait()
    promotion.label(served, f"label{i}", 1 + i % 4)
  threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  expected = {f"label{i}": 1 + i % 4 for i in range(8)}
  assert labels.read(served).labels == expected == promoters.told_to_server(served)


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.full)])
def test_killed_at_a_line_a_change_is_made_or_not_and_the_same_command_completes_it(step, tmp_path):
  code, out, err = runs.finish(runs.python(promoters.__file__, tmp_path, step))
  assert code == 0, err
  said = json.loads(out)
  assert set(said) == set(promoters.CHANGES)
  for name, (kills, before, after) in said.items():
    # Both sides of the rename were hit.
    assert kills > 200 / step and before and after, (name, said)
