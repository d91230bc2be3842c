"""Publishers of 50 MB that die at random instants, while a reader loads the newest version."""

import json
import pathlib
import random
import signal
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import publishers
import runs

KEEP = 3


class Session:
  """The program of publishers.py, and a look at the folder after each of its answers."""

  def __init__(self, export_dir, rows):
    self.export_dir, self.size = export_dir, rows * publishers.COLUMNS * 4
    self.loads, self.index, self.seen = [], 0, set()
    self.process = runs.python(publishers.__file__, export_dir, rows, KEEP)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.kill()  # only a test that failed leaves it running; the reader ends by itself
    self.process.wait()

  def publish(self, *victims):
    """Runs publishers at once; returns (exit codes, seconds, versions, temporaries)."""
    for victim in victims:
      self.index += 1
      victim["index"] = self.index
    self.process.stdin.write(json.dumps(victims) + "\n")
    self.process.stdin.flush()
    codes, seconds, loads = json.loads(self.process.stdout.readline())
    self.loads += loads
    versions, temporaries, others = publishers.names(self.export_dir)
    assert not others
    for version in set(versions) - self.seen:
      publishers.assert_whole(self.export_dir / str(version), self.size)
    self.seen |= set(versions)
    return codes, seconds, versions, temporaries

  def end(self):
    """Ends the reader and all; returns what the reader said."""
    code, out, err = runs.finish(self.process)
    assert code == 0, err
    return self.loads + json.loads(out)


def kill_many(export_dir, rows, count, seed, pairs):
  """Kills `count` publishers; `pairs`: how often a second one publishes beside the victim."""
  choose = random.Random(seed)
  with Session(export_dir, rows) as session:
    lines = export_dir.with_name("lines")
    codes, *_ = session.publish({"line": -1, "lines_to": str(lines)})
    assert codes == [0]
    lines = int(lines.read_text())
    codes, whole, before, _ = session.publish({})
    assert codes == [0] and before == [1, 2]
    killed = {"line": 0, "seconds": 0}
    left = published = beside = 0
    while sum(killed.values()) < count:
      # By turns at a line of the code and at a time, which finds the inside of a write.
      how = "seconds" if sum(killed.values()) % 2 else "line"
      at = choose.randint(1, lines) if how == "line" else choose.uniform(0, whole)
      pair = choose.random() < pairs
      codes, _, after, temporaries = session.publish(*[{}] * pair, {how: at})
      assert codes[-1] in (0, -signal.SIGKILL) and codes[:-1] == [0] * pair, (how, at, codes)
      killed[how] += codes[-1] != 0
      beside += pair
      # What one victim leaves is at most one folder, which the next clears.
      assert len(temporaries) <= (codes[-1] != 0), (how, at)
      left += len(temporaries)
      # Nothing is lost: only `keep` takes versions away, the lowest first.
      assert after[-1] - before[-1] in range(codes.count(0), len(codes) + 1), (how, at)
      assert set(range(max(1, after[-1] - KEEP + 1), after[-1] + 1)) <= set(after), (how, at)
      published += after[-1] - before[-1]
      before = after
    codes, _, last, temporaries = session.publish({})
    assert codes == [0] and not temporaries
    assert last == list(range(last[-1] - KEEP + 1, last[-1] + 1))
    loads = session.end()
  print(f"\nseed {seed}: killed {killed} of {lines} lines and {whole:.2f} s, {beside} beside a "
        f"second publisher; {left} left a temporary; {published} versions appeared; "
        f"{len(loads)} loads of {len({load['version'] for load in loads})} versions")
  assert not [load for load in loads if "failed" in load]
  # A number never means another model: one index a version.
  indices = {(load["version"], load["index"]) for load in loads}
  assert len(indices) == len({version for version, _ in indices}) == len({i for _, i in indices})
  assert {version for version, _ in indices} == set(range(min(dict(indices)), last[-1] + 1))
  return left


def test_eight_publishers_killed_at_random_instants_cost_no_reader_a_load(tmp_path):
  kill_many(tmp_path / "served", 350, 8, seed=1, pairs=0.3)


@pytest.mark.full
def test_two_hundred_publishers_of_50_mb_killed_at_random_instants_cost_no_reader_a_load(tmp_path):
  # Kills everywhere: many before there is a folder or after it has its number, most between.
  assert kill_many(tmp_path / "served", 3520, 200, seed=2, pairs=0.05) > 50
