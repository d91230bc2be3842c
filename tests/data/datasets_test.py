"""tfae.data.datasets: splits by name, against scikit-learn's digits and files built here."""

import gzip
import hashlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets

from tfae.data import datasets
from tfae.data.stored import StoredImages
from tfae.errors import InputError


def idx_bytes(array):
  return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) \
      + array.astype(np.uint8).tobytes()


def images(n, height=3, width=5, first=0):
  return (np.arange(n * height * width) + first).astype(np.uint8).reshape(n, height, width)


@pytest.fixture
def folder(tmp_path):
  """An 'idx' folder: 40 train and 7 test images of 3x5; labels 0, 1, 2, 200 for train only."""
  (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(images(40)))
  labels = np.array([0, 1, 2, 200] * 10)
  (tmp_path / "train-labels.gz").write_bytes(gzip.compress(idx_bytes(labels)))
  (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images(7, first=99)))
  return tmp_path


def rows(split):
  """The images as a sorted list of bytes, to compare as a multiset."""
  return sorted(image.tobytes() for image in split.images)


def test_digits_are_all_of_scikit_learns_scans_in_disjoint_splits():
  data = datasets.load("digits", validation=200)
  assert data.train.images.shape == (1300, 8, 8, 1)
  assert data.validation.images.shape == (200, 8, 8, 1)
  assert data.test.images.shape == (297, 8, 8, 1)
  assert data.max_value == 16 and data.train.images.max() == 16
  reference = sklearn.datasets.load_digits()
  # Two scans may be equal as pictures: the label goes with each, and counts are kept.
  def keyed(values, labels):
    return sorted(np.asarray(v, np.uint8).tobytes() + bytes([t]) for v, t in zip(values, labels))
  merged = sum((keyed(s.images, s.labels) for s in (data.train, data.validation, data.test)), [])
  assert sorted(merged) == keyed(reference.images, reference.target)


def test_the_digits_test_split_is_stratified_and_the_same_for_every_seed():
  one, two = (datasets.load("digits", validation=150, seed=seed) for seed in (0, 1))
  np.testing.assert_array_equal(one.test.images, two.test.images)
  np.testing.assert_array_equal(one.test.labels, two.test.labels)
  share = np.bincount(sklearn.datasets.load_digits().target) * 297 / 1797
  assert np.all(np.abs(np.bincount(one.test.labels) - share) < 1)
  assert rows(one.validation) != rows(two.validation)


def test_without_validation_there_is_none_and_train_is_whole(folder):
  data = datasets.load("idx", folder)
  assert data.validation is None
  np.testing.assert_array_equal(data.train.images[..., 0], images(40))
  np.testing.assert_array_equal(data.train.labels, [0, 1, 2, 200] * 10)
  np.testing.assert_array_equal(data.test.images[..., 0], images(7, first=99))
  assert data.test.labels is None and data.max_value == 255 and len(data.train) == 40
  assert {a.dtype for a in (data.train.images, data.train.labels)} == {np.dtype(np.uint8)}


def test_validation_is_the_philox_permutation_and_train_keeps_its_order(folder):
  data = datasets.load("idx", folder, validation=12, seed=5)
  chosen = np.random.Generator(np.random.Philox(5)).permutation(40)[:12]
  np.testing.assert_array_equal(data.validation.images[..., 0], images(40)[np.sort(chosen)])
  np.testing.assert_array_equal(data.train.images[..., 0], np.delete(images(40), chosen, axis=0))
  np.testing.assert_array_equal(data.train.labels, np.delete([0, 1, 2, 200] * 10, chosen))
  np.testing.assert_array_equal(data.validation.labels,
                                np.array([0, 1, 2, 200] * 10)[np.sort(chosen)])


def test_a_stratified_validation_keeps_the_proportions_of_the_classes(folder):
  data = datasets.load("idx", folder, validation=8, seed=3, stratify=True)
  assert sorted(data.validation.labels) == [0, 0, 1, 1, 2, 2, 200, 200]
  whole = datasets.load("idx", folder).train
  assert sorted(rows(data.train) + rows(data.validation)) == rows(whole)


def test_stratify_without_labels_or_with_too_few_images_is_an_error(folder):
  with pytest.raises(InputError, match="^data.stratify=True, data.validation=3: "):
    datasets.load("idx", folder, validation=3, stratify=True)
  (folder / "train-labels.gz").unlink()
  with pytest.raises(InputError, match="^data.stratify=True: .*no labels"):
    datasets.load("idx", folder, validation=8, stratify=True)


def test_without_train_labels_images_still_load_and_split(folder):
  (folder / "train-labels.gz").unlink()
  data = datasets.load("idx", folder, validation=4)
  assert data.train.labels is None and data.validation.labels is None
  assert len(data.train) == 36 and len(data.validation) == 4


@pytest.mark.parametrize("arguments, part", [
    ({"name": "digit"}, "Did you mean 'digits'"),
    ({"name": "mnits"}, "Did you mean 'mnist'"),
    ({"name": None}, "name=None"),
    ({"name": "digits", "validation": -1}, "validation=-1"),
    ({"name": "digits", "validation": 0.1}, "validation=0.1"),
    ({"name": "digits", "validation": True}, "validation=True"),
    ({"name": "digits", "validation": 1500}, "validation=1500: expected an integer from 0 to 1499"),
    ({"name": "digits", "seed": -1}, "seed=-1"),
    ({"name": "digits", "stratify": 1}, "stratify=1"),
    ({"name": "digits", "data_dir": "somewhere"}, "data_dir='somewhere'"),
    ({"name": "digits", "train_range": (0, 1501)}, "the part train has 1500 images"),
    ({"name": "digits", "pool": True}, "data.pool=True: needs data.train_range"),
    ({"name": "images", "size": (8, 8)}, "data_dir=None: expected a folder of PNG or JPEG"),
    ({"name": "idx"}, "data_dir=None"),
    ({"name": "idx", "data_dir": "/no/such/folder"}, "data_dir='/no/such/folder'"),
])
def test_a_wrong_argument_is_refused_by_name_and_value(arguments, part):
  with pytest.raises(InputError) as caught:
    datasets.load(**arguments)
  assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("extra, parts", [
    ("train-images.gz", ("train-images-idx3-ubyte, train-images.gz", "train-images*")),
    ("test-images-idx3-ubyte", ("t10k-images.idx3-ubyte, test-images-idx3-ubyte",
                                "test-images* or t10k-images*")),
    ("train-labels-idx1-ubyte", ("train-labels-idx1-ubyte, train-labels.gz", "train-labels*")),
])
def test_ambiguous_files_are_listed(folder, extra, parts):
  (folder / extra).write_bytes(b"")
  with pytest.raises(InputError) as caught:
    datasets.load("idx", folder)
  for part in (str(folder), *parts):
    assert part in str(caught.value)


def test_missing_files_are_named_beside_what_was_found(folder, tmp_path_factory):
  (folder / "t10k-images.idx3-ubyte").rename(folder / "eval-images")
  with pytest.raises(InputError, match="found eval-images, train-images.*test-images\\* or t10k"):
    datasets.load("idx", folder)
  with pytest.raises(InputError, match="found nothing; .*train-images\\*"):
    datasets.load("idx", tmp_path_factory.mktemp("empty"))


def test_train_and_test_of_other_sizes_are_refused_with_both(folder):
  (folder / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images(7, 4, 5)))
  with pytest.raises(InputError, match="t10k-images.idx3-ubyte: found images of 4 x 5.*3 x 5"):
    datasets.load("idx", folder)


def test_labels_that_do_not_match_their_images_are_refused_with_both_files(folder):
  (folder / "t10k-labels").write_bytes(idx_bytes(np.zeros(6)))
  with pytest.raises(InputError, match="t10k-labels: found 6 labels, expected 7.*t10k-images"):
    datasets.load("idx", folder)


@pytest.mark.parametrize("validation", [0, 5])
def test_arrays_are_read_only(folder, validation):
  data = datasets.load("idx", folder, validation=validation)
  for array in (data.train.images, data.train.labels, data.test.images):
    with pytest.raises(ValueError, match="read-only"):
      array[0] = 0


def test_the_sha256_is_that_of_the_arrays_and_moves_with_any_of_them(folder):
  first = datasets.load("idx", folder)
  expected = hashlib.sha256(
      b"train/images |u1 (40, 3, 5, 1)\n" + images(40).tobytes()
      + b"train/labels |u1 (40,)\n" + bytes([0, 1, 2, 200] * 10)
      + b"test/images |u1 (7, 3, 5, 1)\n" + images(7, first=99).tobytes()).hexdigest()
  assert first.sha256 == expected == datasets.load("idx", str(folder)).sha256
  sums = {expected}
  for seed in (0, 1):
    sums.add(datasets.load("idx", folder, validation=5, seed=seed).sha256)
  (folder / "t10k-labels").write_bytes(idx_bytes(np.zeros(7)))
  sums.add(datasets.load("idx", folder).sha256)
  changed = images(40)
  changed[39, 2, 4] ^= 1
  (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(changed))
  sums.add(datasets.load("idx", folder).sha256)
  assert len(sums) == 5


def test_ranges_of_the_joined_parts_are_those_images_with_their_labels(folder):
  (folder / "t10k-labels").write_bytes(idx_bytes(np.arange(7)))
  data = datasets.load("idx", folder, pool=True, train_range=(0, 30), validation_range=(38, 42),
                       test_range=(42, 47, 2))
  pool = np.concatenate([images(40), images(7, first=99)])
  labels = np.array([0, 1, 2, 200] * 10 + list(range(7)))
  for split, rows in ((data.train, slice(0, 30)), (data.validation, slice(38, 42)),
                      (data.test, slice(42, 47, 2))):
    np.testing.assert_array_equal(split.images[..., 0], pool[rows])
    np.testing.assert_array_equal(split.labels, labels[rows])


def test_fractions_of_the_digits_are_disjoint_and_complete_and_stratified():
  data = datasets.load("digits", fractions=(0.7, 0.2, 0.1), stratify=True, seed=3)
  parts = data.train, data.validation, data.test
  reference = sklearn.datasets.load_digits()
  assert sorted(sum(map(rows, parts), [])) == sorted(
      image.astype(np.uint8).tobytes() for image in reference.images)
  for part, share in zip(parts, (0.7, 0.2, 0.1)):
    assert (np.abs(np.bincount(part.labels) - share * np.bincount(reference.target)) < 1).all()


def test_training_on_the_validation_part_with_a_label_budget(folder):
  whole = datasets.load("idx", folder, validation=20, stratify=True, seed=2)
  data = datasets.load("idx", folder, validation=20, stratify=True, seed=2,
                       train_on="validation", labels_per_class=3)
  assert data.validation is None and np.bincount(data.train.labels)[[0, 1, 2, 200]].tolist() == [
      3, 3, 3, 3]
  assert set(rows(data.train)) < set(rows(whole.validation))
  np.testing.assert_array_equal(data.test.images, whole.test.images)


def test_a_set_whose_parts_disagree_about_labels_can_not_be_joined(folder):
  with pytest.raises(InputError, match="^data.pool or data.fractions: one of train and test"):
    datasets.load("idx", folder, fractions=(0.8, 0.1, 0.1))
  (folder / "train-labels.gz").unlink()
  assert datasets.load("idx", folder, fractions=(0.8, 0.1, 0.1)).train.labels is None


def test_the_number_of_classes_is_that_of_all_parts_0_where_one_has_no_labels(folder):
  assert datasets.load("idx", folder).classes == 0
  (folder / "t10k-labels").write_bytes(idx_bytes(np.full(7, 203)))
  assert datasets.load("idx", folder).classes == 204
  assert datasets.load("digits", train_range=(0, 100), validation=9).classes == 10


def test_a_whole_part_is_not_copied(folder):
  before = datasets.load("idx", folder)
  part = before.train
  assert datasets._select((part, before.test), np.arange(40)) is part
  assert datasets._select((part, before.test), np.arange(40, 47)) is before.test


def test_loading_data_imports_no_tensorflow():
  code = ("import sys; from tfae.data import datasets; datasets.load('digits', validation=9); "
          "assert 'tensorflow' not in sys.modules")
  subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.full
def test_mnist_splits_as_the_tutorials_did():
  shares = {"fractions": (0.7, 0.198, 0.102), "stratify": True}
  data = datasets.load("mnist", **shares)
  assert [len(part) for part in (data.train, data.validation, data.test)] == [48996, 13859, 7145]
  on = datasets.load("mnist", train_on="validation", **shares)
  assert len(on.train) == 13859 and rows(on.train) == rows(data.validation)
  pooled = datasets.load("mnist", pool=True, train_range=(30000, 55000),
                         validation_range=(65000, 70000), test_range=(55000, 65000))
  assert [len(part) for part in (pooled.train, pooled.validation, pooled.test)] == [
      25000, 5000, 10000]
  whole = datasets.load("mnist")
  np.testing.assert_array_equal(pooled.test.images[:5000], whole.train.images[55000:])
  np.testing.assert_array_equal(pooled.test.labels[5000:], whole.test.labels[:5000])


@pytest.mark.full
def test_mnist_loads_whole_with_the_known_mean():
  data = datasets.load("mnist", validation=5000, seed=1, stratify=True)
  assert data.train.images.shape == (55000, 28, 28, 1)
  assert data.validation.images.shape == (5000, 28, 28, 1)
  whole = datasets.load("mnist")
  assert whole.train.images.shape == (60000, 28, 28, 1)
  assert whole.test.images.shape == (10000, 28, 28, 1)
  assert whole.max_value == 255
  # The published mean and deviation of MNIST's training pixels: .1307 and .3081 of 255.
  assert abs(whole.train.images.mean() - 33.32) < 0.005
  assert abs(whole.train.images.std() - 78.57) < 0.005
  assert whole.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
  assert np.bincount(whole.test.labels).tolist() == [
      980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize("images, labels, named", [
    ([[[[1]]]], None, "Split.images: found list"),
    (np.full((3, 8, 8, 1), "a"), None, "Split.images: found <U1 of shape"),
    (np.zeros((3, 8, 8, 1), complex), None, "Split.images: found complex128"),
    (np.zeros((3, 8, 8, 1), object), None, "Split.images: found object"),
    (np.zeros((0, 8, 8, 1)), None, r"Split.images: found float64 of shape \(0, 8, 8, 1\)"),
    (np.zeros((3, 8, 8, 1)), [1, 2, 3], "Split.labels: found list"),
    (np.zeros((3, 8, 8, 1)), np.zeros(2, np.uint8), "Split.labels: found 2, expected 3")])
def test_arrays_that_are_no_images_or_labels_are_refused_by_name(images, labels, named):
  with pytest.raises(InputError, match=named):
    datasets.Split(images, labels)


@pytest.fixture
def raw(folder):
  """The same as raw files."""
  path = folder / "train-labels.gz"
  (folder / "train-labels").write_bytes(gzip.decompress(path.read_bytes()))
  path.unlink()
  return folder


@pytest.mark.parametrize("fields", [
    {}, {"validation": 7, "seed": 3}, {"pool": True, "train_range": (30, 44), "test_range": (0, 9)},
    {"train_range": (0, 40, 3), "labels_per_class": 2}])
def test_mapped_images_are_those_that_are_read_and_so_is_their_identity(raw, fields):
  if "pool" in fields:
    (raw / "train-labels").unlink()
  held = datasets.load("idx", raw, memory_map="off", **fields)
  lazy = datasets.load("idx", raw, memory_map="on", **fields)
  assert isinstance(held.train.images, np.ndarray) and isinstance(lazy.test.images, StoredImages)
  assert lazy.sha256 == held.sha256 and lazy.classes == held.classes
  for part in ("train", "validation", "test"):
    one, other = getattr(held, part), getattr(lazy, part)
    assert (one is None) == (other is None)
    if one is not None:
      assert other.images.shape == one.images.shape and other.images.dtype == one.images.dtype
      np.testing.assert_array_equal(other.images[:], one.images)
      np.testing.assert_array_equal(other.images[::-2], one.images[::-2])
      np.testing.assert_array_equal(other.labels, one.labels)
      mean = other.images.mean(axis=0, dtype=np.float64)
      assert mean.tobytes() == one.images.mean(axis=0, dtype=np.float64).tobytes()


def test_raw_files_of_more_than_the_bound_are_mapped_and_none_that_are_packed(raw, monkeypatch):
  size = sum((raw / name).stat().st_size for name in ("train-images-idx3-ubyte",
                                                      "t10k-images.idx3-ubyte"))
  kind = lambda: type(datasets.load("idx", raw).train.images)
  assert kind() is np.ndarray
  monkeypatch.setattr(datasets, "_MOST_IN_MEMORY", size)
  assert kind() is np.ndarray
  monkeypatch.setattr(datasets, "_MOST_IN_MEMORY", size - 1)
  assert kind() is StoredImages
  (raw / "t10k-images.gz").write_bytes(gzip.compress(
      (raw / "t10k-images.idx3-ubyte").read_bytes()))
  (raw / "t10k-images.idx3-ubyte").unlink()
  assert kind() is np.ndarray
  with pytest.raises(InputError, match="t10k-images.gz: is gzip, which can't be memory-mapped. Un"):
    datasets.load("idx", raw, memory_map="on")
