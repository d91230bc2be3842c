"""tfae.data.records: shards that TensorFlow wrote, and each way in which they can be damaged."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import shards
from tfae import experiment as experiments
from tfae import training
from tfae.data import datasets, records
from tfae.data.pipeline import Batches
from tfae.errors import InputError

FRACTIONS = (0.6, 0.2, 0.2)
OPTIONS = {"size": (4, 3), "channels": 1}
TRAIN, TEST = 23, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """23 train images in 3 shards and 5 test images in one, grey PNG of 4x3; labels up to 2."""
  root = tmp_path_factory.mktemp("shards")
  for part, n, count in (("train", TRAIN, 3), ("test", TEST, 1)):
    shards.write_images(root, part, shards.pictures(n, seed=n)[0], np.arange(n) % 3, count)
  (root / ".hidden.tfrecord").write_bytes(b"x")
  (root / "README").write_bytes(b"x")
  return root


def test_images_and_labels_come_back_in_the_order_of_shards_and_records(folder):
  data = datasets.load("tfrecord", folder, **OPTIONS)
  for split, n in ((data.train, TRAIN), (data.test, TEST)):
    expected = shards.pictures(n, seed=n)[1][..., None]
    np.testing.assert_array_equal(split.images[:], expected)
    np.testing.assert_array_equal(split.images[[3, 0, 3, -1]], expected[[3, 0, 3, -1]])
    assert split.labels.tolist() == [i % 3 for i in range(n)] and split.labels.dtype == np.uint8
  assert data.max_value == 255 and data.classes == 3
  assert data.train.images.names[8] == f"{folder / 'film-train-001.tfrecord'}: record 1"


def test_jpeg_colour_and_other_sizes_are_what_files_of_them_are(tmp_path):
  images = [np.random.default_rng(i).integers(0, 256, (12, 9, 3), np.uint8) for i in range(3)]
  kinds = [("JPEG", {"quality": 90}), ("PNG", {}), ("JPEG", {"progressive": True})]
  files = [shards.encoded(image, kind, **options) for image, (kind, options) in zip(images, kinds)]
  (tmp_path / "files").mkdir()
  for i, data in enumerate(files):
    (tmp_path / "files" / f"{i}").write_bytes(data)
  shards.write(tmp_path / "a.tfrecord", [shards.example(image=data) for data in files])
  expected = datasets.folder.read(tmp_path / "files", (4, 4), 3)[0][0]
  (found, labels), nothing = records.read(tmp_path, (4, 4), 3)
  np.testing.assert_array_equal(found[:], expected[:])
  assert labels is None and nothing is None


def test_the_identity_is_that_of_the_images_however_they_are_cut_into_shards(tmp_path, folder):
  one, other = tmp_path / "one", tmp_path / "other"
  for root, count in ((one, 1), (other, 4)):
    for part, n in (("train", TRAIN), ("test", TEST)):
      shards.write_images(root, part, shards.pictures(n, seed=n)[0], np.arange(n) % 3, count)
  load = lambda root: datasets.load("tfrecord", root, **OPTIONS)
  first = load(folder)
  assert first.sha256 == load(one).sha256 == load(other).sha256
  digest = hashlib.sha256()
  for data in shards.pictures(TEST, seed=TEST)[0]:
    digest.update(f"\0{len(data)}\0".encode() + hashlib.sha256(data).digest())
  assert list(first.test.images.identity()) == [digest.digest()]
  shards.write_images(one, "test", shards.pictures(TEST, seed=1)[0], np.arange(TEST) % 3)
  assert load(one).sha256 != first.sha256
  rows = lambda root: Batches(load(root).train.images, 4, seed=5).read(2, 3, 3)[0].numpy()
  np.testing.assert_array_equal(rows(folder), rows(other))


@pytest.mark.parametrize("cores", [1, 8])
def test_images_come_in_the_order_of_the_seed_however_many_are_decoded_at_a_time(
    tmp_path, monkeypatch, cores):
  monkeypatch.setattr(os, "cpu_count", lambda: cores)
  # Every other one takes far longer than the next.
  images = [np.full((1000, 1000) if i % 2 else (4, 3), 20 * i, np.uint8) for i in range(12)]
  shards.write(tmp_path / "a.tfrecord", [
      shards.example(image=shards.encoded(image)) for image in images])
  batches = Batches(records.read(tmp_path, (4, 3), 1)[0][0], 1, seed=5)
  order = batches.indices(tf.constant(0, tf.int64), 12).numpy()[:, 0]
  assert sorted(order) == list(range(12)) != list(order)
  found = np.concatenate([batches.read(first, 4, 4)[0].numpy()[:, 0] for first in (0, 4, 8)])
  assert found.shape == (12, 4, 3, 1)
  np.testing.assert_array_equal(found[:, 0, 0, 0], 20 * order)
  assert (found == found[:, :1, :1]).all()


def test_a_folder_in_one_part_is_split_by_fractions_and_labels_above_255_are_kept(tmp_path):
  images = shards.pictures(10)[0]
  for i in range(2):
    shards.write(tmp_path / f"{i}.tfrecords", [
        shards.example(image=image, label=300 + i) for image in images[5 * i:5 * i + 5]])
  data = datasets.load("tfrecord", tmp_path, fractions=FRACTIONS, **OPTIONS)
  assert [len(part) for part in (data.train, data.validation, data.test)] == [6, 2, 2]
  assert data.train.labels.dtype == np.int32 and data.classes == 302
  found = np.concatenate([part.images[:] for part in (data.train, data.validation, data.test)])
  assert sorted(image.tobytes() for image in found) == sorted(
      image.tobytes() for image in shards.pictures(10)[1])
  with pytest.raises(InputError, match="no shard has train or test in its name, so data.fractions"):
    datasets.load("tfrecord", tmp_path, **OPTIONS)


def copied(folder, tmp_path):
  root = tmp_path / "copy"
  shutil.copytree(folder, root)
  return root, root / "film-train-001.tfrecord"


def record(path, number):
  """(offset, bytes) of the data of a record, as TensorFlow reads the shard."""
  at = 0
  for i, data in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
    if i == number:
      return at + 12, data
    at += len(data) + 16
  raise AssertionError(number)


def flip(path, at):
  data = bytearray(path.read_bytes())
  data[at] ^= 0x10
  path.write_bytes(data)


def refused(root, path, *parts):
  with pytest.raises(InputError) as caught:
    records.read(root, (4, 3), 1)
  message = str(caught.value)
  assert message.startswith(f"{path}: ") and "\n" not in message
  for part in parts:
    assert part in message


@pytest.mark.parametrize("cut", [1, 4, 5, 60])
def test_a_shard_cut_anywhere_is_named_with_the_record(folder, tmp_path, cut):
  root, path = copied(folder, tmp_path)
  size = path.stat().st_size
  os.truncate(path, size - cut)
  refused(root, path, "record 7 (at byte ", f"truncated: the file ends at byte {size - cut}")
  at, data = record(folder / path.name, 7)
  for end in (at, at - 1, at - 11):
    os.truncate(path, end)
    refused(root, path, f"record 7 (at byte {at - 12})", "truncated")
  os.truncate(path, at - 12)  # a whole record less is another data set, and no damage
  assert len(records.read(root, (4, 3), 1)[0][0]) == TRAIN - 1 and data


@pytest.mark.parametrize("place, said", [
    (lambda at, data: at - 12, "wrong checksum of its length"),
    (lambda at, data: at - 5, "wrong checksum of its length"),
    (lambda at, data: at - 3, "wrong checksum of its length"),
    (lambda at, data: at, "wrong checksum of its data"),
    (lambda at, data: at + data.index(b"IDAT") + 7, "wrong checksum of its data"),
    (lambda at, data: at + len(data) + 1, "wrong checksum of its data")])
def test_a_flipped_bit_of_length_data_or_checksum_is_named_with_the_record(
    folder, tmp_path, place, said):
  root, path = copied(folder, tmp_path)
  at, data = record(path, 3)
  flip(path, place(at, data))
  refused(root, path, f"record 3 (at byte {at - 12})", said)


IMAGE = shards.pictures(1)[0][0]


@pytest.mark.parametrize("bad, parts", [
    (b"hello", ("is no tf.train.Example",)),
    (shards.example(pixels=IMAGE), ("has no feature 'image', but ['pixels']", "Rename")),
    (b"", ("has no feature 'image', but []",)),
    (shards.example(image=[IMAGE, IMAGE]), ("'image' is a list of 2 bytes",)),
    (shards.example(image=3), ("'image' is a list of 1 int",)),
    (shards.example(image=[]), ("'image' is a list of 0 values",)),
    (shards.example(image=IMAGE[:-20]), ("feature 'image': truncated PNG",)),
    (shards.example(image=bytes(12)), ("feature 'image': not a PNG or JPEG file",)),
    (shards.example(image=IMAGE), ("has no feature 'label'", "record 0 has one")),
    (shards.example(image=IMAGE, label=-1), ("'label' is [-1]", "0 to 2147483647")),
    (shards.example(image=IMAGE, label=2**31), ("'label' is [2147483648]",)),
    (shards.example(image=IMAGE, label=0.5), ("'label' is [0.5]",)),
    (shards.example(image=IMAGE, label=[1, 2]), ("'label' is [1, 2]",))])
def test_a_record_that_is_not_taken_is_named_with_what_is_expected(tmp_path, bad, parts):
  good = shards.example(image=IMAGE, label=1)
  path = shards.write(tmp_path / "train.tfrecord", [good, bad, good])
  shards.write(tmp_path / "test.tfrecord", [good])
  refused(tmp_path, path, "record 1", *parts)


def test_a_label_where_the_others_have_none_is_named_too(tmp_path):
  paths = [shards.write(tmp_path / f"{i}.tfrecord", [data]) for i, data in enumerate(
      (shards.example(image=IMAGE), shards.example(image=IMAGE, label=1)))]
  refused(tmp_path, paths[0], "record 0: has no feature 'label'", f"{paths[1]}: record 0 has one")


@pytest.mark.parametrize("names, part", [
    ((), ": has no TFRecord file; expected *train*.tfrecord*"),
    (("train.tfrecord",), ": has no *test*.tfrecord*, only shards such as 'train.tfrecord'"),
    (("train.tfrecord", "test.tfrecord", "val.tfrecord"), "/val.tfrecord: has neither in its name"),
    (("train.tfrecord", "train-test.tfrecord"), "/train-test.tfrecord: has both train and test")])
def test_names_that_do_not_say_what_shards_are_for_are_refused(tmp_path, names, part):
  for name in names:
    shards.write(tmp_path / name, [shards.example(image=IMAGE)])
  with pytest.raises(InputError) as caught:
    records.read(tmp_path, (4, 3), 1)
  assert f"{tmp_path}{part}" in str(caught.value)


def test_compressed_empty_and_missing_shards_are_refused(tmp_path):
  options = tf.io.TFRecordOptions(compression_type="GZIP")
  path = shards.write(tmp_path / "a.tfrecord.gz", [shards.example(image=IMAGE)], options=options)
  refused(tmp_path, path, "is compressed (gzip)", "Unpack it")
  path.unlink()
  refused(tmp_path, shards.write(tmp_path / "a.tfrecord", []), "has no record; expected at least")
  shards.write(tmp_path / "0.tfrecord", [shards.example(image=IMAGE)])
  refused(tmp_path, tmp_path / "a.tfrecord", "has no record")  # though another one has some
  (tmp_path / "0.tfrecord").unlink()
  (tmp_path / "a.tfrecord").unlink()
  (tmp_path / "a.tfrecord").mkdir()
  refused(tmp_path, tmp_path / "a.tfrecord", "can't be read: Is a directory")
  with pytest.raises(InputError, match="nowhere: can't be listed: No such file"):
    records.read(tmp_path / "nowhere", (4, 3), 1)


@pytest.mark.parametrize("change", [
    lambda path: path.unlink(), lambda path: os.truncate(path, 100),
    lambda path: os.utime(path, ns=(0, 0))])
def test_a_shard_that_changed_since_it_was_read_is_named_by_reading_and_reading_ahead(
    folder, tmp_path, change):
  root, path = copied(folder, tmp_path)
  images = records.read(root, (4, 3), 1)[0][0]
  change(path)
  expected = shards.pictures(TRAIN, seed=TRAIN)[1][..., None]
  np.testing.assert_array_equal(images[:7], expected[:7])  # of another shard
  for read in (lambda: images[5:9], lambda: Batches(images, TRAIN).read(0, 1, 1)):
    with pytest.raises(InputError, match="film-train-001.tfrecord: changed or gone since the run"):
      read()


def test_more_shards_than_are_kept_open_are_read_all_the_same(folder, monkeypatch):
  monkeypatch.setattr(records, "_MOST_OPEN", 2)
  opened = []
  original = os.open
  monkeypatch.setattr(os, "open", lambda *given: (opened.append(original(*given)), opened[-1])[1])
  images = records.read(folder, (4, 3), 1)[0][0]
  expected = shards.pictures(TRAIN, seed=TRAIN)[1][..., None]
  for rows in ([22, 0, 10], [10, 22], [0]):
    np.testing.assert_array_equal(images[rows], expected[rows])
  store = images.store
  assert len(store._open) == 2 and len(opened) == 4
  store.__del__()
  for descriptor in opened:  # those that others took the place of too
    with pytest.raises(OSError):
      os.fstat(descriptor)
  store._open.clear()


def experiment(name, **fields):
  defaults = {"data": experiments.Data(name, validation=6, **OPTIONS), "epochs": 3,
              "checkpoints": experiments.Checkpoints(0.0), "steps_per_loop": 3,
              "logging": experiments.Logging(steps=4, tensorboard=False)}
  return runs.experiment(**{**defaults, **fields})


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
  """An uninterrupted run on the shards."""
  workdir = tmp_path_factory.mktemp("runs") / "whole"
  kept = experiment("tfrecord")
  training.train(kept, workdir, data=experiments.load_data(kept, folder))
  return workdir


def test_a_run_cut_in_the_middle_of_an_epoch_goes_on_to_the_bits_of_one_that_was_not(
    folder, whole, tmp_path):
  def kill(step):
    raise runs.Killed(step)

  kept = experiment("tfrecord")
  load = lambda: experiments.load_data(kept, folder)
  assert -(-17 // 4) == 5  # steps an epoch: 17 images in batches of 4
  with pytest.raises(runs.Killed), runs.stops(7, before=kill):
    training.train(kept, tmp_path / "run", data=load())
  size = sum(path.stat().st_size for path in (tmp_path / "run" / "checkpoints").iterdir())
  assert training.train(kept, tmp_path / "run", data=load()).step == 15
  runs.assert_same_bits(whole, tmp_path / "run")
  assert size < 200_000  # of several checkpoints: no buffer of images is in them


def test_the_same_images_as_files_give_the_same_bits(folder, whole, tmp_path):
  for part, n in (("train", TRAIN), ("test", TEST)):
    (tmp_path / "files" / part).mkdir(parents=True)
    for i, data in enumerate(shards.pictures(n, seed=n)[0]):
      (tmp_path / "files" / part / f"{i:02}.png").write_bytes(data)
  kept = experiment("images")
  data = experiments.load_data(kept, tmp_path / "files")
  training.train(kept, tmp_path / "run", data=data)
  runs.assert_same_bits(whole, tmp_path / "run")
  named = {name: datasets.load(name, root, **OPTIONS).sha256
           for name, root in (("images", tmp_path / "files"), ("tfrecord", folder))}
  assert named["images"] != named["tfrecord"]  # of files the names count


def test_finding_records_imports_no_tensorflow(folder):
  code = ("import sys; from tfae.data import datasets; "
          f"datasets.load('tfrecord', {str(folder)!r}, size=(4, 3), channels=1).sha256; "
          "assert 'tensorflow' not in sys.modules")
  subprocess.run([sys.executable, "-c", code], check=True)
