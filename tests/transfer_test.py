"""tfae.transfer: the first weights of a run out of another run or a file, once."""

import json
import logging
import pathlib
import shutil
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, checkpoint, training
from tfae import experiment as ex
from tfae.data.datasets import Dataset, Split
from tfae.errors import InputError
from tfae.tasks.classify import Classify

_split = lambda split: Split(split.images, np.arange(len(split.images)) % 3)
_PLAIN = runs.dataset()
DATA = Dataset("idx", _split(_PLAIN.train), _split(_PLAIN.validation), _split(_PLAIN.test), 255)
ENCODER = runs.experiment().model.encoder
ENCODER_NAMES = [f"encoder/layer_{i}/{w}" for i in (1, 2) for w in ("bias", "kernel")]


def classify(init_from, head=(tfae.Dense(3),), encoder=ENCODER, **transfer):
  return runs.experiment(task=Classify(), model=ex.Model(encoder, head=head),
                         transfer=tfae.Transfer(str(init_from), **transfer))


def weights(workdir, which="latest"):
  return checkpoint.read_weights(pathlib.Path(workdir) / "checkpoints", which)[0]


def record(workdir):
  return json.loads((workdir / "config.json").read_text()).get("transfer")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """A finished run of an autoencoder."""
  path = tmp_path_factory.mktemp("runs") / "source"
  training.train(runs.experiment(epochs=1, seed=8), path, data=DATA)
  return path


@pytest.fixture(scope="module")
def started(source, tmp_path_factory):
  """A finished run of a classifier that started from the source's encoder."""
  path = tmp_path_factory.mktemp("runs") / "started"
  training.train(classify(source), path, data=DATA)
  return path


def test_a_run_starts_from_the_weights_of_another_and_trains_them(source, started, tmp_path):
  first, last, given = weights(started, "0"), weights(started), weights(source)
  fresh = runs.replace(classify(source), transfer=tfae.Transfer())
  training.train(fresh, tmp_path, data=DATA)
  for name in ENCODER_NAMES:
    assert first[name].tobytes() == given[name].tobytes() != last[name].tobytes(), name
  for name in ("head/layer_0/kernel", "head/layer_0/bias"):  # what is not there starts as ever
    assert first[name].tobytes() == weights(tmp_path, "0")[name].tobytes()
  assert record(started)["moved"] == ENCODER_NAMES and record(started)["frozen"] == []


def test_the_log_says_what_was_taken_and_what_was_not(source, tmp_path, caplog):
  with caplog.at_level(logging.INFO, "tfae"):
    training.train(classify(source, exclude="*/layer_1/bias"), tmp_path, data=DATA)
  said = "\n".join(caplog.messages)
  assert f"{source} at step 6: took 3 variables: encoder/layer_1/kernel, encoder/layer_2/" in said
  assert "not there, so that they start anew: head/layer_0/bias, head/layer_0/kernel." in said
  assert "excluded: encoder/layer_1/bias." in said
  assert "there, and not in this model: decoder/layer_0/bias, decoder/layer_1/bias." in said


def test_a_file_gives_the_run_that_the_folder_gives(source, started, tmp_path):
  model, *_ = build.load_model(source)
  tfae.save_weights(model, tmp_path / "w.npz")
  training.train(classify(tmp_path / "w.npz"), tmp_path / "run", data=DATA)
  runs.assert_same_bits(started, tmp_path / "run")
  assert record(tmp_path / "run")["sha256"] == record(started)["sha256"]


def test_the_checkpoint_to_start_from_can_be_chosen(source, tmp_path):
  training.train(classify(source, checkpoint="0"), tmp_path, data=DATA)
  assert weights(tmp_path, "0")["encoder/layer_1/kernel"].tobytes() == \
      weights(source, "0")["encoder/layer_1/kernel"].tobytes()


def test_what_is_frozen_keeps_its_bits_and_trains_nothing(source, tmp_path):
  training.train(classify(f"{source}:encoder", freeze=True), tmp_path, data=DATA)
  first, last = weights(tmp_path, "0"), weights(tmp_path)
  for name in ENCODER_NAMES:
    assert last[name].tobytes() == weights(source)[name].tobytes()
  assert first["head/layer_0/kernel"].tobytes() != last["head/layer_0/kernel"].tobytes()
  assert not any("slots" in name and "encoder" in name for name in runs.tensors(tmp_path))
  assert record(tmp_path)["frozen"] == ["encoder"]
  model, *_ = build.load_model(tmp_path)
  assert model.frozen == {"encoder"}


@pytest.mark.parametrize("freeze", [True, False])
def test_a_run_resumes_to_the_same_bits_when_the_source_is_gone(source, tmp_path, freeze):
  gone = tmp_path / "gone"
  shutil.copytree(source, gone)
  experiment = classify(f"{gone}:encoder", freeze=freeze)
  training.train(experiment, tmp_path / "whole", data=DATA)
  def kill(step):
    raise runs.Killed(step)
  often = runs.replace(experiment, checkpoints=ex.Checkpoints(0.0))
  with runs.stops(8, before=kill), pytest.raises(runs.Killed):
    training.train(often, tmp_path / "run", data=DATA)
  shutil.rmtree(gone)
  assert training.train(often, tmp_path / "run", data=DATA).step == 12
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "run")
  assert record(tmp_path / "run") == record(tmp_path / "whole")
  with pytest.raises(InputError, match="there is no run in .*gone"):
    training.train(experiment, tmp_path / "new", data=DATA)
  assert not (tmp_path / "new").exists()


def test_the_same_weights_of_another_path_are_the_same_run_and_others_are_not(
    source, started, tmp_path):
  shutil.copytree(source, tmp_path / "copy")
  shutil.copytree(started, tmp_path / "run")
  again = training.train(classify(tmp_path / "copy"), tmp_path / "run", data=DATA)
  assert again.traces == 0
  assert record(tmp_path / "run")["init_from"] == str(tmp_path / "copy")
  training.train(runs.experiment(epochs=2, seed=8), tmp_path / "copy", data=DATA)  # goes on
  shutil.copytree(tmp_path / "copy", tmp_path / "other")
  for init_from in (tmp_path / "other", ""):
    with pytest.raises(InputError, match="the run started from '.*copy', which were other weig"):
      training.train(classify(init_from), tmp_path / "run", data=DATA)
  training.train(runs.replace(classify(""), epochs=1), tmp_path / "fresh", data=DATA)
  with pytest.raises(InputError, match="started from 'initializers', which were other weights"):
    training.train(classify(source), tmp_path / "fresh", data=DATA)
  with pytest.raises(InputError, match="holds another run.*transfer.freeze: False -> True"):
    training.train(classify(tmp_path / "copy", freeze=True, exclude="encoder/layer_1/*"),
                   tmp_path / "run", data=DATA)


@pytest.mark.parametrize("options, named", [
    ({"encoder": (tfae.Flatten(), tfae.Dense(5, activation="tanh"), tfae.Dense(3))},
     r"of another shape: encoder/layer_2/bias \(2 there, 3 here\), encoder/layer_2/kernel "
     r"\(5 x 2 there, 5 x 3 here\)"),
    ({"encoder": (tfae.Flatten(), tfae.Dense(5), tfae.Dense(2), tfae.Dense(2)), "freeze": True},
     r"not moved: encoder/layer_3/bias, encoder/layer_3/kernel\. Make the layers those of the "
     r"source, or use transfer\.freeze=False\.$"),
    ({"exclude": "*/bias", "freeze": True},
     r"not moved: encoder/layer_1/bias, encoder/layer_2/bias\. Exclude none of them, or use "
     r"transfer\.freeze=False\.$"),
    ({"prefix": ":encoder/layer_1", "freeze": True},
     r"encoder/layer_2/kernel\. Move all of it, as in init_from='.*/source:encoder', or use "
     r"transfer\.freeze=False\.$"),
    ({"prefix": ":head"}, "no variable of the model under 'head'"),
    ({"exclude": "haed/*"}, r"exclude='haed/\*' matches no variable of the model.*head/layer_0"),
    ({"checkpoint": "5"}, "checkpoint='5': expected")])
def test_what_does_not_fit_is_refused_before_there_is_a_folder(source, tmp_path, options, named):
  options = dict(options)
  init_from = f"{source}{options.pop('prefix', '')}"
  with pytest.raises(InputError, match=named) as error:
    training.train(classify(init_from, **options), tmp_path / "run", data=DATA)
  assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_part_is_left_out_where_a_whole_component_is_left_to_move(source, started, tmp_path):
  deeper = (*ENCODER, tfae.Dense(2))
  with pytest.raises(InputError, match=r"Make the layers.*exclude='encoder/\*'\.$"):
    training.train(classify(started, encoder=deeper, freeze=True), tmp_path / "run", data=DATA)
  again = classify(started, (tfae.Dense(3),), deeper, freeze=True, exclude="encoder/*")
  training.train(again, tmp_path / "run", data=DATA)
  assert record(tmp_path / "run")["frozen"] == ["head"]


def test_a_run_that_would_train_nothing_is_refused(source, started, tmp_path):
  with pytest.raises(InputError, match="nothing is left to train.*init_from='.*:encoder'"):
    training.train(classify(started, freeze=True), tmp_path / "run", data=DATA)


@pytest.mark.parametrize("fields, named", [
    ({"freeze": True}, "transfer.freeze=True: has no effect without transfer.init_from"),
    ({"exclude": "a"}, "transfer.exclude='a': has no effect"),
    ({"checkpoint": "best"}, "transfer.checkpoint='best': has no effect"),
    ({"init_from": "w", "checkpoint": "newest"}, "transfer.checkpoint='newest': expected 'latest'"),
    ({"init_from": 3}, "transfer.init_from=3: expected a string"),
    ({"init_from": "w", "freeze": 1}, "transfer.freeze=1")])
def test_a_bad_section_is_refused(fields, named):
  with pytest.raises(InputError, match=named):
    tfae.Transfer(**fields)


def test_the_mean_image_goes_with_the_component_that_subtracts_it(tmp_path):
  means = runs.experiment(model=ex.Model(ENCODER, subtract_mean=True), epochs=1)
  training.train(means, tmp_path / "source", data=DATA)
  other = runs.dataset(seed=5)
  other = Dataset("idx", _split(other.train), _split(other.validation), _split(other.test), 255)
  target = lambda **options: runs.replace(
      classify(f"{tmp_path}/source:encoder", **options),
      model=ex.Model(ENCODER, head=(tfae.Dense(3),), subtract_mean=True))
  training.train(target(), tmp_path / "with", data=other)
  training.train(target(exclude="mean"), tmp_path / "without", data=other)
  np.testing.assert_array_equal(weights(tmp_path / "with")["mean"],
                                weights(tmp_path / "source")["mean"])
  np.testing.assert_allclose(weights(tmp_path / "without")["mean"],
                             other.train.images.mean(axis=0) / 255, rtol=1e-6)


def test_a_frozen_encoder_keeps_its_moving_averages_those_in_branches_too(tmp_path):
  encoder = (tfae.Flatten(), tfae.BatchNorm(0.5),
             tfae.Branch(((tfae.Dense(12), tfae.BatchNorm(0.5)), ())), tfae.Dense(2))
  head = (tfae.BatchNorm(0.5), tfae.Dense(3))
  training.train(classify("", head, encoder), tmp_path / "source", data=DATA)
  training.train(classify(f"{tmp_path / 'source'}:encoder", head, encoder, freeze=True),
                 tmp_path / "frozen", data=DATA)
  given, found = weights(tmp_path / "source"), weights(tmp_path / "frozen")
  names = [name for name in given if name.startswith("encoder/")]
  assert sum("moving_" in name for name in names) == 4 and "head/layer_0/moving_mean" in given
  for name in names:
    assert found[name].tobytes() == given[name].tobytes(), name
    if "moving_" in name:  # and they had left where they start
      assert (given[name] != float("variance" in name)).all(), name
  assert not np.allclose(found["head/layer_0/moving_mean"], given["head/layer_0/moving_mean"])
