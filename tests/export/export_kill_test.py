"""The exporter itself, killed on a model of 53 MB: no half version, no orphan, no litter."""

import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import publishers
import runs
import tfae
from tfae import experiment as experiments
from tfae import training

SCRIPT = runs.ROOT / "export" / "export_saved_model.py"
KILLS = 3  # of each kind

# The exporter, which says when it begins to publish, and dies at a line if it is told to.
VICTIM = """
import runpy, subprocess, sys
sys.path.append(sys.argv.pop(1))
limit, lines_to = int(sys.argv.pop(1)), sys.argv.pop(1)
import publishers
from tfae import exporting, publish
publishers.TRACED += (exporting.__file__, subprocess.__file__)
original = publish.publish
def told(*arguments):
  print("publishing", flush=True)
  return original(*arguments)
publish.publish = told
del sys.argv[0]
publishers.traced(limit, lambda: runpy.run_path(sys.argv[0], run_name="__main__"), lines_to)
"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  path = tmp_path_factory.mktemp("run")
  training.train(experiments.Experiment(
      data=experiments.Data("digits"), optimizer=tfae.SGD(1e-3), batch_size=100, steps=1,
      model=experiments.Model((tfae.Flatten(), tfae.Dense(2048), tfae.Dense(6400)))), path)
  return path


def verifications(export_dir):
  """Descriptors of the processes that verify something below a folder."""
  found = []
  for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
      arguments = path.read_bytes().split(b"\0")
      if b"-c" in arguments and any(a.startswith(bytes(export_dir / ".tmp-")) for a in arguments):
        found.append(os.pidfd_open(int(path.parent.name)))
    except (FileNotFoundError, ProcessLookupError):
      pass  # it has ended meanwhile
  return found


@pytest.mark.full
def test_an_exporter_killed_while_it_writes_verifies_and_publishes_leaves_the_newest_whole(
    workdir, tmp_path):
  choose = random.Random(6)
  export_dir, lines_to, temporary = (tmp_path / name for name in ("served", "lines", "tmp"))
  temporary.mkdir()

  def start(limit):
    return runs.python("-c", VICTIM, runs.ROOT / "tests", limit, lines_to, SCRIPT,
                       f"--workdir={workdir}", f"--export_dir={export_dir}", "--keep=2",
                       env={**runs.ENVIRONMENT, "TMPDIR": str(temporary)})

  whole = start(-1)
  assert whole.stdout.readline() == "publishing\n"
  begin = time.monotonic()
  code, _, err = runs.finish(whole)
  seconds = time.monotonic() - begin
  assert code == 0, err
  lines = int(lines_to.read_text())
  verifying = left = 0
  for number in range(2 * KILLS):
    limit = choose.randint(1, lines) if number % 2 else -1
    process = start(limit)
    at = choose.uniform(0, seconds)
    if limit < 0 and process.stdout.readline():
      try:
        process.wait(at)
      except subprocess.TimeoutExpired:
        process.kill()
    else:
      process.wait(600)
    orphans = verifications(export_dir)
    verifying += len(orphans)
    code, _, err = runs.finish(process)
    assert code in (0, -signal.SIGKILL), err
    # Whoever verified for the dead ends, too.
    for orphan in orphans:
      assert select.select([orphan], [], [], 300)[0], (number, limit, at)
      os.close(orphan)
    versions, temporaries, others = publishers.names(export_dir)
    assert len(temporaries) <= (code != 0) and not others
    left += len(temporaries)
    assert not list(temporary.iterdir())
    for version in versions:
      publishers.assert_whole(export_dir / str(version), 50_000_000)
    served = tf.saved_model.load(str(export_dir / str(versions[-1]))).signatures
    assert served["encode"](images=tf.zeros([2, 8, 8, 1]))["codes"].shape == (2, 6400)
  # Whatever the random ones hit: one is killed while its verification runs.
  process, orphans = start(-1), []
  while not orphans:
    assert process.poll() is None, runs.finish(process)
    orphans = verifications(export_dir)
  process.kill()
  runs.finish(process)
  for orphan in orphans:
    assert select.select([orphan], [], [], 300)[0]
    os.close(orphan)
  _, temporaries, _ = publishers.names(export_dir)
  assert len(temporaries) == 1 and not list(temporary.iterdir())
  code, _, err = runs.finish(start(-1))
  assert code == 0, err
  versions, temporaries, others = publishers.names(export_dir)
  print(f"\n{2 * KILLS} kills within {lines} lines or {seconds:.1f} s: {left} left a temporary, "
        f"{verifying} a verification, which ended; versions {versions}")
  assert versions == [versions[-1] - 1, versions[-1]] and not temporaries and not others
