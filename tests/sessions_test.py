"""tfae.sessions: every process that trained in a folder is told, and how it ended."""

import json
import pathlib
import platform
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import files, sessions, training
from tfae import workdir as workdirs
from tfae.errors import InputError

DATA = runs.dataset()


def test_a_run_says_command_versions_devices_and_how_it_ended_and_a_resume_adds_to_it(
    tmp_path, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["tfae-train", "--config=x.py"])
  training.train(runs.experiment(), tmp_path, data=DATA)
  config = (tmp_path / "config.json").read_bytes()
  monkeypatch.setattr(sys, "argv", ["other"])
  training.train(runs.experiment(epochs=3), tmp_path, data=DATA)
  first, second = sessions.read(tmp_path)
  assert (first.command, second.command) == (("tfae-train", "--config=x.py"), ("other",))
  assert (first.step, first.total_steps, first.end_step, first.how) == (0, 12, 12, "complete")
  assert (second.step, second.total_steps, second.end_step) == (12, 18, 18)
  assert first.began < first.ended <= second.began < second.ended
  made_on = first.made_on
  assert made_on.pop("machine")
  assert made_on == {"tfae": tfae.__version__, "python": platform.python_version(),
                     "tensorflow": tf.__version__, "numpy": np.__version__}
  assert first.devices == {"encoder": "/CPU:0", "decoder": "/CPU:0", "data": "/CPU:0"}
  assert first.jit == "off: as asked for"
  # The identity knows nothing of it.
  assert json.loads(config)["experiment"].keys() == workdirs.read_config(
      tmp_path)[1]["experiment"].keys()


def test_a_loss_that_is_not_finite_is_told_with_its_step_and_reason(tmp_path):
  with pytest.raises(training.NotFiniteError) as error:
    training.train(runs.experiment(optimizer=tfae.SGD(1e30)), tmp_path, data=DATA)
  (session,) = sessions.read(tmp_path)
  assert (session.how, session.why) == ("not finite", str(error.value))
  assert 0 < session.end_step <= 12


def test_a_full_disk_does_not_hide_that_a_loss_was_not_finite(tmp_path, monkeypatch, caplog):
  write = files.write

  def full(path, content):
    if path.name == sessions.FILE and b"not finite" in content:
      raise InputError(f"{path}: can't be written (No space left on device)")
    write(path, content)

  monkeypatch.setattr(files, "write", full)
  with pytest.raises(training.NotFiniteError):
    training.train(runs.experiment(optimizer=tfae.SGD(1e30)), tmp_path, data=DATA)
  assert "No space left" in caplog.text and sessions.read(tmp_path)[0].how is None


def test_a_killed_process_has_no_end_and_a_damaged_line_is_left_out_with_a_warning(
    tmp_path, caplog):
  assert sessions.read(tmp_path) == []
  with pytest.raises(runs.Killed):
    with runs.stops(7, after=lambda step: (_ for _ in ()).throw(runs.Killed())):
      training.train(runs.experiment(), tmp_path, data=DATA)
  with (tmp_path / sessions.FILE).open("a") as file:
    file.write('{"began": 1, "comm')
  training.train(runs.experiment(), tmp_path, data=DATA)
  killed, whole = sessions.read(tmp_path)
  assert (killed.how, killed.ended) == (None, None) and whole.how == "complete"
  assert "line 2 is damaged" in caplog.text
