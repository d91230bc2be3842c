"""tfae-reproduce as a program, with a small table of its own: real runs of tfae-train."""

import json
import pathlib
import signal
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs

# Two systems on the embedded digits, the second one with a learning rate that is none.
PROGRAM = """
from tfae import systems
from tfae.specs.systems import Figure, Run, System
ERROR = Figure("test squared error per pixel", "test", "squared_error", "1.0", goal=0.5)
small = {"epochs": 1, "logging.tensorboard": False, "jit_compile": "off"}
systems.SYSTEMS = (
    System("T1", "small", "digits", (
        Run("faithful", "quickstart.py", (ERROR,), overrides=small, seeds=1, minutes=0.1),
        Run("better", "quickstart.py", (ERROR,), variant="long", seeds=1,
            overrides={**small, "epochs": 100000}))),
    System("T2", "other", "digits", (
        Run("faithful", "quickstart.py", (ERROR,), seeds=1,
            overrides={**small, "optimizer.learning_rate": -1.0}),)))
systems.COMPARISONS = ()
from tfae.bin import reproduce
reproduce.run()
"""


@pytest.fixture(name="program")
def fixture_program(tmp_path):
  path = tmp_path / "program.py"
  path.write_text(PROGRAM)
  return lambda *flags: runs.python(path, *flags, cwd=tmp_path)


def row(folder, *begin):
  rows = [[cell.strip() for cell in line.split("|")[1:-1]]
          for line in (folder / "R/RESULTS.md").read_text().splitlines() if line.startswith("| ")]
  (found,) = [cells for cells in rows if tuple(cells[:len(begin)]) == begin]
  return found


def test_the_list_names_each_run_with_its_seeds_and_minutes(program, tmp_path):
  code, out, err = runs.finish(program("--list"))
  assert (code, err) == (0, "")
  lines = [line.split() for line in out.splitlines()]
  assert [line[0] for line in lines] == ["T1/faithful", "T1/better/long", "T2/faithful"]
  assert lines[0][1:] == ["quickstart.py", "seeds", "1", "minutes", "a", "seed", "0.1"]
  assert not (tmp_path / "runs").exists()


@pytest.mark.full
def test_a_real_run_becomes_a_row_a_failure_is_said_and_nothing_is_run_twice(program, tmp_path):
  code, out, err = runs.finish(program("--only=T1/faithful,T2", "--workdir=R"))
  assert code == 1, (out, err)
  assert "1 of 2 runs are complete; R/RESULTS.md is written." in out
  assert err.startswith("T2/faithful, seed 0: failed: ") and "learning_rate=-1.0" in err
  (tested,) = [line for line in runs.lines(tmp_path / "R/T1/faithful/seed0")
               if line["kind"] == "test"]
  assert row(tmp_path, "T1", "faithful (quickstart.py)")[3:8] == [
      "test squared error per pixel", "1.0", "<= 0.5000, reached",
      f"{tested['squared_error']:.4f} (1)", "not run"]
  assert "learning_rate=-1.0" in row(tmp_path, "T2")[6]
  text = (tmp_path / "R/RESULTS.md").read_text()
  assert "- versions: python 3" in text and " core" in text
  code, out, err = runs.finish(program("--only=T1/faithful", "--workdir=R"))
  assert (code, err) == (0, "") and "[1/1] T1/faithful, seed 0: is complete" in out


@pytest.mark.full
def test_ctrl_c_saves_the_run_writes_the_table_and_the_same_command_goes_on(program, tmp_path):
  for number in (signal.SIGINT, signal.SIGTERM):
    process = program("--only=better", "--workdir=R")
    for line in process.stdout:
      if line.startswith("epoch "):
        break
    process.send_signal(number)
    code, _, err = runs.finish(process)
    assert code == 128 + number, err
    cells = row(tmp_path, "T1", "better/long (quickstart.py)")
    epoch = int(cells[6].split()[2])
    assert cells[6] == f"at epoch {epoch} of 100000" and epoch >= 1
    record = json.loads((tmp_path / "R/T1/better-long/seed0/reproduce.json").read_text())
    assert record["complete"] is None and record["failed"] is None and record["seconds"] > 0
    first = (epoch, record["seconds"]) if number == signal.SIGINT else first
  assert epoch > first[0] and record["seconds"] > first[1]
