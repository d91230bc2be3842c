"""Ctrl-C while a program begins: one line and exit code 130, and Python's own ways elsewhere."""

import pathlib
import signal
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import training
from tfae.bin import cli, interrupt

PROGRAMS = {
    "train": ["--config=quickstart.py", "--workdir={tmp}/new"],
    "evaluate": ["--workdir={tmp}/run"],
    "weights": ["--workdir={tmp}/run", "--out={tmp}/weights.npz"],
    "inspect_model": ["--workdir={tmp}/run"],
    "predict": ["--workdir={tmp}/run", "{tmp}/digit.png"],
    "reproduce": ["--list"],
}


@pytest.fixture(name="cases", scope="module")
def fixture_cases(tmp_path_factory):
  tmp = tmp_path_factory.mktemp("interrupt")
  training.train(ex.Experiment(
      data=ex.Data("digits"), model=ex.Model((tfae.Flatten(), tfae.Dense(2))), steps=1,
      jit_compile="off", logging=runs.QUIET), tmp / "run")
  Image.fromarray(np.zeros([8, 8], np.uint8)).save(tmp / "digit.png")
  return [[name, *(flag.format(tmp=tmp) for flag in flags)] for name, flags in PROGRAMS.items()]


def test_ctrl_c_while_tensorflow_is_imported_is_one_line_for_every_program(cases, tmp_path):
  importing = [case for case in cases if case[0] != "reproduce"]  # that one imports none
  ends = runs.many(importing, tmp_path, ["sklearn.datasets", "tfae.bin.cli"], "tensorflow")
  assert ends == [(130, "", "stopped by signal 2 before it began.\n")] * 5


def test_ctrl_c_while_a_programs_own_modules_are_imported_is_one_line_too(cases, tmp_path):
  ends = runs.many(cases, tmp_path, ["absl.app", "ml_collections", "numpy"], "tfae.bin.cli")
  assert ends == [(130, "", "stopped by signal 2 before it began.\n")] * 6


def test_ctrl_c_while_the_flags_are_read_is_one_line_too(tmp_path):
  (tmp_path / "config.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)")
  (end,) = runs.many([["train", f"--config={tmp_path}/config.py", "--workdir=run"]],
                     tmp_path, ["tfae.bin.cli"])
  assert end == (130, "", "stopped by signal 2.\n")


def test_ctrl_c_when_the_work_has_begun_is_an_exception_that_cleans_up(monkeypatch):
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  cleaned = []

  def main():
    try:
      signal.raise_signal(signal.SIGINT)
    finally:
      cleaned.append(True)

  monkeypatch.setattr(sys, "argv", ["tfae-train"])
  monkeypatch.setattr(interrupt.os, "_exit", lambda code: None)  # what ends it without cleaning
  monkeypatch.setattr(cli.app, "run", lambda *_, **__: main())
  try:
    interrupt.hold()
    with pytest.raises(SystemExit) as end:
      cli.run(main)
    assert (end.value.code, cleaned) == (130, [True])
  finally:
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("started, holds", [
    ("-m", True), ("/usr/bin/tfae-train", True), (runs.ROOT / "tfae/bin/train.py", True),
    ("", False), ("/usr/bin/pytest", False), ("/home/tfae-work/program.py", False)])
def test_only_a_program_of_tfae_takes_ctrl_c_for_itself_and_gives_it_back(
    monkeypatch, started, holds):
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    monkeypatch.setattr(sys, "argv", [str(started)])
    interrupt.hold()
    assert (signal.getsignal(signal.SIGINT) is not signal.default_int_handler) == holds
    interrupt.release()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with interrupt.held(2):
      assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
  finally:
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_who_ignores_or_handles_ctrl_c_goes_on_doing_so(monkeypatch, handler):
  before = signal.signal(signal.SIGINT, handler)
  try:
    monkeypatch.setattr(sys, "argv", ["tfae-train"])
    interrupt.hold()
    with interrupt.held(2):
      assert signal.getsignal(signal.SIGINT) is handler
    interrupt.release()
    assert signal.getsignal(signal.SIGINT) is handler
  finally:
    signal.signal(signal.SIGINT, before)
