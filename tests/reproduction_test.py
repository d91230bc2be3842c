"""tfae.reproduction: runs in their order, resumed, recorded; with a small trainer."""

import dataclasses
import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import jobs, standings
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.jobs import Job
from tfae.reproduction import Reproduction
from tfae.standings import standing
from tfae.specs.systems import Figure, Run, System, configs_folder

# Does what tfae-train does in a run's folder, in no time. `ways` in the folder of all runs says
# how each seed ends; it writes to `started` what it was given.
TRAINER = """
import json, pathlib, runpy, signal, sys, time
import numpy as np
from tfae import experiment, workdir
from tfae.data import datasets
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
folder = pathlib.Path(flags["workdir"])
root = folder.parents[2]
with open(root / "started", "a") as file:
  file.write(" ".join(sys.argv[1:]) + "\\n")
config = runpy.run_path(flags["config"])["get_config"]()
seed = int(flags["config.seed"])
way = json.loads((root / "ways").read_text()).get(folder.parent.name + str(seed), "complete")
config.update({"epochs": int(flags["config.epochs"]), "seed": seed})
split = datasets.Split(np.zeros([3, 8, 8, 1], np.uint8), None)
data = datasets.Dataset("digits", split, None, split, 16)
folder.mkdir(parents=True, exist_ok=True)
if way == "early":
  sys.exit("error: no space is left")
log = open(folder / "metrics.jsonl", "a", buffering=1)
def line(kind, epoch, loss, **more):
  log.write(json.dumps({"kind": kind, "step": 30 * epoch, "epoch": epoch, "loss": loss, **more,
                        "timing": {"time": time.time()}}) + "\\n")
workdir.write_config(folder, "experiment",
                     experiment.to_json(experiment.from_config(config)), data)
if way == "already":
  line("validation", config.epochs, 9.0, closing=True)
  line("test", config.epochs, 9.0)
  sys.exit(0)
print("epoch 1", file=sys.stderr, flush=True)
line("epoch", 1, 0.5)
line("validation", 1, 0.7)
if way == "wait":
  signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
  print("waiting", flush=True)
  time.sleep(60)
if way == "fail":
  print("stopped: step 7: loss is nan", file=sys.stderr)
  sys.exit(3)
if way == "killed":
  import os
  os.kill(os.getpid(), signal.SIGKILL)
for epoch in range(2, config.epochs + 1):
  line("epoch", epoch, 0.5 / epoch)
  line("validation", epoch, 0.7 / epoch)
line("test", config.epochs, 0.1 + seed)
"""

# Adds the line of tfae-evaluate; its `ways` are those of the seed, after "evaluate ".
EVALUATOR = """
import json, pathlib, signal, sys, time
from tfae import workdir
flags = dict(flag[2:].partition("=")[::2] for flag in sys.argv[1:])
folder = pathlib.Path(flags["workdir"])
root = folder.parents[2]
with open(root / "started", "a") as file:
  file.write("evaluate " + " ".join(sys.argv[1:]) + "\\n")
ways = json.loads((root / "ways").read_text())
way = ways.get("evaluate " + folder.parent.name + folder.name[-1:])
if way == "wait":
  signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
  (folder / "waits").touch()
  time.sleep(60)
if way == "fail":
  sys.exit("error: no memory")
if "log_likelihood" in flags:
  workdir.add_line(folder, "log_likelihood", 120, 4, {
      "log_likelihood": -90.5, "samples": int(flags["log_likelihood"]),
      "images": int(flags.get("images", 3)), "split": "test"}, 0.5)
if "pca" in flags:
  workdir.add_line(folder, "pca", 120, 4, {"squared_error": 0.25, "split": "test"}, 0.5)
  sys.exit(1)  # PCA is better
"""

# Adds the line of tfae-anomaly.
DETECTOR = """
import pathlib, sys
from tfae import workdir
folder = pathlib.Path(sys.argv[1].partition("=")[2])
with open(folder.parents[2] / "started", "a") as file:
  file.write("anomaly " + " ".join(sys.argv[1:]) + "\\n")
workdir.add_line(folder, "anomaly", 120, 4, {
    "auroc": 0.75, "split": "test", "method": "quantile", "level": 0.95}, 0.5)
"""

LOSS = Figure("test loss", "test", "loss", "9.9", 1.0)
LOG_LIKELIHOOD = Figure("-log p(x)", "log_likelihood", "log_likelihood", scale=-1)


def make(*runs_):
  return (System("T1", "one", "protocol", tuple(runs_)),)


FIRST = Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 4}, seeds=2)
SECOND = Run("better", "quickstart.py", (LOSS,), variant="more", overrides={"epochs": 5},
             needs="T1/faithful")
LIKELIHOOD = Run("faithful", "quickstart.py", (LOSS, LOG_LIKELIHOOD), overrides={"epochs": 4},
                 seeds=1, likelihood=70)
MADE_ON = {"commit": "abc", "versions": "python 0", "machine": "one core"}


@pytest.fixture(name="root")
def fixture_root(tmp_path):
  path = tmp_path / "runs"
  path.mkdir()
  (path / "trainer.py").write_text(TRAINER)
  (path / "evaluator.py").write_text(EVALUATOR)
  (path / "detector.py").write_text(DETECTOR)
  (path / "ways").write_text("{}")
  return path


@pytest.fixture(autouse=True)
def fixture_path(monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(runs.ROOT))


def reproduce(root, table, only=(), ways=None, seeds=None, **options):
  """Runs the table; returns ({job name: Standing}, what the trainer was given)."""
  (root / "ways").write_text(json.dumps(ways or {}))
  (root / "started").write_text("")
  todo = jobs.plan(jobs.select(table, only), seeds)
  end = Reproduction(table, root, program=(sys.executable, str(root / "trainer.py")),
                     evaluator=(sys.executable, str(root / "evaluator.py")),
                     detector=(sys.executable, str(root / "detector.py")),
                     made_on=lambda: MADE_ON, **options)(todo)
  started = (root / "started").read_text().splitlines()
  return end, {job.name: standing(job, root, table) for job in todo}, started


def states(standings):
  return {name: found.state for name, found in standings.items()}


def test_each_seed_is_one_process_with_its_own_folder_and_complete_ones_are_not_run_again(
    root, capfd):
  table = make(FIRST)
  end, found, started = reproduce(root, table, data_dir="there")
  assert end is None and len(started) == 2
  for seed, flags in enumerate(started):
    assert flags == (f"--config={configs_folder()}/quickstart.py "
                     f"--workdir={root}/T1/faithful/seed{seed} --config.epochs=4 "
                     f"--config.seed={seed} --data_dir=there")
  assert states(found) == {f"T1/faithful, seed {seed}": "complete" for seed in (0, 1)}
  out = capfd.readouterr().out
  assert "[1/2] T1/faithful, seed 0: tfae-train --config=" in out
  assert "\nepoch 1\n" in out  # what the trainer says is passed on
  _, again, started = reproduce(root, table)
  assert started == [] and again == found
  assert "[2/2] T1/faithful, seed 1: is complete" in capfd.readouterr().out
  # A longer run is another matter: it goes on.
  longer = make(Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 6}, seeds=1))
  assert standing(Job(longer[0], longer[0].runs[0], 0), root, longer).text == "at epoch 4 of 6"
  assert len(reproduce(root, longer)[2]) == 1


def test_a_failure_is_recorded_with_its_last_line_and_the_others_go_on(root):
  table = make(Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 4}, seeds=4))
  ways = {"faithful0": "fail", "faithful1": "killed", "faithful2": "early"}
  _, found, started = reproduce(root, table, ways=ways)
  assert len(started) == 4
  assert [s.text for s in found.values()] == [
      "failed: step 7: loss is nan", "failed: killed by signal 9, after 'epoch 1'",
      "failed: no space is left", "complete"]
  # The next time they are tried again.
  _, found, started = reproduce(root, table)
  assert len(started) == 3 and set(states(found).values()) == {"complete"}


def test_a_run_that_needs_another_gets_the_folder_of_the_same_seed_and_is_run_after_it(root):
  needing = Run("better", "quickstart.py", (LOSS,), variant="more", needs="T1/faithful", seeds=3,
                overrides={"epochs": 4, "logging.tensorboard": "{needs}"})
  names = [job.name for job in jobs.plan(jobs.select(make(needing, FIRST), []))]
  assert names == [f"T1/{name}, seed {seed}" for name in ("faithful", "better/more")
                   for seed in range(3)]
  job = Job(make(needing, FIRST)[0], needing, 2)
  assert job.overrides("R", jobs.by_name(make(needing, FIRST))) == {
      "epochs": 4, "seed": 2, "logging.tensorboard": "R/T1/faithful/seed2"}
  table = make(FIRST, SECOND)
  _, found, _ = reproduce(root, table, only=["better"], ways={"faithful1": "fail"}, seeds=2)
  assert states(found) == {"T1/faithful, seed 0": "complete", "T1/faithful, seed 1": "failed",
                           "T1/better/more, seed 0": "complete",
                           "T1/better/more, seed 1": "failed"}
  assert found["T1/better/more, seed 1"].text == (
      "failed: needs T1/faithful, seed 1, which is not complete")


def test_a_folder_that_can_not_be_used_is_said_and_the_other_runs_go_on(root, capfd):
  table = make(dataclasses.replace(FIRST, seeds=3))
  (root / "T1/faithful").mkdir(parents=True)
  (root / "T1/faithful/seed0").write_text("no folder")
  (root / "T1/faithful/seed1").mkdir()
  (root / "T1/faithful/seed1/reproduce.json").write_text('{"seconds": 12')
  _, found, started = reproduce(root, table)
  assert [s.state for s in found.values()] == ["failed", "failed", "complete"]
  assert len(started) == 1 and "seed0" in capfd.readouterr().out


@pytest.mark.parametrize("broken, text", [
    (Run("faithful", "quikstart.py", (LOSS,)), "no such file. Did you mean 'quickstart.py'?"),
    (Run("faithful", "quickstart.py", (LOSS,), overrides={"epoch": 3}), "epoch"),
    (Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": -3}), "epochs=-3"),
])
def test_a_config_that_can_not_be_is_a_failure_and_the_others_run(root, broken, text):
  table = (*make(broken), System("T2", "two", "protocol", (FIRST,)))
  _, found, started = reproduce(root, table, seeds=1)
  assert len(started) == 1
  assert [s.state for s in found.values()] == ["failed", "complete"]
  failed = found["T1/faithful, seed 0"].text
  assert failed.startswith("failed: T1/faithful: config qui") and text in failed


def when(holds, then):
  """Calls `then()` once `holds()`."""
  def watch():
    while not holds():
      time.sleep(0.02)
    then()
  # A daemon: a trainer that never begins is a failure of the test, not a wait for ever.
  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  return thread


def test_ctrl_c_reaches_the_run_once_and_the_next_time_it_goes_on(root, capfd):
  table = make(FIRST)
  log = root / "T1/faithful/seed0/metrics.jsonl"
  thread = when(lambda: log.exists() and log.read_text().count("\n") == 2,
                lambda: os.kill(os.getpid(), signal.SIGINT))
  end, found, started = reproduce(root, table, ways={"faithful0": "wait"})
  thread.join(30)
  assert end == signal.SIGINT and len(started) == 1
  assert [s.text for s in found.values()] == ["at epoch 1 of 4", "not run"]
  assert "stopped; it goes on next time" in capfd.readouterr().out
  _, found, started = reproduce(root, table)
  assert len(started) == 2 and set(states(found).values()) == {"complete"}


def test_seconds_are_those_of_all_sessions_and_of_no_look_at_a_complete_run(root):
  table = make(Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 4}, seeds=1))
  record = root / "T1/faithful/seed0/reproduce.json"

  def seconds():
    return json.loads(record.read_text())["seconds"]

  reproduce(root, table, ways={"faithful0": "fail"})
  first = seconds()
  assert 0.05 < first < 60
  reproduce(root, table)
  assert seconds() > first + 0.05
  # Trained by hand until the end, then looked at: tfae-train has nothing to do.
  values = json.loads(record.read_text())
  record.write_text(json.dumps({**values, "complete": None, "seconds": 5.0}))
  _, found, started = reproduce(root, table, ways={"faithful0": "already"})
  assert len(started) == 1 and found["T1/faithful, seed 0"].state == "complete"
  assert found["T1/faithful, seed 0"].seconds == 5.0
  # Killed together with tfae-reproduce: the session lasted until its last line.
  last = max(line["timing"]["time"] for line in workdirs.read_metrics(record.parent))
  record.write_text(json.dumps({**values, "complete": None, "seconds": 5.0, "began": last - 20}))
  reproduce(root, table, ways={"faithful0": "already"})
  assert seconds() == pytest.approx(25.0)


def test_a_likelihood_is_estimated_in_a_process_of_its_own_after_the_training(root, capfd):
  table = make(LIKELIHOOD)
  _, found, started = reproduce(root, table, data_dir="there")
  folder = root / "T1/faithful/seed0"
  assert started[1:] == [f"evaluate --workdir={folder} --log_likelihood=70 --data_dir=there"]
  (complete,) = found.values()
  assert complete.state == "complete"
  assert standings.read_figure(LOG_LIKELIHOOD, complete.lines) == 90.5
  assert "tfae-evaluate --workdir=" in capfd.readouterr().out
  seconds = complete.seconds
  assert reproduce(root, table)[2] == []
  # More samples, or fewer images: trained it is, and only the estimate is made again.
  for more in ({"likelihood": 80}, {"likelihood_images": 2}):
    other = make(dataclasses.replace(LIKELIHOOD, **more))
    job = Job(other[0], other[0].runs[0], 0)
    missing = standing(job, root, other)
    assert (missing.state, missing.text) == ("trained", "is trained; its log_likelihood is missing")
    assert [line["kind"] for line in missing.lines].count("log_likelihood") == 0
    _, found, started = reproduce(root, other)
    assert len(started) == 1 and started[0].startswith("evaluate ")
    assert states(found) == {job.name: "complete"}
  assert started[0].endswith("--log_likelihood=70 --images=2")
  assert found[job.name].seconds > seconds + 0.05
  # What was there before is a figure of the first table still, and of no table without one.
  assert standing(Job(table[0], LIKELIHOOD, 0), root, table).state == "complete"
  assert len(standing(Job(table[0], LIKELIHOOD, 0), root, table).lines) == len(complete.lines)


def test_a_run_that_pca_beats_is_complete_and_pca_of_another_split_is_no_figure_of_it(root):
  figure = Figure("PCA", "pca", "squared_error")
  plain = Run("faithful", "quickstart.py", (LOSS, figure), overrides={"epochs": 4}, seeds=1)
  reproduce(root, make(plain))
  folder = root / "T1/faithful/seed0"
  workdirs.add_line(folder, "pca", 120, 4, {"squared_error": 0.75, "split": "train"}, 0.5)
  table = make(dataclasses.replace(plain, pca=True))
  _, found, started = reproduce(root, table)
  assert started == [f"evaluate --workdir={folder} --pca"]
  (complete,) = found.values()
  assert complete.state == "complete"
  assert standings.read_figure(figure, complete.lines) == 0.25


def test_anomalies_are_told_by_a_program_of_their_own_with_the_standard_threshold(root):
  auroc = Figure("AUROC", "anomaly", "auroc", higher=True)
  run = Run("faithful", "quickstart.py", (auroc,), overrides={"epochs": 4}, seeds=1, pca=True,
            anomaly=True)
  table = make(run)
  _, found, started = reproduce(root, table)
  folder = root / "T1/faithful/seed0"
  assert started[1:] == [f"evaluate --workdir={folder} --pca", f"anomaly --workdir={folder}"]
  (complete,) = found.values()
  assert complete.state == "complete"
  # Somebody looks at another threshold: no figure of the table.
  for method, level in (("contamination", 0.95), ("quantile", 0.9)):
    workdirs.add_line(folder, "anomaly", 120, 4, {
        "auroc": 0.5, "split": "test", "method": method, "level": level}, 0.5)
  again = standing(Job(table[0], run, 0), root, table)
  assert standings.read_figure(auroc, again.lines) == 0.75
  assert reproduce(root, table)[2] == []


def test_a_failed_or_stopped_estimate_is_made_again_without_the_training(root, capfd):
  table = make(LIKELIHOOD)
  _, found, started = reproduce(root, table, ways={"evaluate faithful0": "fail"})
  assert len(started) == 2
  assert [s.text for s in found.values()] == ["failed: no memory"]
  # Called by hand, for something else: neither complete, nor a figure.
  fitting = {"samples": 70, "images": 3, "split": "test", "step": 120}
  for other in ({"samples": 71}, {"images": 2}, {"split": "validation"}, {"step": 90}):
    values = {**fitting, **other, "log_likelihood": -7.0}
    workdirs.add_line(root / "T1/faithful/seed0", "log_likelihood", values.pop("step"), 4,
                      values, 0.5)
  waits = root / "T1/faithful/seed0/waits"
  thread = when(waits.exists, lambda: os.kill(os.getpid(), signal.SIGINT))
  end, found, started = reproduce(root, table, ways={"evaluate faithful0": "wait"})
  thread.join(30)
  assert end == signal.SIGINT and len(started) == 1 and started[0].startswith("evaluate ")
  assert [s.text for s in found.values()] == ["is trained; its log_likelihood is missing"]
  assert "stopped; it goes on next time" in capfd.readouterr().out
  _, found, started = reproduce(root, table)
  assert len(started) == 1 and set(states(found).values()) == {"complete"}


def test_two_at_once_in_one_folder_are_refused(root):
  with workdirs.locked(root), pytest.raises(InputError, match="another process"):
    reproduce(root, make(FIRST))


def test_a_run_of_another_config_is_no_result_of_this_one(root):
  table = make(FIRST)
  reproduce(root, table)
  other = make(Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 4, "batch_size": 7}))
  found = standing(Job(other[0], other[0].runs[0], 0), root, other)
  assert (found.state, found.text) == ("unfinished", "what is there is of another config")
