"""Programs in fresh processes, and what benchmarks/startup.py and memory.py make of them."""

import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import fresh
import memory
import startup
from worker import Failed


@pytest.fixture(name="program")
def fixture_program(tmp_path):
  """program(source) runs Python code in a process, which has ended when the test has."""
  made = []

  def start(source, **options):
    made.append(fresh.Program(["-c", source], tmp_path / "log", **options))
    return made[-1]
  yield start
  for one in made:
    one.kill()


def test_a_program_is_ready_at_its_first_whole_line_and_has_not_ended_then(program, tmp_path):
  # Errors count as nothing: TensorFlow prints some before it is imported.
  one = program("import pathlib, sys\nprint('not this', file=sys.stderr, flush=True)\n"
                "print('ready', flush=True)\n"
                f"while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): pass")
  ready = one.first()
  assert (tmp_path / "log").read_text() == "ready\n" and not one.ended
  (tmp_path / "go").touch()
  assert one.wait().seconds >= ready > 0


def test_a_program_that_ends_without_a_line_fails_and_so_does_another_exit_code(program):
  with pytest.raises(Failed, match="ended without a line in log"):
    program("pass").first()
  with pytest.raises(Failed, match="exit code 1: .*ValueError: too bad"):
    program("raise ValueError('too bad')").wait()
  with pytest.raises(Failed, match="exit code 0"):
    program("pass", code=2).wait()
  program("import sys; sys.exit(2)", code=2).wait()


def test_the_peak_outlives_what_was_given_back_and_the_resident_memory_does_not(tmp_path):
  code = ("import mmap, pathlib\nx = bytearray(b'x') * 200_000_000\ndel x\n"
          "untouched = mmap.mmap(-1, 1_000_000_000)\n"
          "y = bytearray(b'y') * 50_000_000\nprint('ready', flush=True)\n"
          f"while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): pass")
  # Not from here: a process begins as a copy of its parent, and this one is large.
  measured = (f"import pathlib, sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\nimport fresh\n"
              f"one = fresh.Program(['-c', {code!r}], {str(tmp_path / 'log')!r})\none.first()\n"
              f"now = fresh.resident(one.pid)\npathlib.Path({str(tmp_path / 'go')!r}).touch()\n"
              "print(now, one.wait().peak)")
  done = subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True,
                        check=False)
  now, peak = map(int, done.stdout.split())
  assert 50e6 < now < 100e6 and 200e6 < peak < 250e6


def test_growth_is_that_of_a_line_through_the_settled_samples():
  # 100 bytes a step from 1,500 to 10,000, of 2,000,000 on average.
  found = {step: 2_000_000 + 100 * (step - 5750) for step in range(1500, 10_001, 500)}
  assert memory.growth(found) == pytest.approx(850_000 / 2_000_000)
  assert memory.growth({500: 1, 1000: 9, **found}) == memory.growth(found)
  assert memory.growth(dict.fromkeys(found, 7)) == pytest.approx(0)


def test_the_weights_are_those_of_the_systems_with_two_slots_each():
  assert memory.weights(memory.workloads.WORKLOADS["S04:100"]) == 573_440 * 4 * 3
  assert memory.weights(memory.workloads.WORKLOADS["S05:100"]) == 8_448 * 4 * 3


def test_a_line_of_the_memory_table_divides_the_peak_by_the_sum():
  found = {"floor": 600 * 2**20, "lean": 500 * 2**20, "weights": 0, "growth": -.00123,
           "peak": 1.3 * (600 * 2**20 + memory.DATA)}
  line = memory.cells("S04:100", found)
  assert line[5] == "1.30" and float(line[7]) > 1.5 and line[8] == "-0.12%"


def test_the_startup_table_compares_starts_of_the_same_round():
  lines = startup.cells({startup.FLOOR: [3.0, 4.0, 5.0], "it": [4.0, 4.5, 5.25]})
  assert lines == [[startup.FLOOR, "4.00 (3.00 to 5.00)", ""],
                   ["it", "4.50 (4.00 to 5.25)", "+0.50 (+0.25 to +1.00)"]]


def test_every_start_is_ended_before_the_next_and_sees_a_folder_of_its_own(tmp_path):
  code = ("import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.mkdir(); "
          "(path / 'metrics.jsonl').write_text('{}\\n')")
  code = code.replace("{}", "{{}}")  # the arguments are formatted
  start = startup.Start("it", ["-c", code, "{new}"], "step")
  for _ in range(2):
    assert startup.seconds(start, {}, tmp_path) > 0
  assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_after_it_was_ready_is_not_counted(tmp_path):
  start = startup.Start("it", ["-c", "print('ready', flush=True); raise SystemExit(3)"], "line")
  with pytest.raises(Failed, match="exit code 3"):
    startup.seconds(start, {}, tmp_path)
