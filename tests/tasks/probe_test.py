"""The task probe: codes of a frozen encoder, computed once, into a head."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, checkpoint, evaluation, exporting, training
from tfae import experiment as ex
from tfae.data.datasets import Dataset, Split
from tfae.errors import InputError
from tfae.models.probe import ProbeClassifier

_split = lambda split: Split(split.images, np.arange(len(split.images)) % 3)
_PLAIN = runs.dataset()
DATA = Dataset("idx", _split(_PLAIN.train), _split(_PLAIN.validation), _split(_PLAIN.test), 255)
ENCODER = runs.experiment().model.encoder
HEAD = (tfae.Dense(6, activation="relu"), tfae.Dropout(0.3), tfae.Dense(3))


def probe(init_from, latent=0, task=tfae.Probe(), **fields):
  return runs.experiment(**{
      "task": task, "model": ex.Model(ENCODER, latent=latent, head=HEAD),
      "transfer": tfae.Transfer(str(init_from)), "epochs": 3, **fields})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """A finished run of an autoencoder."""
  path = tmp_path_factory.mktemp("runs") / "source"
  training.train(runs.experiment(epochs=1, seed=8), path, data=DATA)
  return path


@pytest.fixture(scope="module")
def variational(tmp_path_factory):
  """A finished run of a variational autoencoder with two latent variables."""
  path = tmp_path_factory.mktemp("runs") / "variational"
  training.train(runs.experiment(
      task=tfae.Variational(), epochs=1,
      model=ex.Model(ENCODER, tied=False, latent=2)), path, data=DATA)
  return path


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory):
  path = tmp_path_factory.mktemp("runs") / "probe"
  return path, training.train(probe(f"{source}:encoder", checkpoints=ex.Checkpoints(keep=9)),
                              path, data=DATA)


def test_training_gives_what_a_classifier_with_a_frozen_encoder_gives(source, tmp_path):
  # No dropout, whose draws are another component's there.
  model = ex.Model(ENCODER, head=(tfae.Dense(6, activation="relu"), tfae.Dense(3)))
  whole = probe(source, task=tfae.Classify(), model=model,
                transfer=tfae.Transfer(f"{source}:encoder", freeze=True))
  one = training.train(probe(source, model=model), tmp_path / "probe", data=DATA)
  other = training.train(whole, tmp_path / "whole", data=DATA)
  assert one.metrics["test"]["loss"] == pytest.approx(other.metrics["test"]["loss"], rel=1e-5)
  a, b = (checkpoint.read_weights(tmp_path / name / "checkpoints")[0] for name in ("probe",
                                                                                   "whole"))
  assert sorted(a) == sorted(b)
  for name in a:
    np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_steps_hold_no_encoder_and_its_weights_keep_their_bits(source, finished):
  path, _ = finished
  run = training.prepare(probe(f"{source}:encoder"), DATA)
  assert run.batches.images.shape == (23, 2)
  assert not any("encoder" in name for _, _, name in run.executed_ops())
  given, first = (checkpoint.read_weights(p / "checkpoints", w)[0]
                  for p, w in ((source, "latest"), (path, "0")))
  last = checkpoint.read_weights(path / "checkpoints")[0]
  for name, value in last.items():
    assert (value.tobytes() == given.get(name, first[name]).tobytes()) == \
        name.startswith("encoder"), name
  assert not any("slots" in name and "encoder" in name for name in runs.tensors(path))


def test_the_codes_are_those_of_the_training_images_in_chunks(source):
  run = training.prepare(probe(source), DATA)
  expected = run.model.encode(DATA.train.images).numpy()
  np.testing.assert_allclose(run.batches.images, expected, rtol=1e-6)
  few = evaluation.computed(run.model.encode, DATA.train, 10)
  np.testing.assert_allclose(few, expected, rtol=1e-6)


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_killed_run_resumes_to_the_same_bits(source, tmp_path, jit):
  experiment = probe(source, jit_compile=jit, checkpoints=ex.Checkpoints(0.0))
  training.train(experiment, tmp_path / "whole", data=DATA)
  def kill(step):
    raise runs.Killed(step)
  for step in (4, 13):
    with runs.stops(step, before=kill), pytest.raises(runs.Killed):
      training.train(experiment, tmp_path / "run", data=DATA)
  assert training.train(experiment, tmp_path / "run", data=DATA).step == 18
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "run")


def test_evaluation_and_classification_start_from_images(finished):
  path, result = finished
  model, *_ = build.load_model(path)
  assert isinstance(model, ProbeClassifier) and model.trainable == model.head.own_variables
  weights = checkpoint.read_weights(path / "checkpoints")[0]
  layer = lambda x, name: x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
  x = DATA.test.images.reshape(5, -1) / 255
  codes = layer(np.tanh(layer(x, "encoder/layer_1")), "encoder/layer_2")
  logits = layer(np.maximum(layer(codes, "head/layer_0"), 0), "head/layer_2")
  odds = np.exp(logits - logits.max(1, keepdims=True))
  odds /= odds.sum(1, keepdims=True)
  probabilities, classes = model.classify(DATA.test.images)
  np.testing.assert_allclose(probabilities, odds, rtol=1e-5)
  np.testing.assert_array_equal(classes, odds.argmax(1))
  loss = -np.log(odds[np.arange(5), DATA.test.labels]).mean()
  assert result.metrics["test"]["loss"] == pytest.approx(loss, rel=1e-5)


def test_the_mean_head_of_a_variational_run_comes_before_the_head(variational, tmp_path):
  result = training.train(probe(variational, latent=2), tmp_path, data=DATA)
  assert result.step == 18
  model, *_ = build.load_model(tmp_path)
  whole, *_ = build.load_model(variational)
  assert list(model.components) == ["encoder", "mean", "head"]
  assert model.frozen == {"encoder", "mean"} and model.code_shape == (2,)
  np.testing.assert_allclose(model.encode(DATA.test.images), whole.encode(DATA.test.images),
                             rtol=1e-6)


def test_a_probe_of_a_file_of_weights_trains(variational, tmp_path):
  model, *_ = build.load_model(variational)
  tfae.save_weights(model, tmp_path / "w.npz")
  training.train(probe(tmp_path / "w.npz", latent=2), tmp_path / "file", data=DATA)
  training.train(probe(variational, latent=2), tmp_path / "folder", data=DATA)
  runs.assert_same_bits(tmp_path / "file", tmp_path / "folder")


def test_a_probe_that_was_built_by_hand_trains_with_fit_and_resumes(tmp_path):
  def make(seed):
    encoder = tfae.Stack(ENCODER, (4, 3, 1), seed=seed)
    return tfae.ProbeClassifier(encoder, tfae.Stack(HEAD, (2,), name="head"), scale=1 / 255)
  fit = lambda name, seed, epochs: tfae.fit(
      make(seed), DATA, tfae.Adam(1e-2), workdir=tmp_path / name, batch_size=4, epochs=epochs,
      logging=runs.QUIET)
  fit("whole", 1, 3)
  fit("run", 1, 1)
  fit("run", 2, 3)  # the checkpoint's encoder counts, not the one that is passed on
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "run")


def test_an_export_classifies_images(finished, tmp_path):
  model, *_ = build.load_model(finished[0])
  exporting.export(model, tmp_path, examples=DATA.test.images, max_value=255)
  loaded = tf.saved_model.load(str(tmp_path / "1"))
  found = loaded.signatures["classify"](tf.constant(DATA.test.images, tf.float32))
  np.testing.assert_allclose(found["probabilities"], model.classify(DATA.test.images)[0],
                             rtol=1e-5)


def test_a_probe_without_a_source_is_refused_at_the_door():
  with pytest.raises(InputError, match=r"task.name='probe': needs a trained encoder.*--init_from="):
    probe("")


@pytest.mark.parametrize("fields", [
    {"corruption": tfae.Corruption("masking", 0.3)}, {"augmentation": tfae.Augmentation(shift=1)}])
def test_distortions_which_the_codes_would_not_show_are_refused(fields):
  with pytest.raises(InputError, match=f"{next(iter(fields))}: has no effect on task.name='probe'"):
    probe("runs/x", **fields)


def test_an_encoder_that_was_moved_in_part_is_refused(source, variational, tmp_path):
  for experiment, missing in (
      (probe(source, latent=2), "mean/layer_0/bias, mean/layer_0/kernel"),
      (probe(f"{variational}:encoder", latent=2), "mean/layer_0/bias, mean/layer_0/kernel"),
      (probe(source, transfer=tfae.Transfer(str(source), "*/bias")),
       "encoder/layer_1/bias, encoder/layer_2/bias")):
    with pytest.raises(InputError, match=f"to be frozen, these were not moved: {missing}"):
      training.train(experiment, tmp_path / "run", data=DATA)
  assert not (tmp_path / "run").exists()
