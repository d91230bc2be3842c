"""tfae.data.reading: images in files train as those in memory do, to the bit."""

import pathlib
import sys
import weakref

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as experiments
from tfae import evaluation, training
from tfae.data import folder, reading
from tfae.data.datasets import Dataset, Split
from tfae.data.pipeline import Batches
from tfae.data.stored import StoredImages
from tfae.errors import InputError

TRAIN, VALIDATION, TEST = 23, 6, 5
TOTAL = 4 * 6  # steps: 23 images in batches of 4, the last one of 3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  """34 grey PNG files of 4x3."""
  path = tmp_path_factory.mktemp("images")
  random = np.random.default_rng(0)
  for i in range(TRAIN + VALIDATION + TEST):
    Image.fromarray(random.integers(0, 256, (4, 3), np.uint8)).save(path / f"{i:02}.png")
  return path


@pytest.fixture
def files(root):
  return folder.read(root, (4, 3), 1)[0][0]


@pytest.fixture
def data(files):
  """(images in files, the same in memory) as data sets whose names and checksums agree."""
  rows = np.split(np.arange(TRAIN + VALIDATION + TEST), [TRAIN, TRAIN + VALIDATION])
  labels = [(row % 3).astype(np.uint8) for row in rows]
  lazy = Dataset("images", *(Split(files.subset(r), l) for r, l in zip(rows, labels)), 255)
  held = Dataset("images", *(Split(files[r], l) for r, l in zip(rows, labels)), 255)
  held.__dict__["sha256"] = lazy.sha256  # so that a run may go on with either
  return lazy, held


def pair(files, batch_size=4, **options):
  return (Batches(files, batch_size, seed=3, **options),
          Batches(files[:], batch_size, seed=3, **options))


def assert_reads(lazy, held, first, count, steps):
  images, = lazy.read(first, count, steps)
  indices = held.indices(tf.constant(first, tf.int64), steps)
  assert images.shape == (steps, held.batch_size, 4, 3, 1) and images.dtype == tf.uint8
  for i in range(count):
    expected, found = held.gather(indices[i]), lazy.gather(indices[i], images[i])
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert found.inputs is found.images
  np.testing.assert_array_equal(images[count:], 0)


def test_what_is_read_is_what_a_data_set_in_memory_gathers_padding_included(files):
  lazy, held = pair(files)
  assert lazy.steps_per_epoch == 9 and held.read(0, 1, 1) == () == held.read_signature(3)
  for first, count in ((0, 3), (3, 5), (8, 1), (9, 2), (11, 5), (16, 2), (18, 5)):
    assert_reads(lazy, held, first, count, 5)


def test_reading_begins_anew_at_any_step_and_goes_on_by_itself(files, monkeypatch):
  lazy, held = pair(files)
  begun = []
  original = reading.ReadAhead._batches
  monkeypatch.setattr(reading.ReadAhead, "_batches", lambda self, step, ahead: (
      begun.append(step), original(self, step, ahead))[1])
  for first, count in ((7, 2), (9, 1), (10, 3), (0, 2), (2, 3), (2, 3), (25, 2), (27, 1)):
    assert_reads(lazy, held, first, count, 3)
  assert begun == [7, 0, 2, 25]


def test_without_a_part_of_what_was_read_a_batch_is_decoded_by_itself(files):
  lazy, held = pair(files, labels=np.arange(34))
  row = tf.constant([5, 0, 33, -1])
  for found, expected in zip(lazy.gather(row), held.gather(row)):
    np.testing.assert_array_equal(found, expected)


def test_what_was_read_is_on_the_device_of_the_data(files):
  lazy, _ = pair(files, device="/device:CPU:2")
  images, = lazy.read(0, 1, 2)
  assert images.device.endswith("/device:CPU:2")
  assert lazy.read_signature(2)[0].is_compatible_with(images)


def test_a_loop_has_at_most_16_mib_of_images(files):
  assert pair(files, batch_size=1)[0].most_steps == 2**24 // 12
  big = StoredImages(files.store, (1024, 1024, 3))
  assert Batches(big, 4).most_steps == 1
  assert Batches(big, 3).most_steps == 1 and Batches(big, 1).most_steps == 5


def experiment(**fields):
  defaults = {"data": experiments.Data("images", size=(4, 3), channels=1, validation=6),
              "epochs": 4, "checkpoints": experiments.Checkpoints(0.0), "steps_per_loop": 5,
              "logging": experiments.Logging(steps=4, tensorboard=False)}
  return runs.experiment(**{**defaults, **fields})


@pytest.mark.parametrize("fields, most_steps", [
    ({}, 2),
    ({"steps_per_loop": 1, "model": experiments.Model(
        (tfae.Flatten(), tfae.Dropout(0.3), tfae.Dense(3)), subtract_mean=True)}, 100),
    pytest.param({"jit_compile": "on"}, 100, marks=pytest.mark.full)])
def test_training_on_files_ends_with_the_bits_of_training_in_memory(
    data, tmp_path, monkeypatch, fields, most_steps):
  monkeypatch.setattr(reading, "_MOST_BYTES", most_steps * 4 * 12)
  run = training.prepare(experiment(**fields), data[0])
  assert run.loop.steps_per_loop == min(most_steps, experiment(**fields).steps_per_loop)
  results = [training.train(experiment(**fields), tmp_path / name, data=images)
             for name, images in zip(("files", "memory"), data)]
  assert results[0].step == TOTAL and results[0] == results[1]
  runs.assert_same_bits(tmp_path / "files", tmp_path / "memory")
  assert len({(tmp_path / name / "examples.npy").read_bytes() for name in ("files", "memory")}) == 1


def test_a_run_on_files_that_was_cut_anywhere_goes_on_to_the_same_bits(data, tmp_path):
  training.train(experiment(), tmp_path / "memory", data=data[1])

  def kill(step):
    raise runs.Killed(step)

  # After a step that no checkpoint knows; right after a save, in the middle of an epoch.
  for step, seconds, how in ((8, 1e6, "after"), (15, 0.0, "before")):
    cut = experiment(checkpoints=experiments.Checkpoints(seconds), steps_per_loop=1 + step % 5)
    with pytest.raises(runs.Killed), runs.stops(step, **{how: kill}):
      training.train(cut, tmp_path / "files", data=data[0])
  assert training.train(experiment(), tmp_path / "files", data=data[0]).step == TOTAL
  runs.assert_same_bits(tmp_path / "files", tmp_path / "memory")


def test_a_file_that_changes_during_training_ends_it_by_name_and_the_checkpoint_stays(tmp_path):
  for i in range(TRAIN):
    name = tmp_path / "pictures" / "train" / f"{i:02}.png"
    for path in (name, tmp_path / "pictures" / "test" / f"{i:02}.png"):
      path.parent.mkdir(parents=True, exist_ok=True)
      Image.new("L", (3, 4), i).save(path)
  kept = experiment(data=experiments.Data("images", size=(4, 3), channels=1))
  data = experiments.load_data(kept, tmp_path / "pictures")
  path = tmp_path / "pictures" / "train" / "07.png"
  with pytest.raises(InputError) as caught, runs.stops(
      9, after=lambda step: Image.new("L", (3, 4)).save(path)):
    training.train(kept, tmp_path / "run", data=data)
  assert f"{path}: changed or gone since the run began" in str(caught.value)
  steps = [int(p.stem[5:]) for p in (tmp_path / "run").glob("checkpoints/*.index")]
  assert 4 <= max(steps) < TOTAL


def test_a_file_that_can_not_be_decoded_ends_a_loop_by_name(tmp_path, monkeypatch):
  for i in range(6):
    Image.new("L", (3, 4), i).save(tmp_path / f"{i}.png")
  data = bytearray((tmp_path / "4.png").read_bytes())
  data[data.index(b"IDAT") + 6] ^= 255
  (tmp_path / "4.png").write_bytes(data)
  monkeypatch.setattr("tfae.data.picture.check", lambda data: None)  # which sees the checksum
  lazy = Batches(folder.read(tmp_path, (4, 3), 1)[0][0], 2)
  for _ in range(2):  # it goes on failing
    with pytest.raises(InputError) as caught:
      lazy.read(0, 3, 3)
    assert f"{tmp_path / '4.png'}: can't be decoded (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_evaluation_and_pca_of_files_are_those_of_the_same_images_in_memory(data):
  found = []
  for images in data:
    run = training.prepare(experiment(), images)
    found.append((evaluation.Evaluator(run.model, chunk=2)(images.test),
                  evaluation.pca_errors(images.train.images, images.test.images, 3, 255)))
  assert found[0] == found[1] and 0 < found[0][1]["squared_error"] < 1


def test_nothing_is_read_any_more_once_it_is_closed_and_then_it_begins_anew(files, monkeypatch):
  lazy, held = pair(files)
  made, original = [], reading.ReadAhead._batches

  def batches(self, *arguments):
    made.append(original(self, *arguments))
    return made[-1]
  monkeypatch.setattr(reading.ReadAhead, "_batches", batches)
  for first in range(3):
    assert_reads(lazy, held, first, 1, 6)
    iterator = weakref.ref(lazy._ahead._iterator)  # its end is the end of its threads
    lazy.close()
    assert iterator() is None and len(made) == first + 1
  lazy.close()
  held.close()  # of images in memory there is nothing to end
