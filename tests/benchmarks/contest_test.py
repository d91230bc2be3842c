"""The controller of the benchmarks: who works when, who stays, what is said of who is not there."""

import itertools
import json
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import contest
from contest import Row

FAKE = """
import time
class Contender:
  versions = {"fake": "1.0"}
  def __init__(self, log, *, name, fail=None):
    self.log, self.name, self.fail = log, name, fail
    print("a library talks on standard output")
  def work(self, what):
    if what == self.fail:
      raise ValueError(f"{self.name} can't {what}")
    with open(self.log, "a") as file:
      file.write(f"{self.name} begins {what}\\n")
      time.sleep(.01)
      file.write(f"{self.name} ends {what}\\n")
    return [self.name, what]
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
  """make(rows) is a Contest of fake contenders, who write what they do into tmp_path/log."""
  (tmp_path / "fakes.py").write_text(FAKE)
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  made = []

  def make_(rows):
    made.append(contest.Contest(rows, tmp_path, [str(tmp_path / "log")],
                                lambda name, worker: worker.ask("work", "start"),
                                say=lambda line: None))
    return made[-1]
  yield make_
  for one in made:
    one.close()


def row(name, family=None, needs="json", **options):
  return Row(name, family or name, needs, "fakes", {"name": name, **options})


def test_one_works_at_a_time_and_each_round_begins_with_another(make, tmp_path):
  one = make([row("a"), row("b"), row("c")])
  for number in range(2):
    found = one.round(lambda worker, n=number: worker.ask("work", n), number)
    assert found == {name: [name, number] for name in "abc"}
  expected = [(name, part) for name, part in
              [(n, "start") for n in "abc"] + [(n, 0) for n in "abc"] + [(n, 1) for n in "bca"]]
  assert (tmp_path / "log").read_text().splitlines() == [
      f"{name} {verb} {part}" for name, part in expected for verb in ("begins", "ends")]
  assert one.versions == {"fake": "1.0"}


def test_a_contender_that_computes_while_another_is_asked_is_found(make):
  one = make([row("a"), row("b")])
  used = itertools.count(0, 1e6)
  one.workers["a"].cpu_seconds = lambda: 5
  one.workers["b"].cpu_seconds = lambda: 5
  one.round(lambda worker: worker.ask("work", 0), 0)
  assert one.idle == 0
  one.workers["b"].cpu_seconds = lambda: next(used)
  one.round(lambda worker: worker.ask("work", 1), 1)
  assert one.idle > 1000


def test_who_is_not_installed_or_fails_is_named_and_the_others_go_on(make):
  one = make([row("a"), row("b", needs="no_such_package_anywhere"), row("c", fail="start")])
  assert list(one.workers) == ["a"]
  assert one.absent["b"] == "not installed"
  assert one.absent["c"].endswith("ValueError: c can't start")


def test_without_the_first_row_there_is_nothing_to_compare_with(make):
  with pytest.raises(contest.Failed, match="(?s)a: failed: .*ValueError: a can't start"):
    make([row("a", fail="start"), row("b")])


def test_who_fails_in_a_round_is_no_silent_gap(make):
  one = make([row("a"), row("b", fail="run")])
  with pytest.raises(contest.Failed, match="ValueError: b can't run"):
    one.round(lambda worker: worker.ask("work", "run"), 0)


def test_the_first_row_and_the_fastest_of_each_family_stay(make):
  one = make([row("own", "own"), row("own, other", "own"), row("x, slow", "x"),
              row("x, fast", "x"), row("y")])
  ended = one.workers["x, slow"]
  one.keep_the_best({"own": 1, "own, other": 2, "x, slow": 5, "x, fast": 6, "y": 1})
  assert list(one.workers) == ["own", "own, other", "x, fast", "y"]
  with pytest.raises(FileNotFoundError):  # its process is gone
    ended.cpu_seconds()


def test_spread_is_the_median_between_the_lowest_and_the_highest():
  assert contest.spread([3, 1, 1.234]) == "1.23 (1.00 to 3.00)"


def test_a_table_is_aligned_as_text_and_markdown_on_request():
  lines = ["name", "n"], [["a", "100"], ["long name", "2"]]
  assert contest.table(*lines) == "name         n\na          100\nlong name    2"
  assert contest.table(*lines, markdown=True).splitlines()[:3] == [
      "| name | n |", "| --- | ---: |", "| a | 100 |"]


# Refuses all that a machine without the peers lacks, and TensorFlow, which costs seconds.
WITHOUT_PEERS = """
import json, runpy, sys
class Refuse:
  def find_spec(self, name, *rest):
    if name.split(".")[0] in ("keras", "torch", "jax", "onnxruntime", "tf2onnx", "tensorflow"):
      raise ImportError(name)
sys.meta_path.insert(0, Refuse())
path, *sys.argv[1:] = json.loads(sys.argv[1])
sys.path[0] = path.rpartition("/")[0]
runpy.run_path(path, run_name="__main__")
"""


@pytest.mark.parametrize("program", ["train_throughput.py", "serve_latency.py"])
@pytest.mark.parametrize("flags, code, text", [
    (["--help"], 0, "--rounds"),
    (["--workloads=S04:7"], 2, "'S04:7' is none of S04:100, S04:500, S04:2000, S05:100"),
    (["--rounds=0"], 2, "--rounds=0: at least 1")])
def test_flags_are_checked_without_the_peers(program, flags, code, text):
  said(program, flags, code, text)


def test_a_contender_that_there_is_not_is_no_empty_table():
  said("train_throughput.py", ["--contenders=JAX,Kears"], 2, "no name begins with 'Kears'; there")


def said(program, flags, code, text):
  done = subprocess.run(
      [sys.executable, "-c", WITHOUT_PEERS, json.dumps([str(BENCHMARKS / program), *flags])],
      capture_output=True, text=True, check=False, timeout=300)
  assert done.returncode == code, done.stderr
  assert text in done.stdout + done.stderr
  assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program, flag, text", [
    ("train_throughput.py", "--contenders=", "no name begins with ''"),
    ("train_throughput.py", "--markdown=/nowhere/x", "--markdown=/nowhere/x: can't be written"),
    ("serve_latency.py", "--markdown=/nowhere/x", "--markdown=/nowhere/x: can't be written")])
def test_a_flag_that_can_not_be_is_refused_before_anything_is_measured(program, flag, text):
  said(program, [flag], 2, text)
