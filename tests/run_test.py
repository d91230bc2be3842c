"""tfae.run: what a run asks of its data, its last evaluation, and early stopping."""

import pathlib
import shutil
import signal
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, evaluation
from tfae import experiment as ex
from tfae import strategy, training
from tfae.data import pipeline
from tfae.data.datasets import Dataset, Split
from tfae.errors import InputError

DATA = runs.dataset()
# The validation loss rises several times, and falls again, before it stops falling.
OVERFITS = runs.experiment(epochs=60, seed=4, optimizer=tfae.Adam(0.05),
                           early_stopping=tfae.EarlyStopping(4))


def validations(workdir):
  """[(step, loss)] of the log."""
  return [(line["step"], line["loss"]) for line in runs.lines(workdir)
          if line["kind"] == "validation"]


def expected_stop(losses, patience, min_delta=0.0):
  """The step at which a run ends whose evaluations gave `losses`, written out once more."""
  for n in range(1, len(losses) + 1):
    counted = [losses[0]]
    for step, loss in losses[1:n]:
      if loss < counted[-1][1] - min_delta:
        counted.append((step, loss))
    if n - 1 - [s for s, _ in losses].index(counted[-1][0]) >= patience:
      return losses[n - 1][0]
  return losses[-1][0]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
  """The run that does not stop early: its folder."""
  path = tmp_path_factory.mktemp("runs") / "full"
  result = training.train(runs.replace(OVERFITS, early_stopping=tfae.EarlyStopping()), path,
                          data=DATA)
  assert result.step == 360 and not result.stopped_early
  return path


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
  path = tmp_path_factory.mktemp("runs") / "stopped"
  return path, training.train(OVERFITS, path, data=DATA)


@pytest.mark.parametrize("patience, min_delta", [(4, 0.0), (1, 0.0), (3, 0.002)])
def test_a_run_stops_once_the_validation_loss_has_not_fallen_for_its_patience(
    full, tmp_path, patience, min_delta):
  stopping = runs.replace(OVERFITS, early_stopping=tfae.EarlyStopping(patience, min_delta))
  result = training.train(stopping, tmp_path, data=DATA)
  at = expected_stop(validations(full), patience, min_delta)
  assert 6 * patience < at < 360
  assert (result.step, result.stopped_early) == (at, True)
  # Up to there it is the run that does not stop.
  assert validations(tmp_path) == validations(full)[:at // 6]
  assert [l["step"] for l in runs.lines(tmp_path) if l["kind"] == "test"] == [at]


def test_the_best_weights_are_those_of_the_best_checkpoint(stopped):
  path, result = stopped
  losses = validations(path)
  found = runs.tensors(path)
  best = int(found["progress/best_step/.ATTRIBUTES/VARIABLE_VALUE"])
  assert best == min(losses, key=lambda pair: pair[1])[0] == result.step - 4 * 6
  assert (path / f"checkpoints/ckpt-{best}.index").exists()


def test_a_run_that_was_killed_stops_at_the_same_step_with_the_same_bits(stopped, tmp_path):
  path, result = stopped
  # Between two evaluations that count against the run: what was counted before is in a checkpoint.
  kills = [result.step - 15, result.step - 6]
  def kill(step):
    raise runs.Killed(step)
  frequent = runs.replace(OVERFITS, checkpoints=ex.Checkpoints(0.0), steps_per_loop=2)
  for step in kills:
    with runs.stops(step, before=kill), pytest.raises(runs.Killed):
      training.train(frequent, tmp_path, data=DATA)
  again = training.train(frequent, tmp_path, data=DATA)
  assert (again.step, again.stopped_early) == (result.step, True)
  runs.assert_same_bits(path, tmp_path)


def test_a_run_that_stopped_is_complete_and_goes_on_with_more_patience(stopped, tmp_path):
  path, result = stopped
  shutil.copytree(path, tmp_path / "run")
  again = training.train(OVERFITS, tmp_path / "run", data=DATA)
  assert (again.step, again.traces, again.stopped_early) == (result.step, 0, True)
  runs.assert_same_bits(path, tmp_path / "run")
  more = runs.replace(OVERFITS, early_stopping=tfae.EarlyStopping(6))
  assert training.train(more, tmp_path / "run", data=DATA).step > result.step


def test_early_stopping_without_a_validation_set_is_refused_before_there_is_a_folder(tmp_path):
  data = runs.dataset(validation=0)
  with pytest.raises(InputError, match="early_stopping.patience=4: needs a validation set"):
    training.train(OVERFITS, tmp_path / "run", data=data)
  model = tfae.Autoencoder(encoder := tfae.Stack((tfae.Flatten(), tfae.Dense(2)), (4, 3, 1)),
                           tfae.mirror(encoder))
  with pytest.raises(InputError, match="early_stopping.patience=2: needs a validation set"):
    tfae.fit(model, data, tfae.Adam(), workdir=tmp_path / "run",
             early_stopping=tfae.EarlyStopping(2))
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fields, named", [
    ({"patience": -1}, "early_stopping.patience=-1"), ({"patience": 1.5}, "patience=1.5"),
    ({"patience": 1, "min_delta": -0.1}, "early_stopping.min_delta=-0.1"),
    ({"min_delta": 0.1}, "min_delta=0.1: has no effect with early_stopping.patience=0")])
def test_a_bad_early_stopping_is_refused(fields, named):
  with pytest.raises(InputError, match=named):
    tfae.EarlyStopping(**fields)


def test_the_last_step_is_evaluated_on_validation_and_a_longer_run_knows_nothing_of_it(tmp_path):
  seldom = runs.experiment(logging=ex.Logging(10, 2, False))

  def run(folder, **fields):
    result = training.train(runs.replace(seldom, **fields), tmp_path / folder, data=DATA)
    lines = [line for line in runs.lines(tmp_path / folder) if line["kind"] == "validation"]
    return result, [line for line in lines if "closing" not in line], [
        line for line in lines if "closing" in line]

  # The second time it is complete: the last step is evaluated anew, and has one line.
  for fields, at in (({"steps": 8}, 8), ({"steps": 8}, 8), ({"epochs": 3}, 18)):
    result, regular, (closing,) = run("run", **fields)
    assert (closing.pop("closing"), closing["step"], closing["epoch"]) == (True, at, -(-at // 6))
    assert result.evaluated == {"validation": at, "test": at}
    assert closing["loss"] == result.metrics["validation"]["loss"]
    assert [line["step"] for line in regular] == ([] if at == 8 else [12])
    assert [line["kind"] for line in runs.lines(tmp_path / "run")][-2:] == ["validation", "test"]
  # What it scored: the loss of the weights of that step, taken anew.
  model = build.load_model(tmp_path / "run")[0]
  assert evaluation.Evaluator(model, seed=3)(DATA.validation)["loss"] == closing["loss"]
  _, regular, closing = run("run", epochs=4)
  assert [line["step"] for line in regular] == [12, 24] and closing == []
  run("whole", epochs=4)
  runs.assert_same_bits(tmp_path / "run", tmp_path / "whole")


def test_no_step_is_evaluated_twice_on_validation_and_none_without_an_end(tmp_path):
  where = lambda folder: [(line["step"], line.get("closing")) for line in runs.lines(folder)
                          if line["kind"] == "validation"]
  training.train(runs.experiment(steps=12), tmp_path / "epoch", data=DATA)
  training.train(runs.experiment(steps=12), tmp_path / "epoch", data=DATA)
  assert where(tmp_path / "epoch") == [(6, None), (12, None)]
  with runs.stops(8, after=lambda step: signal.raise_signal(signal.SIGINT)):
    result = training.train(runs.experiment(steps=9), tmp_path / "cut", data=DATA)
  assert (result.step, result.signal) == (8, signal.SIGINT)
  assert where(tmp_path / "cut") == [(6, None)]
  # In no folder there is no log to look at.
  model = tfae.Autoencoder(encoder := tfae.Stack((tfae.Flatten(), tfae.Dense(2)), (4, 3, 1)),
                           tfae.mirror(encoder))
  calls = []
  original = evaluation.Evaluator.__call__
  with pytest.MonkeyPatch.context() as context:
    context.setattr(evaluation.Evaluator, "__call__",
                    lambda self, split: calls.append(split) or original(self, split))
    tfae.fit(model, DATA, tfae.Adam(), batch_size=4, steps=12, jit_compile="off")
  assert calls == [DATA.validation, DATA.validation, DATA.test]


def classifier(classes=3):
  encoder = tfae.Stack((tfae.Flatten(),), (4, 3, 1))
  return tfae.Classifier(encoder, tfae.Stack((tfae.Dense(classes),), (12,), name="head"))


def test_a_classifier_on_data_without_labels_is_refused():
  with pytest.raises(InputError, match="'idx' has no labels, a Classifier needs them"):
    tfae.fit(classifier(), DATA, tfae.Adam(), batch_size=4)


def test_labels_beyond_the_classes_of_a_classifier_are_refused():
  split = lambda s: Split(s.images, np.arange(len(s.images)) % 4)
  data = Dataset("idx", split(DATA.train), None, split(DATA.test), 255)
  with pytest.raises(InputError, match=r"labels go up to 3, the model has 3 classes.*Dense\(4\)"):
    tfae.fit(classifier(3), data, tfae.Adam(), batch_size=4)
  result = tfae.fit(classifier(4), data, tfae.Adam(), batch_size=4, epochs=1, jit_compile="off")
  assert result.step == 6


def test_a_signal_that_comes_while_the_workers_agree_ends_the_run_after_the_next_loop(
    monkeypatch, tmp_path):
  told = []

  def decide(self, count, received):
    del self
    told.append(received)
    if len(told) == 2:  # it has said that it knows of none
      signal.raise_signal(signal.SIGTERM)
    return count, received
  monkeypatch.setattr(strategy.Single, "decide", decide)
  result = training.train(runs.experiment(), tmp_path, data=DATA)
  assert result.signal == signal.SIGTERM and told[:3] == [None, None, signal.SIGTERM]
  assert 0 < result.step < 12


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_read_ahead_ends_with_the_run_however_it_ends(fails, monkeypatch, tmp_path):
  closed = []
  monkeypatch.setattr(pipeline.Batches, "close", lambda self: closed.append(self))

  def read(self, first_step, count, steps):
    del self, count, steps
    if fails and first_step:
      raise InputError("a file is gone")
    return ()
  monkeypatch.setattr(pipeline.Batches, "read", read)
  try:
    training.train(runs.experiment(), tmp_path, data=DATA)
    assert not fails
  except InputError:
    assert fails
  assert len(closed) == 1
