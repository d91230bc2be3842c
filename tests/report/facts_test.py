"""tfae.report.facts: in which state a run is, and how long it took, from its folder alone."""

import json
import pathlib
import shutil
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import sessions, training
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.report import facts

DATA = runs.dataset()


@pytest.fixture(name="complete", scope="module")
def fixture_complete(tmp_path_factory):
  path = tmp_path_factory.mktemp("runs") / "complete"
  training.train(runs.experiment(), path, data=DATA)
  return path


@pytest.fixture(name="copy")
def fixture_copy(complete, tmp_path):
  return pathlib.Path(shutil.copytree(complete, tmp_path / "copy"))


def killed_at(path, step):
  def kill(_):
    raise runs.Killed
  with pytest.raises(runs.Killed), runs.stops(step, after=kill):
    training.train(runs.experiment(), path, data=DATA)


def test_a_complete_run_has_its_steps_numbers_layers_and_checkpoints(complete):
  found = facts.gather(complete)
  assert (found.state.word, found.step, found.total_steps, found.steps_per_epoch) == (
      "complete", 12, 12, 6)
  lines = runs.lines(complete)
  assert found.last("test") == {name: lines[-1][name] for name in ("loss", "squared_error")}
  assert found.metrics_of_splits == ["loss", "squared_error"]
  losses = [line["loss"] for line in lines if line["kind"] == "validation"]
  assert found.series("validation", "loss") == ([6, 12], losses)
  assert found.parameters == 12 * 5 + 5 + 5 * 2 + 2 + 5 + 12
  assert found.code_shape == (2,)
  (newest, *_) = found.checkpoints
  assert newest.step == 12 and newest.what.startswith("newest")
  assert newest.size == sum(path.stat().st_size for path in
                            (complete / "checkpoints").glob("ckpt-12.*"))
  best = 6 * (1 + losses.index(min(losses)))
  assert [c.step for c in found.checkpoints if "lowest" in c.what] == [best]


def test_a_run_in_training_is_told_by_its_lock_and_not_disturbed(copy):
  with workdirs.locked(copy):
    assert facts.gather(copy).state.word == "in training"
    with pytest.raises(InputError, match="another process"):
      with workdirs.locked(copy):
        pass
  found = facts.gather(copy)
  with workdirs.locked(copy):  # what only looked holds nothing
    pass
  assert found.state.word == "complete"


def test_a_killed_run_is_interrupted_and_a_resumed_one_counts_no_pause(tmp_path):
  killed_at(tmp_path / "run", 8)
  found = facts.gather(tmp_path / "run")
  assert found.state.word == "interrupted" and "step 6 of 12" in found.state.text
  # As if a day lay between the two processes.
  path = tmp_path / "run" / sessions.FILE
  path.write_text(json.dumps({**json.loads(path.read_text()), "began": 1000.0}) + "\n")
  lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
  for index, line in enumerate(lines):
    line["timing"]["time"] = 1002.0 + index
  (tmp_path / "run/metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
  training.train(runs.experiment(), tmp_path / "run", data=DATA)
  found = facts.gather(tmp_path / "run")
  assert found.state.word == "complete" and len(found.sessions) == 2
  assert found.seconds[:2] == [2.0, 3.0] and len(found.seconds) == len(found.lines)
  second = found.sessions[1]
  assert found.seconds[-1] == pytest.approx(
      2.0 + len(lines) - 1 + found.lines[-1]["timing"]["time"] - second.began)


def test_what_is_evaluated_later_is_no_training(copy):
  before = facts.gather(copy).seconds[-1]
  workdirs.add_line(copy, "pca", 12, 2, {"squared_error": 0.5}, 1e6)
  found = facts.gather(copy)
  assert found.seconds[-1] == before and found.last("pca") == {"squared_error": 0.5}


def test_a_run_that_diverged_says_where_and_why(tmp_path):
  with pytest.raises(training.NotFiniteError) as error:
    training.train(runs.experiment(optimizer=tfae.SGD(1e30)), tmp_path, data=DATA)
  state = facts.gather(tmp_path).state
  assert state.word == "diverged" and str(error.value) in state.text


def test_a_run_that_has_just_begun_has_no_lines_and_no_seconds(tmp_path):
  killed_at(tmp_path, 1)
  found = facts.gather(tmp_path)
  assert (found.state.word, found.seconds, found.epoch_seconds) == ("just begun", [], None)
  assert found.metrics_of_splits == ["loss"] and found.last("test") == {}


def test_a_run_whose_metrics_are_gone_has_not_just_begun(copy):
  (copy / "metrics.jsonl").unlink()
  state = facts.gather(copy).state
  assert state.word == "unknown" and "step 12 of 12" in state.text
  assert "metrics.jsonl" in state.text


def test_a_training_loss_that_did_not_fall_is_said(copy):
  assert facts.gather(copy).rise == ""
  lines = runs.lines(copy)
  means = [line["loss"] for line in lines if line["kind"] == "epoch"]
  for line in lines:
    if line["kind"] == "epoch":
      line["loss"] = means.pop()  # in the order from behind
  (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  said = facts.gather(copy).rise
  first, last = (line["loss"] for line in lines if line["kind"] == "epoch")
  assert f"{first:.6g} on average in epoch 1, {last:.6g} on average in epoch 2" in said


def test_a_run_without_sessions_is_told_from_its_other_files(copy):
  (copy / sessions.FILE).unlink()
  found = facts.gather(copy)
  assert found.state.word == "complete" and found.sessions == ()
  assert found.seconds[0] == 0 and found.seconds == sorted(found.seconds)
  kept = [line for line in (copy / "metrics.jsonl").open() if json.loads(line)["kind"] != "test"]
  (copy / "metrics.jsonl").write_text("".join(kept))
  assert facts.gather(copy).state.word == "interrupted"


def test_a_run_that_stopped_early_says_so(tmp_path):
  stopping = tfae.EarlyStopping(1, min_delta=1e6)
  training.train(runs.experiment(epochs=9, early_stopping=stopping), tmp_path, data=DATA)
  state = facts.gather(tmp_path).state
  assert state.word == "stopped early" and "of 54" in state.text


def test_a_run_of_fit_has_its_options_and_the_layers_of_its_description(tmp_path):
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(3)], (4, 3, 1), seed=1)
  model = tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255)
  tfae.fit(model, DATA, tfae.Adam(1e-2), epochs=2, batch_size=4, seed=3, workdir=tmp_path,
           logging=runs.QUIET)
  found = facts.gather(tmp_path)
  assert found.experiment is None and found.state.word == "complete"
  assert {s.name: s.value for s in found.settings if s.changed} == {
      "optimizer.learning_rate": "0.01", "logging.film": "0", "logging.steps": "10",
      "logging.tensorboard": "False", "seed": "3", "batch_size": "4", "epochs": "2"}
  assert found.parameters == 12 * 3 + 3 + 12 and found.loss == "mean_squared_error"


def test_a_folder_without_a_run_is_refused(tmp_path):
  with pytest.raises(InputError, match="holds no run"):
    facts.gather(tmp_path)
