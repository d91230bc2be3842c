"""The publisher, as a program."""

import json
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import promoters
import runs

SCRIPT = runs.ROOT / "export" / "publish.py"
# A fork a command, as each defines the flags. Labels are moved in the middle of the night: at once,
# without TensorFlow.
PROGRAM = f"""
import io, json, os, runpy, sys
import tfae.bin.cli
sys.modules["tensorflow"] = None
for line in sys.stdin:
  streams = [os.memfd_create("") for _ in "12"]
  child = os.fork()
  if not child:
    for number, stream in enumerate(streams, 1):
      os.dup2(stream, number)
    sys.argv = [{str(SCRIPT)!r}, *json.loads(line)]
    code = 1
    try:
      runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
      code = end.code or 0
    finally:
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(code)
  code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  said = []
  for stream in streams:
    os.lseek(stream, 0, 0)
    said.append(os.fdopen(stream).read().splitlines())
  print(json.dumps([code, *said]), flush=True)
"""


@pytest.fixture(scope="module")
def run():
  """Calls the program with flags; returns (exit code, lines of stdout, of stderr)."""
  process = runs.python("-c", PROGRAM)

  def call(*arguments):
    process.stdin.write(json.dumps(arguments) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, runs.finish(process)
    return tuple(json.loads(answer))
  yield call
  code, _, err = runs.finish(process)
  assert code == 0, err


@pytest.fixture
def served(tmp_path):
  return promoters.folder(tmp_path / "served")


def test_versions_are_labelled_promoted_rolled_back_and_retired_from_the_command_line(
    run, served):
  folder = f"--export_dir={served}"
  code, out, err = run(folder)
  assert (code, err) == (0, [])
  assert out[-1] == "no label: a server takes the highest version, 4" and len(out) == 6
  for flags, labels, versions in (
      (["--promote=1"], {"stable": 1}, "1234"),
      (["--label=canary:3"], {"canary": 3, "stable": 1}, "1234"),
      (["--promote=canary"], {"canary": 3, "previous": 1, "stable": 3}, "1234"),
      (["--roll_back"], {"canary": 3, "stable": 1}, "1234"),
      (["--unlabel=canary"], {"stable": 1}, "1234"),
      (["--retire=2"], {"stable": 1}, "134"),
      (["--base_path=/srv/m", "--max_batch_size=8"], {"stable": 1}, "134"),
      (["--keep=1"], {"stable": 1}, "14")):
    code, out, err = run(folder, *flags)
    assert (code, err) == (0, []), flags
    assert json.loads((served / "serving.json").read_text())["labels"] == labels, flags
    assert [line.split()[0] for line in out[1:-1]] == list(versions), flags
    for line in out[1:-1]:
      number, _, *named = line.replace(",", "").split()
      assert named == [key for key, v in labels.items() if v == int(number)], flags
  assert "/srv/m, batches of at most 8" in out[-1]


@pytest.mark.parametrize("flags, message", [
    (["--promote=7"], "promote=7: no such version. Expected one of 1, 2, 3, 4."),
    (["--label=canary"], "--label=canary: expected LABEL:VERSION, such as canary:4."),
    (["--promote=1", "--keep=2"], "--promote and --keep: one change at a time."),
    (["--promte=1"], "unknown flag --promte. Did you mean 'promote'?")])
def test_a_mistake_is_one_line_and_exit_code_2_and_changes_nothing(run, flags, message, served):
  assert run(f"--export_dir={served}", *flags) == (2, [], [f"error: {message}"])
  assert sorted(path.name for path in served.iterdir()) == ["1", "2", "3", "4"]
