"""tfae.metrics: the log is whole lines of what the checkpoint knows, and no more."""

import io
import json
import logging
import sys

from hypothesis import given, strategies as st
import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
import tensorflow as tf

from tfae import metrics
from tfae import workdir as workdirs


def log_of(workdir, step=0, tensorboard=False, epochs=0):
  return metrics.MetricsLog(workdir, step=step, epochs=epochs, tensorboard=tensorboard)


def write(workdir, *lines):
  (workdir / "metrics.jsonl").write_bytes(b"".join(
      line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))


def line(step, kind="train", **values):
  return {"kind": kind, "step": step, "epoch": 1, **values}


def test_a_line_is_one_json_object_with_the_clock_set_apart(tmp_path):
  log = log_of(tmp_path)
  log.write("train", 10, 1, {"loss": 0.1}, {"time": 5.0})
  log.write("test", 20, 2, {"loss": 1 / 3})
  log.close()
  assert [json.loads(text) for text in (tmp_path / "metrics.jsonl").open()] == [
      {"kind": "train", "step": 10, "epoch": 1, "loss": 0.1, "timing": {"time": 5.0}},
      {"kind": "test", "step": 20, "epoch": 2, "loss": 1 / 3}]
  assert workdirs.read_metrics(tmp_path)[1]["loss"] == 1 / 3


def test_lines_after_the_restored_step_and_the_closing_test_line_are_cut_off(tmp_path):
  write(tmp_path, line(10), line(20), line(20, "validation"), line(20, "test"), line(30),
        line(15))
  log_of(tmp_path, step=20).close()
  assert workdirs.read_metrics(tmp_path) == [line(10), line(20), line(20, "validation"), line(15)]
  log_of(tmp_path, step=0).close()
  assert workdirs.read_metrics(tmp_path) == []


def test_a_torn_last_line_is_dropped_with_a_warning_and_the_next_one_starts_afresh(
    tmp_path, caplog):
  write(tmp_path, line(10, loss=0.25), b'{"kind": "train", "step": 20, "epo')
  with caplog.at_level(logging.WARNING, "tfae"):
    log = log_of(tmp_path, step=20)
  assert "metrics.jsonl: line 2 is no whole metrics line" in caplog.text
  log.write("train", 20, 1, {"loss": 0.5})
  log.close()
  assert workdirs.read_metrics(tmp_path) == [line(10, loss=0.25), line(20, loss=0.5)]


@pytest.mark.parametrize("torn", [b"\xff\xfe\n", b"5\n", b"[]\n", b"{}\n", b'"x"\n', b"null\n",
                                  b'{"step": 1}\n', b'{"kind": "a", "step": "x"}\n', b"\n\n",
                                  b'{"kind": "a", "step": 1e999}\n'])
def test_what_is_no_metrics_line_is_left_out(tmp_path, torn):
  write(tmp_path, line(1), torn, line(2))
  assert workdirs.read_metrics(tmp_path) == [line(1), line(2)]


@given(st.binary(max_size=200))
def test_any_bytes_can_stand_in_the_file(tmp_path_factory, content):
  workdir = tmp_path_factory.mktemp("run")
  write(workdir, line(1), content)
  assert workdirs.read_metrics(workdir)[:1] in ([line(1)], [])
  log_of(workdir, step=5).close()


def test_numbers_survive_the_rewriting_to_the_last_bit(tmp_path):
  values = {"a": 0.1 + 0.2, "b": 1e-320, "c": -0.0, "d": 1.7976931348623157e308}
  write(tmp_path, line(1, **values))
  text = (tmp_path / "metrics.jsonl").read_text()
  log_of(tmp_path, step=1).close()
  assert (tmp_path / "metrics.jsonl").read_text() == text


def test_sync_puts_every_line_on_the_disk(tmp_path):
  log = log_of(tmp_path)
  log.write("train", 1, 1, {})
  log.sync()
  assert workdirs.read_metrics(tmp_path) == [line(1)]
  log.close()


def test_without_a_workdir_nothing_is_written(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  log = log_of(None, tensorboard=True)
  log.write("train", 1, 1, {"loss": 1.0})
  log.sync()
  log.close()
  assert not list(tmp_path.iterdir())
  assert workdirs.read_metrics(tmp_path) == []


def test_tensorboard_gets_the_same_numbers(tmp_path):
  log = log_of(tmp_path, tensorboard=True)
  log.write("train", 10, 1, {"loss": 0.5}, {"images_per_second": 7.0})
  log.write("test", 20, 2, {"loss": 0.25})
  log.close()
  (path,) = (tmp_path / "tensorboard").iterdir()
  found = {(value.tag, event.step): float(tf.make_ndarray(value.tensor))
           for event in tf.compat.v1.train.summary_iterator(str(path))
           for value in event.summary.value}
  assert found == {("train/loss", 10): 0.5, ("train/images_per_second", 10): 7.0,
                   ("test/loss", 20): 0.25}


def test_tensorboard_forgets_what_a_resumed_run_takes_again(tmp_path):
  for start, end in ((0, 7), (5, 9)):
    log = log_of(tmp_path, step=start, tensorboard=True)
    for step in range(start + 1, end + 1):
      log.write("train", step, 1, {"loss": step + start / 10})
    log.close()
  events = plugin_event_accumulator.EventAccumulator(
      str(tmp_path / "tensorboard"), {plugin_event_accumulator.TENSORS: 0})
  events.Reload()
  shown = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors("train/loss")]
  assert shown == [(line["step"], pytest.approx(line["loss"]))
                   for line in workdirs.read_metrics(tmp_path)]
  assert [step for step, _ in shown] == list(range(1, 10))


def test_a_log_that_lost_the_lines_of_an_epoch_is_named(tmp_path, caplog):
  write(tmp_path, line(10, "epoch"), line(20, "epoch"), line(25))
  log_of(tmp_path, step=25, epochs=2).close()
  assert not [r for r in caplog.records if r.name.startswith("tfae")]
  log_of(tmp_path, step=35, epochs=3).close()
  assert "metrics.jsonl: lines are missing: those of 1 of 3 epochs" in caplog.text


def test_a_line_is_in_the_file_when_it_was_written(tmp_path):
  log = log_of(tmp_path)
  log.write("train", 1, 1, {"loss": 0.5})
  assert workdirs.read_metrics(tmp_path) == [line(1, loss=0.5)]
  log.close()


def test_progress_without_a_terminal_is_a_line_now_and_then_and_always_the_last(
    capsys, monkeypatch):
  now = [100.0]
  monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
  bar = metrics.Progress(10, 0)
  for text, seconds in (("a", 0), ("b", 1), ("c", 4.5), ("d", 0.1)):
    now[0] += seconds
    bar.advance(1)
    bar.say(text)
  bar.say("end", always=True)
  bar.close()
  out, err = capsys.readouterr()
  assert (out, err) == ("", "a\nc\nend\n")


def test_progress_on_a_terminal_is_a_bar_that_starts_where_the_run_stands(monkeypatch):
  class Terminal(io.StringIO):
    isatty = lambda self: True

  terminal = Terminal()
  monkeypatch.setattr(sys, "stderr", terminal)
  bar = metrics.Progress(10, 4)
  bar.advance(6)
  bar.say("loss 1", always=True)
  bar.close()
  assert "4/10" in terminal.getvalue() and "10/10" in terminal.getvalue()
  assert "loss 1" in terminal.getvalue()


def test_many_torn_lines_are_one_warning_that_names_the_first_of_them(tmp_path, caplog):
  write(tmp_path, *[b"torn\n"] * 7, line(10, loss=0.25))
  assert workdirs.read_metrics(tmp_path) == [line(10, loss=0.25)]
  (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("tfae")]
  assert "lines 1, 2, 3, 4, 5 and 2 more are no whole metrics line" in said


def test_the_wait_for_input_is_a_share_of_the_time_since_the_last_line_and_of_all_time(
    monkeypatch):
  now = [100.0, 7.0]  # the clock, seconds waited
  monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
  wait = metrics.InputWait(lambda: now[1])
  assert wait.summary() is None  # no step was taken
  now[:] = 110.0, 8.0
  assert wait.lap() == {"input_wait": 0.1}
  now[:] = 120.0, 13.0
  assert wait.lap() == {"input_wait": 0.5}
  assert wait.summary() == "waited for input 30.0% of 20 s"


def test_where_nothing_is_waited_for_nothing_is_said_of_it():
  wait = metrics.InputWait(lambda: None)
  assert wait.lap() == {} and wait.summary() is None
