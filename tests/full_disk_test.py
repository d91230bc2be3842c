"""A disk that is full in the middle of a run: one clear error, nothing lost, and it goes on."""

import contextlib
import os
import pathlib
import re
import sys

import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator as event_accumulator

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tmpfs
import victims
from tfae import checkpoint, files, metrics, training
from tfae import experiment as ex
from tfae import workdir as workdirs
from tfae.errors import InputError

DATA = runs.dataset()
EXPERIMENT = runs.experiment(epochs=3, steps_per_loop=2, checkpoints=ex.Checkpoints(0.0))


@pytest.fixture
def disk(tmp_path):
  """A tmpfs of 1 MiB; skips where that can't be mounted."""
  with tmpfs.mounted(tmp_path / "disk", "1m") as folder:
    yield folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "whole"
  training.train(EXPERIMENT, workdir, data=DATA)
  return workdir


@contextlib.contextmanager
def at(monkeypatch, point, passing, act):
  """Calls act() at the n-th passing of a point of `tfae.files.reached`."""
  left = [passing]

  def reached(name):
    left[0] -= name == point
    if name == point and not left[0]:
      act()

  with monkeypatch.context() as patch:
    patch.setattr(files, "reached", reached)
    yield
  assert left[0] <= 0, f"{point} was not passed {passing} times"


def contents(workdir):
  """{path: bytes} of all files but the log, from which a start cuts what no checkpoint knows."""
  return {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()
          and path.suffix != ".jsonl"}


def assert_intact(workdir, whole):
  """All that is there is whole, and there is no litter that takes room."""
  assert not [path for path in workdir.rglob("*") if "tmp" in path.name]
  steps = checkpoint.steps(workdir / "checkpoints")
  for step in steps:
    assert runs.tensors(workdir, step)["progress/step/.ATTRIBUTES/VARIABLE_VALUE"] == step
  if steps[1:]:
    known = [line for line in runs.lines(whole) if line["step"] <= steps[0]]
    log = runs.lines(workdir)  # raises at a torn line
    assert log[:len(known)] == known and log == runs.lines(whole)[:len(log)]


@pytest.mark.parametrize("point, passing, left, named", [
    ("before data", 4, 4096, r"ckpt-\d+"), ("metrics line", 1, 0, r"metrics\.jsonl"),
    *(pytest.param(*case, marks=pytest.mark.full) for case in (
        ("before data", 1, 0, r"ckpt-0"), ("before data", 5, 0, r"ckpt-\d+"),
        ("before data", 6, 8192, r"ckpt-\d+"), ("after data", 4, 0, r"checkpoints/checkpoint"),
        ("after examples.npy", 1, 0, r"ckpt-0"), ("after config.json", 1, 0, r"sessions\.jsonl"),
        ("after sessions.jsonl", 1, 0, r"ckpt-1")))])
def test_a_full_disk_is_one_error_nothing_is_lost_and_with_room_the_run_ends_with_the_same_bits(
    disk, whole, monkeypatch, point, passing, left, named):
  workdir = disk / "run"
  monkeypatch.setattr(metrics.json, "dumps", wide(metrics.json.dumps))
  with at(monkeypatch, point, passing, lambda: tmpfs.fill(disk, left)):
    with pytest.raises(InputError) as error:
      training.train(EXPERIMENT, workdir, data=DATA)
  assert re.search(rf"/{named}: can't be written \(No space left on device, [\d,]+ bytes free\)\. "
                   "Free some space", str(error.value)), error.value
  assert "\n" not in str(error.value)
  assert_intact(workdir, whole)
  before = contents(workdir)
  with pytest.raises(InputError, match="No space left on device"):
    training.train(EXPERIMENT, workdir, data=DATA)  # there is still no room
  assert_intact(workdir, whole)
  assert contents(workdir) == before
  tmpfs.resize(disk, "4m")
  training.train(EXPERIMENT, workdir, data=DATA)
  runs.assert_same_bits(whole, workdir)


def wide(dumps):
  """json.dumps that fills a page: a small line would still fit into the last page of the log."""
  def padded(value, **options):
    text = dumps(value, **options)
    return text if options else text.ljust(4095)
  return padded


def test_a_metrics_line_that_does_not_fit_is_refused_whole(disk):
  log = metrics.MetricsLog(disk, step=0, epochs=0, tensorboard=False)
  log.write("train", 1, 1, {"loss": 0.5})
  tmpfs.fill(disk)
  with pytest.raises(InputError, match="metrics.jsonl: can't be written .No space left"):
    log.write("train", 2, 1, {"loss": "x" * 10_000})  # a part of it would fit into the page
  (disk / "filler").unlink()
  log.write("train", 3, 1, {"loss": 0.25})
  log.close()
  assert [line["step"] for line in workdirs.read_metrics(disk)] == [1, 3]
  assert (disk / "metrics.jsonl").read_bytes().count(b"\n") == 2


def test_events_that_do_not_fit_are_one_error(disk):
  log = metrics.MetricsLog(disk, step=0, epochs=0, tensorboard=True)
  log.write("train", 0, 0, {"loss": 0.5})
  log.sync()
  tmpfs.fill(disk)
  with pytest.raises(InputError, match="tensorboard: can't be written .No space left on device"):
    for step in range(8):  # as events they fill a page long before they do as text
      log.write("train", step, 1, {f"metric_{i}": 0.5 for i in range(20)})
      log.sync()
  with contextlib.suppress(InputError):
    log.close()


def test_a_run_with_events_goes_on_when_there_is_room_and_tensorboard_shows_each_step_once(
    disk, whole, monkeypatch):
  logged = runs.replace(EXPERIMENT, logging=ex.Logging(steps=1, tensorboard=True))
  workdir = disk / "run"
  with at(monkeypatch, "metrics line", 9, lambda: tmpfs.fill(disk)):
    with pytest.raises(InputError, match="can't be written .No space left on device"):
      training.train(logged, workdir, data=DATA)
  (disk / "filler").unlink()
  training.train(logged, workdir, data=DATA)
  assert {k: v.tobytes() for k, v in runs.tensors(whole).items() if k.startswith("model/")} == {
      k: v.tobytes() for k, v in runs.tensors(workdir).items() if k.startswith("model/")}
  events = event_accumulator.EventAccumulator(str(workdir / "tensorboard"),
                                              {event_accumulator.TENSORS: 0})
  events.Reload()
  shown = [event.step for event in events.Tensors("train/loss")]
  found = workdirs.read_metrics(workdir)
  assert shown == [line["step"] for line in found if line["kind"] == "train"]


@pytest.mark.full
def test_tfae_train_on_a_full_disk_is_one_line_with_exit_code_2_and_goes_on_with_room(
    disk, tmp_path):
  with victims.nursery(tmp_path, **{"checkpoints.keep": 30}) as nursery:
    whole = nursery.live(tmp_path / "whole")
    assert whole.code == 0, whole.err
    tmpfs.fill(disk, 150 * 1024)
    for more in (0, 60 * 1024):
      os.truncate(disk / "filler", (disk / "filler").stat().st_size - more)
      life = nursery.live(disk / "run")
      assert life.code == 2, life.err
      *others, last = life.err.splitlines()
      assert last.startswith("error: ") and "No space left on device" in last
      assert not [text for text in others if text.startswith(("error", "Traceback", " "))]
    (disk / "filler").unlink()
    life = nursery.live(disk / "run")
    assert life.code == 0, life.err
    runs.assert_same_bits(tmp_path / "whole", disk / "run")
