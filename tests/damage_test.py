"""Damaged files of a real run: an older checkpoint with a warning, or a clear error; never wrong
weights."""

import json
import logging
import pathlib
import shutil
import subprocess
import sys

from hypothesis import given, settings, strategies as st
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import build, checkpoint, training
from tfae import experiment as ex
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.evaluation import Evaluator

DATA = runs.dataset()
EXPERIMENT = runs.experiment(epochs=3, steps_per_loop=2, checkpoints=ex.Checkpoints(0.0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """The folder of a whole run, the weights and the test loss of each of its checkpoints."""
  workdir = tmp_path_factory.mktemp("runs") / "whole"
  training.train(EXPERIMENT, workdir, data=DATA)
  known = {}
  for step in checkpoint.steps(workdir / "checkpoints"):
    model, *_ = build.load_model(workdir, step, "/CPU:0")
    known[step] = (weights_of(model), Evaluator(model)(DATA.test))
  assert len(known) >= 3
  assert len({loss["loss"] for _, loss in known.values()}) == len(known)
  return workdir, known


def weights_of(model):
  return {v.name: v.numpy().tobytes() for v in model.variables}


@pytest.fixture
def copy(whole, tmp_path):
  """A copy of the run to damage, its checkpoints, its newest step and the one before."""
  shutil.copytree(whole[0], tmp_path / "run")
  directory = tmp_path / "run/checkpoints"
  return (tmp_path / "run", directory, *checkpoint.steps(directory)[:2])


def part(directory, step, kind):
  (path,) = directory.glob(f"ckpt-{step}.{kind}*")
  return path


def evaluated(workdir, known):
  """Evaluates the newest usable checkpoint; its weights and loss must be those of its step."""
  model, _, _, step = build.load_model(workdir, "latest", "/CPU:0")
  assert weights_of(model) == known[step][0]
  assert Evaluator(model)(DATA.test) == known[step][1]
  return step


def as_folder(path, _):
  path.unlink()
  path.mkdir()
  (path / "something").touch()


def of_the_one_before(path, before):
  path.write_bytes(before.read_bytes())


DAMAGES = {
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[:-7]),
    "emptied": lambda path, _: path.write_bytes(b""),
    "deleted": lambda path, _: path.unlink(),
    "a folder": as_folder,
    "dangling": lambda path, _: (path.unlink(), path.symlink_to("nowhere")),
    "of another step": of_the_one_before,
    "longer": lambda path, _: path.write_bytes(path.read_bytes() * 2),
}


SHORT = {("data", "truncated"), ("data", "a folder"), ("index", "of another step")}


@pytest.mark.parametrize("kind, damage", [
    pytest.param(kind, damage, marks=() if (kind, damage) in SHORT else pytest.mark.full)
    for kind in ("data", "index") for damage in DAMAGES])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_bits(
    whole, copy, caplog, kind, damage):
  workdir, directory, newest, before = copy
  DAMAGES[damage](part(directory, newest, kind), part(directory, before, kind))
  usable = damage == "longer"  # the bytes that count are whole
  assert evaluated(workdir, whole[1]) == (newest if usable else before)
  with caplog.at_level(logging.WARNING, "tfae"):
    training.train(EXPERIMENT, workdir, data=DATA)
  assert usable or f"ckpt-{newest}" in caplog.text
  runs.assert_same_bits(whole[0], workdir)


@pytest.mark.parametrize("damage", [d for d in DAMAGES if d != "of another step"])
def test_a_damaged_state_file_changes_nothing(whole, copy, damage):
  workdir, directory, newest, _ = copy
  DAMAGES[damage](directory / "checkpoint", None)
  assert evaluated(workdir, whole[1]) == newest
  run = training.prepare(EXPERIMENT, DATA, workdir)
  run.restore()
  assert run.step == newest


def test_a_folder_in_the_place_of_the_state_file_is_an_error_that_names_it(copy):
  workdir, directory, *_ = copy
  as_folder(directory / "checkpoint", None)
  with pytest.raises(InputError, match=r"/checkpoint: can't be written \(Is a directory"):
    training.train(runs.replace(EXPERIMENT, epochs=4), workdir, data=DATA)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["data", "index"])
@pytest.mark.parametrize("damage", ["a folder", "deleted", "emptied"])
def test_damage_to_an_older_checkpoint_does_not_stop_its_removal(copy, whole, damage, kind):
  workdir, directory, newest, before = copy
  DAMAGES[damage](part(directory, before, kind), None)
  assert evaluated(workdir, whole[1]) == newest
  training.train(runs.replace(EXPERIMENT, epochs=5), workdir, data=DATA)
  assert not list(directory.glob(f"ckpt-{before}.*"))


@pytest.mark.full
def test_damage_at_the_same_step_again_keeps_what_was_set_aside_the_first_time(copy):
  workdir, directory, newest, _ = copy
  for content in (b"first", b"second"):
    part(directory, newest, "data").write_bytes(content)
    training.train(EXPERIMENT, workdir, data=DATA)
  kept = {path.read_bytes() for path in (directory / "damaged").glob("*.data-*")}
  assert kept == {b"first", b"second"}


def test_a_whole_checkpoint_under_the_name_of_another_step_is_noticed(whole, copy, caplog):
  workdir, directory, newest, before = copy
  for kind in ("data", "index"):
    part(directory, before, kind).replace(part(directory, newest, kind))
  oldest = checkpoint.steps(directory)[1]
  assert evaluated(workdir, whole[1]) == oldest
  with pytest.raises(InputError, match=f"its files were renamed, they are those of step {before}"):
    build.load_model(workdir, newest, "/CPU:0")
  with caplog.at_level(logging.WARNING, "tfae"):
    training.train(EXPERIMENT, workdir, data=DATA)
  assert f"ckpt-{newest} is damaged (ValueError: its files were renamed" in caplog.text
  runs.assert_same_bits(whole[0], workdir)


@settings(max_examples=25)
@given(data=st.data())
def test_no_random_damage_gives_weights_that_are_not_those_of_their_step(
    whole, tmp_path_factory, data):
  workdir = tmp_path_factory.mktemp("damaged") / "run"
  shutil.copytree(whole[0], workdir)
  directory = workdir / "checkpoints"
  steps = checkpoint.steps(directory)
  for _ in range(data.draw(st.integers(1, 3))):
    paths = sorted(path for path in directory.iterdir() if path.is_file())
    path = data.draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    what = data.draw(st.sampled_from(["flip", "cut", "swap", "zeros", "delete"]))
    if what == "flip" and content:
      content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    elif what == "cut":
      del content[data.draw(st.integers(0, len(content))):]
    elif what == "zeros":  # a block that never reached the disk
      start = data.draw(st.integers(0, len(content)))
      content[start:start + 512] = bytes(len(content[start:start + 512]))
    elif what == "swap":
      other = data.draw(st.sampled_from(paths))
      mine, theirs = path.read_bytes(), other.read_bytes()
      other.write_bytes(mine)
      content = theirs
    path.write_bytes(content)
    if what == "delete":
      path.unlink()
  try:
    assert evaluated(workdir, whole[1]) in steps
  except InputError as error:
    assert "no usable checkpoint" in str(error) or "no checkpoint in" in str(error)
    assert "\n" not in str(error)
  shutil.rmtree(workdir)


def test_an_index_that_cannot_be_read_is_named_and_the_one_before_used(whole, copy, caplog):
  workdir, directory, newest, before = copy
  path = part(directory, newest, "index")
  path.unlink()
  path.symlink_to(path)  # root may read everything, but not this
  with caplog.at_level(logging.WARNING, "tfae"):
    assert evaluated(workdir, whole[1]) == before
  assert f"ckpt-{newest}" in caplog.text


# config.json and metrics.jsonl


@settings(max_examples=150)
@given(data=st.data())
def test_a_flipped_bit_of_config_json_is_refused_or_changes_nothing(
    whole, tmp_path_factory, data):
  workdir = tmp_path_factory.mktemp("damaged")
  content = bytearray((whole[0] / "config.json").read_bytes())
  content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
  (workdir / "config.json").write_bytes(content)
  try:
    experiment, values = workdirs.read_config(workdir)
  except InputError as error:
    assert "config.json" in str(error)
  else:
    good, known = workdirs.read_config(whole[0])
    assert experiment == good and values["data"] == known["data"]


def test_a_digit_of_config_json_that_would_make_another_model_is_refused(copy):
  workdir, *_ = copy
  text = (workdir / "config.json").read_text()
  assert text.count('"max_value": 255') == 1
  (workdir / "config.json").write_text(text.replace('"max_value": 255', '"max_value": 215'))
  for act in (lambda: build.load_model(workdir, "latest", "/CPU:0"),
              lambda: training.train(EXPERIMENT, workdir, data=DATA)):
    with pytest.raises(InputError, match="config.json: damaged .*checksum.*Restore it from a copy"):
      act()


@pytest.mark.parametrize("damage", [
    "emptied", pytest.param("deleted", marks=pytest.mark.full)])
def test_a_log_that_lost_lines_is_named_and_the_run_goes_on(whole, copy, caplog, damage):
  workdir, _, newest, _ = copy
  DAMAGES[damage](workdir / "metrics.jsonl", None)
  with caplog.at_level(logging.WARNING, "tfae"):
    training.train(runs.replace(EXPERIMENT, epochs=4), workdir, data=DATA)
  assert "metrics.jsonl: lines are missing: those of 3 of 3 epochs" in caplog.text
  found = workdirs.read_metrics(workdir)
  assert [line["step"] for line in found if line["kind"] == "epoch"] == [24]
  assert newest == 18


def test_a_log_with_a_broken_line_is_named_and_keeps_the_others(whole, copy, caplog):
  workdir, *_ = copy
  content = (workdir / "metrics.jsonl").read_bytes().split(b"\n")
  broken = next(i for i, text in enumerate(content) if b'"epoch", "step": 12' in text)
  content[broken] = content[broken][:20] + b"\x00" + content[broken][21:]
  (workdir / "metrics.jsonl").write_bytes(b"\n".join(content))
  with caplog.at_level(logging.WARNING, "tfae"):
    training.train(EXPERIMENT, workdir, data=DATA)
  assert f"metrics.jsonl: line {broken + 1} is no whole metrics line" in caplog.text
  assert "those of 1 of 3 epochs" in caplog.text
  assert runs.lines(workdir) == [
      line for line in runs.lines(whole[0]) if (line["kind"], line["step"]) != ("epoch", 12)]


def test_a_log_that_is_a_folder_is_an_error_with_the_way_out(copy):
  workdir, *_ = copy
  as_folder(workdir / "metrics.jsonl", None)
  with pytest.raises(InputError, match="metrics.jsonl: can't be read .*Move it away"):
    training.train(EXPERIMENT, workdir, data=DATA)


@pytest.mark.full
def test_tfae_evaluate_names_the_damage_and_scores_the_checkpoint_before(tmp_path):
  # The binaries, on a run of tfae-train.
  (tmp_path / "config.py").write_text(runs.CONFIG)
  def call(binary, *flags):
    done = subprocess.run([sys.executable, "-m", f"tfae.bin.{binary}", *flags], text=True,
                          capture_output=True, env=runs.ENVIRONMENT, cwd=tmp_path, check=False)
    return done.returncode, done.stdout, done.stderr
  code, _, err = call("train", "--config=config.py", "--workdir=run", "--config.epochs=1")
  assert code == 0, err
  directory = tmp_path / "run/checkpoints"
  newest, before = checkpoint.steps(directory)[:2]
  path = part(directory, newest, "data")
  path.write_bytes(path.read_bytes()[:-1])
  code, out, err = call("evaluate", "--workdir=run")
  assert (code, json.loads(out)["checkpoint"]) == (0, before), err
  assert f"ckpt-{newest}" in err and "damaged" in err
  for step in checkpoint.steps(directory):
    part(directory, step, "index").write_bytes(b"")
  code, out, err = call("evaluate", "--workdir=run")
  assert (code, out) == (2, "") and err.splitlines()[-1].startswith("error: no usable checkpoint")
