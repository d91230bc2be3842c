"""tfae.standings: the figures that stand in a log; how far runs are: tests/reproduction_test.py."""

import types

import pytest

from tfae import experiment as ex
from tfae import standings
from tfae.errors import InputError
from tfae.specs.systems import Figure

LINES = [{"kind": "epoch", "step": 10 * e, "epoch": e, "loss": 1 / e} for e in (1, 2, 3)] + [
    {"kind": "test", "step": 30, "epoch": 3, "loss": 0.25, "accuracy": 0.975, "timing": {}}]


@pytest.mark.parametrize("figure, expected", [
    (Figure("m", "epoch", "loss"), 1 / 3), (Figure("m", "epoch", "loss", epoch=2), 1 / 2),
    (Figure("m", "test", "loss"), 0.25),
    (Figure("m", "test", "accuracy", scale=-100, offset=100), 2.5)])
def test_a_figure_is_the_last_line_of_its_kind_or_that_of_its_epoch(figure, expected):
  assert standings.read_figure(figure, LINES) == pytest.approx(expected)


@pytest.mark.parametrize("figure, text", [
    (Figure("m", "validation", "loss"), "no validation line"),
    (Figure("m", "epoch", "loss", epoch=28), "no epoch line of epoch 28"),
    (Figure("m", "test", "acuracy"), "it has loss, accuracy. Did you mean 'accuracy'?")])
def test_a_figure_that_is_not_in_the_log_says_what_is(figure, text):
  with pytest.raises(InputError, match=text.replace("?", r"\?")):
    standings.read_figure(figure, LINES)


def test_a_goal_is_reached_by_the_figure_as_it_is_shown():
  assert Figure("m", "test", "loss", goal=0.0332).reached(0.03324)
  assert not Figure("m", "test", "loss", goal=0.0332).reached(0.03326)
  assert Figure("m", "test", "accuracy", goal=97.2, higher=True, digits=1).reached(97.16)
  assert not Figure("m", "test", "accuracy", goal=97.2, higher=True, digits=1).reached(97.14)


@pytest.mark.parametrize("lines, state", [
    (LINES, "complete"), (LINES[:3], "unfinished"), ([], "unfinished")])
def test_a_run_that_is_recorded_as_complete_is_so_only_with_its_test_line(
    monkeypatch, tmp_path, lines, state):
  experiment = ex.Experiment(data=ex.Data("digits"), epochs=3)
  values = {"experiment": ex.to_json(experiment)}
  monkeypatch.setattr(standings.workdirs, "read_config", lambda folder: (folder, values))
  job = types.SimpleNamespace(run=types.SimpleNamespace(evaluations=()))
  record = {"complete": [experiment.epochs, experiment.steps]}
  assert standings.progress(job, experiment, tmp_path, record, lines)[0] == state
