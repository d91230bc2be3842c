"""tfae.events, tfae.pictures, tfae.projector: what TensorBoard reads is what there was."""

import dataclasses
import json
import pathlib
import sys

from google.protobuf import text_format
import numpy as np
from PIL import Image
import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.projector import projector_config_pb2
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, projector, randomness, training
from tfae import experiment as ex
from tfae import workdir as workdirs
from tfae.errors import InputError

DATA = runs.dataset()  # 6 steps an epoch
EXPERIMENT = runs.experiment(
    epochs=4, logging=ex.Logging(steps=5, film=0, image_epochs=2, histogram_epochs=2),
    model=ex.Model((tfae.Flatten(), tfae.Dropout(.2), tfae.Dense(5), tfae.BatchNorm(),
                    tfae.Dense(2))), checkpoints=ex.Checkpoints(0.0))


def accumulated(workdir):
  """What TensorBoard's own reader makes of a run, nothing thinned."""
  events = plugin_event_accumulator.EventAccumulator(
      str(workdir / "tensorboard"), {plugin_event_accumulator.TENSORS: 0})
  return events.Reload()


def series(events, tag):
  """[(step, array)] of a tag."""
  return [(e.step, tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]


def bare(tensors):
  return {name: value for name, value in tensors.items() if name.startswith("model/")}


@pytest.fixture(name="whole", scope="module")
def fixture_whole(tmp_path_factory):
  """The uninterrupted run."""
  workdir = tmp_path_factory.mktemp("events") / "whole"
  training.train(EXPERIMENT, workdir, data=DATA)
  return workdir


def test_nothing_that_is_watched_changes_a_bit_of_the_run(whole, tmp_path):
  quiet = runs.replace(EXPERIMENT, logging=ex.Logging(steps=5, film=0, tensorboard=False))
  training.train(quiet, tmp_path, data=DATA)
  runs.assert_same_bits(whole, tmp_path)
  moved = [value for name, value in runs.tensors(whole).items() if "moving_mean" in name]
  assert moved and all(value.any() for value in moved)
  assert not (tmp_path / "tensorboard").exists()


def test_a_picture_has_the_pixels_of_the_images_and_of_their_reconstructions(whole):
  found = series(accumulated(whole), "reconstructions")
  assert [step for step, _ in found] == [0, 12, 24]
  width, height, *encoded = found[-1][1]
  model = build.load_model(whole, "24")[0]
  images = DATA.test.images
  given_back = np.rint(np.clip(model.reconstruct(images).numpy(), 0, 255))
  pixels = tf.io.decode_png(encoded[0]).numpy()
  assert (int(height), int(width)) == pixels.shape[:2] == (12, 25)
  for i in range(5):
    left = 5 * i + 1
    assert (pixels[1:5, left:left + 3] == images[i]).all()
    assert np.abs(pixels[7:11, left:left + 3] - given_back[i]).max() <= 1


def test_histograms_are_of_all_weights_and_of_the_gradients_of_the_next_step(whole, tmp_path):
  events = accumulated(whole)
  model = build.load_model(whole, "24")[0]
  # The run made longer by a step, without moving averages' help: what its first step takes.
  run = training.prepare(EXPERIMENT, DATA, tmp_path)
  for mine, theirs in zip(run.model.variables, model.variables):
    mine.assign(theirs)
  number = tf.constant(24, tf.int64)
  batch = run.batches.gather(run.batches.indices(number, 1)[0])
  key = randomness.fold_in(randomness.stream(3, "training"), 24)
  _, gradients = run.model.loss_and_gradients(batch, key)
  for variable, gradient in zip(model.trainable, gradients):
    name = variable.name.removesuffix(":0")
    for kind, value in (("weights", variable.numpy()), ("gradients", gradient.numpy())):
      found = series(events, f"{kind}/{name}")
      assert [step for step, _ in found] == [0, 12, 24]
      left, right, counts = found[-1][1].T
      assert counts.sum() == value.size
      np.testing.assert_allclose([left.min(), right.max()], [value.min(), value.max()],
                                 rtol=1e-5, atol=1e-8)
      edges = np.append(left, right[-1])
      expected, _ = np.histogram(value, edges)
      assert np.abs(counts - expected).sum() <= 2  # values on an edge


def test_the_graph_is_that_of_the_served_model_and_computes_it(whole):
  graph = tf.compat.v1.GraphDef.FromString(
      next(e.graph_def for e in load(whole) if e.HasField("graph_def")))
  names = [node.name for node in graph.node]
  assert any(name.startswith("encoder/") for name in names)
  assert any(name.startswith("decoder/") for name in names)
  assert sum(node.op == "MatMul" for node in graph.node) == 4
  assert [node.name for node in graph.node if node.name == "images"] == ["images"]


def load(workdir):
  return [event for path in sorted((workdir / "tensorboard").glob("events*"))
          for event in event_file_loader.LegacyEventFileLoader(str(path)).Load()]


def hparams(workdir):
  """{name: value} as TensorBoard's hparams plugin reads them, and its status."""
  found = accumulated(workdir)
  content = lambda tag: found.SummaryMetadata(tag).plugin_data.content
  start = hparams_metadata.parse_session_start_info_plugin_data(
      content(hparams_metadata.SESSION_START_INFO_TAG))
  end = hparams_metadata.parse_session_end_info_plugin_data(
      content(hparams_metadata.SESSION_END_INFO_TAG))
  return {name: getattr(value, value.WhichOneof("kind"))
          for name, value in start.hparams.items()}, end.status


def test_the_hyperparameters_are_the_config(whole):
  found, status = hparams(whole)
  assert status == 1  # STATUS_SUCCESS
  assert found["optimizer.learning_rate"] == 1e-2 and found["batch_size"] == 4
  assert found["model.tied"] is True and found["task.name"] == "reconstruct"
  assert found["model.encoder"] == "Flatten, Dropout, Dense 5, BatchNorm, Dense 2"
  assert found["data.name"] == "idx" and found["data.validation"] == 6
  # What is not trained with, and what was left as it is.
  assert not [name for name in found if name.startswith(("logging", "placement", "checkpoints",
                                                         "augmentation", "data.size"))]
  # Beside them the plugin shows the last of each scalar: the final metrics.
  test = [line for line in runs.lines(whole) if line["kind"] == "test"]
  ((step, loss),) = series(accumulated(whole), "test/loss")
  assert (step, float(loss)) == (24, pytest.approx(test[0]["loss"]))


def test_a_run_of_fit_says_its_model(tmp_path):
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(2)), (4, 3, 1), seed=1)
  tfae.fit(tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255), DATA, tfae.Adam(),
           workdir=tmp_path, batch_size=4, epochs=1, jit_compile="off",
           logging=ex.Logging(image_epochs=1))
  found, _ = hparams(tmp_path)
  assert found["model.encoder"] == "Flatten, Dense 2" and found["epochs"] == 1
  assert [step for step, _ in series(accumulated(tmp_path), "reconstructions")] == [0, 6]


def embedding(workdir):
  """(codes, sprite pixels, labels or None, config) as the projector reads them."""
  folder = workdir / "tensorboard"
  config = text_format.Parse((folder / "projector_config.pbtxt").read_text(),
                             projector_config_pb2.ProjectorConfig())
  (entry,) = config.embeddings
  codes = np.loadtxt(folder / entry.tensor_path, np.float32, delimiter="\t", ndmin=2)
  assert codes.shape == tuple(entry.tensor_shape)
  with Image.open(folder / entry.sprite.image_path) as image:
    pixels = np.asarray(image)
  labels = entry.metadata_path and (folder / entry.metadata_path).read_text().split()
  return codes, pixels, labels, entry


def test_the_projector_has_the_codes_to_the_bit_and_each_image_at_its_place(whole):
  codes, pixels, labels, entry = embedding(whole)
  expected = build.load_model(whole)[0].encode(DATA.test.images).numpy()
  np.testing.assert_allclose(codes, expected, rtol=1e-6)
  assert labels == "" and list(entry.sprite.single_image_dim) == [3, 4]
  assert pixels.shape == (12, 9)  # 3 x 3 cells for 5 images
  for i, image in enumerate(DATA.test.images[..., 0]):
    top, left = i // 3 * 4, i % 3 * 3
    assert (pixels[top:top + 4, left:left + 3] == image).all()
  assert not pixels[8:].any()


def test_classes_have_their_names_in_the_projector_and_a_tab_makes_no_column(tmp_path):
  labelled = {name: dataclasses.replace(split, labels=np.arange(len(split)) % 2)
              for name in ("train", "validation", "test") if (split := getattr(DATA, name))}
  named = dataclasses.replace(DATA, **labelled, class_names=("cats", "a\tdog"))
  training.train(runs.replace(EXPERIMENT, epochs=1), tmp_path, data=named)
  path = tmp_path / "tensorboard" / embedding(tmp_path)[-1].metadata_path
  assert path.read_text() == "cats\na dog\ncats\na dog\ncats\n"


def test_what_the_projector_is_given_is_what_it_reads(tmp_path):
  random = np.random.default_rng(2)
  (tmp_path / "tensorboard").mkdir()
  codes = random.normal(size=(7, 2, 3)).astype(np.float32) * 10.0 ** random.integers(-30, 30, 7)[
      :, None, None].astype(np.float32)
  images = random.integers(0, 256, (7, 5, 4, 3), np.uint8)
  projector.write(tmp_path / "tensorboard", codes, images, np.arange(7) % 4)
  found, pixels, labels, _ = embedding(tmp_path)
  assert found.tobytes() == codes.tobytes() and labels == list("0123012")
  assert (pixels[5:10, 8:12] == images[5]).all()


@pytest.mark.parametrize("images, size, expected", [(1000, 8, 1000), (5, 8, 5), (1000, 512, 512),
                                                    (1000, 10**7, 1)])
def test_long_codes_are_shown_of_fewer_images(images, size, expected):
  assert projector.shown(images, size) == expected


def test_a_run_that_was_killed_and_made_longer_has_each_event_once(whole, tmp_path):
  def kill(step):
    raise runs.Killed(step)

  for step, epochs, seconds in ((4, 4, 0.0), (15, 4, 1e6), (24, 2, 0.0), (99, 2, 0.0)):
    changed = runs.replace(EXPERIMENT, epochs=epochs, checkpoints=ex.Checkpoints(seconds))
    try:
      with runs.stops(step, after=kill):
        training.train(changed, tmp_path, data=DATA)
    except runs.Killed:
      pass
  training.train(EXPERIMENT, tmp_path, data=DATA)
  training.train(EXPERIMENT, tmp_path, data=DATA)  # it was complete already
  one, other = accumulated(whole), accumulated(tmp_path)
  tags = one.Tags()["tensors"]
  assert sorted(tags) == sorted(other.Tags()["tensors"]) and len(tags) > 20
  for tag in tags:
    if "images_per_second" in tag or "time" in tag:
      assert [s for s, _ in series(one, tag)] == [s for s, _ in series(other, tag)], tag
    elif not tag.startswith("_hparams_"):
      assert str(series(one, tag)) == str(series(other, tag)), tag
  assert [step for step, _ in series(other, "test/loss")] == [24]  # as in metrics.jsonl
  assert sum(e.HasField("graph_def") for e in load(tmp_path)) == 1
  assert hparams(tmp_path)[0]["epochs"] == 4


def test_a_classifier_has_graph_and_codes_and_no_pictures(tmp_path):
  labelled = lambda split: tfae.Split(split.images, np.arange(len(split)) % 3)
  data = tfae.Dataset("idx", labelled(DATA.train), None, labelled(DATA.test), 255)
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(4)), (4, 3, 1))
  head = tfae.Stack((tfae.Dense(3),), (4,), name="head")
  model = tfae.Classifier(encoder, head, scale=1 / 255)
  tfae.fit(model, data, tfae.Adam(), workdir=tmp_path, batch_size=4, epochs=1, jit_compile="off",
           logging=ex.Logging(image_epochs=1, projector=3))
  codes, _, labels, _ = embedding(tmp_path)
  np.testing.assert_allclose(codes, model.encode(data.test.images[:3]).numpy(), rtol=1e-6)
  assert labels == ["0", "1", "2"]
  assert "reconstructions" not in accumulated(tmp_path).Tags()["tensors"]
  assert any(e.HasField("graph_def") for e in load(tmp_path))


def test_what_is_off_is_not_there(tmp_path):
  off = ex.Logging(steps=5, film=0, image_epochs=0, graph=False, hparams=False, projector=0)
  training.train(runs.replace(EXPERIMENT, logging=off), tmp_path, data=DATA)
  assert not list((tmp_path / "tensorboard").glob("*codes*"))
  tags = accumulated(tmp_path).Tags()["tensors"]
  assert {tag.split("/")[0] for tag in tags} == {"train", "epoch", "validation", "test"}
  assert not any(e.HasField("graph_def") for e in load(tmp_path))


def test_a_config_of_a_run_of_before_has_the_defaults(whole):
  values = json.loads((whole / "config.json").read_text())["experiment"]
  values["logging"] = {"steps": 5, "evaluate_epochs": 1, "tensorboard": True}
  assert ex.from_json(values).logging == ex.Logging(steps=5)
  assert workdirs.read_config(whole)[0].logging == EXPERIMENT.logging


@pytest.mark.parametrize("fields, said", [
    ({"image_epochs": -1}, "logging.image_epochs=-1: expected an integer"),
    ({"graph": 1}, "logging.graph=1: expected True or False"),
    ({"projector": 10**6}, "logging.projector=1000000: expected an integer from 0 to 10000"),
    ({"histogram_epochs": 2, "tensorboard": False},
     "logging.histogram_epochs=2: has no effect with logging.tensorboard=False")])
def test_bad_fields_are_refused(fields, said):
  with pytest.raises(InputError, match=said):
    ex.Logging(**fields)
