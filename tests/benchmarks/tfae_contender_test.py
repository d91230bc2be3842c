"""The contender that runs all of `tfae.train`, a round at a time."""

import pathlib
import sys

from tfae import run as run_module
from tfae import training

ROOT = pathlib.Path(__file__).parents[2]
sys.path.extend([str(ROOT / "tests"), str(ROOT / "benchmarks")])

import runs


def test_the_whole_run_takes_the_steps_that_it_is_let_take(tmp_path, monkeypatch):
  from contenders import tfae as contender
  monkeypatch.setattr(run_module, "time", run_module.time)  # the gate puts its own clock there
  experiment = runs.experiment(epochs=100)
  plain = training.prepare(experiment, runs.dataset())
  run = training.prepare(experiment, runs.dataset(), tmp_path)
  gate = contender.Gate(run)
  gate.start()
  assert run.step == 0
  for end in (4, 9):
    gate.let_pass(end - run.step)
    assert run.step == end
    while plain.step < end:
      plain.step += plain.loop.run(plain.step, min(end, 6 * (plain.step // 6 + 1)) - plain.step)[0]
    for ours, its in zip(run.model.trainable, plain.model.trainable):
      assert (ours.numpy() == its.numpy()).all()
  assert {line["kind"] for line in runs.lines(tmp_path)} <= {"train", "epoch", "validation"}
