"""tfae.workdir: one writer at a time, one identity, and a config.json that says what it is."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, files
from tfae import experiment as ex
from tfae import training, workdir as workdirs
from tfae.errors import InputError

DATA = runs.dataset()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A folder with a finished run; tests that change it take `copy`."""
  path = tmp_path_factory.mktemp("runs") / "run"
  training.train(runs.experiment(), path, data=DATA)
  return path


@pytest.fixture
def config(tmp_path, run):
  """A folder with the run's config.json alone; returns (folder, values, write)."""
  values = json.loads((run / "config.json").read_text())
  del values["checksum"]  # what is changed on purpose is to be judged by itself

  def write(text=None):
    (tmp_path / "config.json").write_text(json.dumps(values) if text is None else text)

  write()
  return tmp_path, values, write


def test_config_json_carries_schema_version_experiment_and_what_the_data_were(run):
  values = json.loads((run / "config.json").read_text())
  assert values["schema"] == workdirs.SCHEMA == 1
  assert values["tfae"] == tfae.__version__
  assert values["data"] == {"name": "idx", "sha256": DATA.sha256, "max_value": 255,
                            "image_shape": [4, 3, 1], "classes": 0,
                            "train": 23, "validation": 6, "test": 5}
  experiment, read = workdirs.read_config(run)
  assert experiment == runs.experiment() and read == values


def test_a_changed_value_is_refused_and_a_config_of_before_the_checksum_is_read(run, config):
  folder, values, write = config
  assert workdirs.read_config(folder)[0] == runs.experiment()
  whole = (run / "config.json").read_text()
  assert whole.count('"learning_rate": 0.01') == 1
  write(whole.replace('"learning_rate": 0.01', '"learning_rate": 0.03'))
  with pytest.raises(InputError, match="config.json: damaged .*checksum"):
    workdirs.read_config(folder)
  write(whole)
  assert workdirs.read_config(folder)[1] == {**values, "checksum": json.loads(whole)["checksum"]}


def test_a_newer_schema_is_refused_with_both_versions(config):
  folder, values, write = config
  values.update(schema=2, tfae="9.9", experiment="of another form", data=None)
  write()
  with pytest.raises(InputError, match="schema 2 was written by tfae 9.9; this one .*reads up to 1"
                                       ".*Upgrade"):
    workdirs.read_config(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "{}", '{"schema": 1}',
                                  '{"schema": "1"}', "\0", '{"schema": 1, "experiment": {}}'])
def test_a_config_json_that_is_no_config_is_damaged(config, text):
  folder, _, write = config
  write(text)
  with pytest.raises(InputError, match="config.json: damaged") as error:
    workdirs.read_config(folder)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("section, field, value", [
    (None, "schema", 0), (None, "schema", True), (None, "tfae", ...), (None, "data", ...),
    (None, "data", []), ("data", "sha256", ...), ("data", "sha256", 5), ("data", "max_value", 0),
    ("data", "max_value", "255"), ("data", "image_shape", 28), ("experiment", "model", ...),
    ("experiment", "model", {"encoder": [{"type": "Dens", "units": 3}]}),
    ("experiment", "model", {"encoder": [{"type": "Dense", "unts": 3}]}),
    ("experiment", "model", {"encoder": [{}]}), ("experiment", "model", 3),
    ("experiment", "seed", "x"), ("experiment", "unknown", 1), ("experiment", "optimizer", None)])
def test_a_damaged_field_of_config_json_is_refused_with_the_file(config, section, field, value):
  folder, values, write = config
  target = values if section is None else values[section]
  if value is ...:
    del target[field]
  else:
    target[field] = value
  write()
  with pytest.raises(InputError, match="config.json: damaged"):
    workdirs.read_config(folder)


def test_no_run_is_an_error_that_says_how_to_train_one(tmp_path):
  (tmp_path / "file").touch()
  for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
    with pytest.raises(InputError, match="holds no run"):
      workdirs.read_config(folder)
  (tmp_path / "config.json").mkdir()
  with pytest.raises(InputError, match="config.json: can't be read"):
    workdirs.read_config(tmp_path)


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path):
  with workdirs.locked(tmp_path / "a" / "b") as path:
    assert path.is_dir()
    with pytest.raises(InputError, match="another process is training there"):
      with workdirs.locked(path):
        pass
    with pytest.raises(InputError, match="another process is training there"):
      training.train(runs.experiment(), path, data=DATA)
  with workdirs.locked(path):
    pass


def test_who_holds_a_folder_clears_what_killed_writers_left(tmp_path):
  (tmp_path / "checkpoints" / ".tmp-1").mkdir(parents=True)
  (tmp_path / ".config.json.tmp-1").touch()
  with workdirs.locked(tmp_path):
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "lock"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
  (tmp_path / "file").touch()
  for path in (tmp_path / "file", tmp_path / "file" / "sub", "/proc/nowhere"):
    with pytest.raises(InputError, match="can't be written to .*another folder"):
      with workdirs.locked(path):
        pass


def test_every_field_of_the_identity_that_differs_is_listed(run):
  other = runs.experiment(
      seed=4, batch_size=5, compute_dtype="bfloat16", optimizer=tfae.SGD(0.5),
      model=ex.Model((tfae.Flatten(), tfae.Dense(5))),
      task=tfae.Reconstruct("sum_squared_error"))
  before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
  with pytest.raises(InputError) as error:
    training.train(other, run, data=runs.dataset(seed=1))
  for text in ("seed: 3 -> 4", "batch_size: 4 -> 5", "compute_dtype: 'float32' -> 'bfloat16'",
               "optimizer.name: 'adam' -> 'sgd'", "optimizer.learning_rate: 0.01 -> 0.5",
               "model.encoder: ", "task.loss: ", "data: sha256 "):
    assert text in str(error.value), text
  assert "Use another workdir" in str(error.value)
  assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_the_config_of_a_run_from_before_there_were_tasks_is_read(run, config):
  folder, values, write = config
  experiment = values["experiment"]
  # As tfae 0.1 wrote it before there were tasks, noise and transfer.
  experiment["model"]["loss"] = experiment.pop("task")["loss"]
  for section in ("corruption", "augmentation", "transfer", "early_stopping"):
    del experiment[section]
  for field in ("latent", "head"):
    del experiment["model"][field]
  values.pop("checksum", None)
  write(json.dumps(values))
  assert workdirs.read_config(folder)[0] == runs.experiment()


def test_checkpoints_without_a_config_are_never_overwritten(tmp_path, run):
  (tmp_path / "checkpoints").mkdir()
  for path in (run / "checkpoints").glob("ckpt-*"):
    (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
  with pytest.raises(InputError, match="has checkpoints but no config.json"):
    training.train(runs.experiment(), tmp_path, data=DATA)


def test_examples_are_test_images_and_a_damaged_file_says_how_to_get_it_back(run, tmp_path):
  np.testing.assert_array_equal(workdirs.read_examples(run), DATA.test.images[:100])
  for content in (None, b"", b"\x93NUMPY", (run / "examples.npy").read_bytes()[:-3]):
    if content is not None:
      (tmp_path / "examples.npy").write_bytes(content)
    with pytest.raises(InputError, match="examples.npy: can't be read"):
      workdirs.read_examples(tmp_path)


def test_a_run_of_any_device_is_loaded_on_another(run):
  model, experiment, config, step = build.load_model(run, "latest", "/CPU:2")
  assert (step, config["tfae"]) == (12, tfae.__version__) and experiment == runs.experiment()
  assert all(v.device.endswith("CPU:2") for v in model.variables)
  kernel = runs.tensors(run)["model/encoder/layers/1/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
  assert model.encoder.layers[1].kernel.numpy().tobytes() == kernel.tobytes()
  _, _, _, best = build.load_model(run, "best")
  assert best in (6, 12)
  with pytest.raises(InputError, match="holds no run"):
    build.load_model(run / "nowhere")


def test_an_added_line_stands_after_the_others_whole_and_a_resumed_run_keeps_it(run, tmp_path):
  folder = tmp_path / "run"
  shutil.copytree(run, folder)
  before = runs.lines(folder)
  with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
    file.write('{"kind": "train", "st')  # torn by a kill
  workdirs.add_line(folder, "log_likelihood", 12, 2, {"log_likelihood": -1 / 3, "samples": 7}, 2.5)
  added = workdirs.read_metrics(folder)[-1]
  timing = added.pop("timing")
  assert added == {"kind": "log_likelihood", "step": 12, "epoch": 2, "log_likelihood": -1 / 3,
                   "samples": 7}
  assert sorted(timing) == ["seconds", "time"] and timing["seconds"] == 2.5
  assert len(workdirs.read_metrics(folder)) == len(before) + 1
  # Complete, then longer: the same bits as ever, and that line beside them.
  for epochs in (2, 3):
    training.train(runs.experiment(epochs=epochs), folder, data=DATA)
    training.train(runs.experiment(epochs=epochs), run_of := tmp_path / "whole", data=DATA)
    lines = runs.lines(folder)
    assert lines.count(added) == 1
    lines.remove(added)
    assert lines == runs.lines(run_of)
  for name, value in runs.tensors(run_of).items():
    assert value.tobytes() == runs.tensors(folder)[name].tobytes(), name


def test_no_line_is_added_to_a_run_in_training_and_none_is_added_by_halves(
    run, tmp_path, monkeypatch):
  shutil.copy(run / "metrics.jsonl", tmp_path)
  content = (tmp_path / "metrics.jsonl").read_bytes()
  add = lambda: workdirs.add_line(tmp_path, "log_likelihood", 12, 2, {}, 0.5)
  with workdirs.locked(tmp_path), pytest.raises(InputError, match="another process is training"):
    add()

  def killed(point):
    if point == "before metrics.jsonl":
      raise runs.Killed

  monkeypatch.setattr(files, "reached", killed)
  with pytest.raises(runs.Killed):
    add()
  assert (tmp_path / "metrics.jsonl").read_bytes() == content
