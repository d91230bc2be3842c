"""tfae.data.cifar: the binary batches, of files made here in that format."""

import numpy as np
import pytest

from tfae.data import cifar, datasets
from tfae.errors import InputError

NAMES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


def record(label, image):
  """One record of an image [32, 32, 3], written pixel by pixel as the format's page says."""
  planes = [image[y, x, channel] for channel in range(3) for y in range(32) for x in range(32)]
  return bytes([label, *planes])


def pictures(n, seed):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, (n, 32, 32, 3), np.uint8), random.integers(0, 10, n, np.uint8)


@pytest.fixture
def folder(tmp_path):
  """Batches of 1 to 5 records, and 2 for the test."""
  for n, name in zip((1, 2, 3, 4, 5, 2), NAMES):
    images, labels = pictures(n, n)
    (tmp_path / name).write_bytes(b"".join(map(record, labels, images)))
  return tmp_path


def test_records_become_images_with_channels_last_and_labels_in_the_order_of_the_files(folder):
  (train, train_labels), (test, test_labels) = cifar.read(folder)
  expected = [pictures(n, n) for n in range(1, 6)]
  np.testing.assert_array_equal(train, np.concatenate([images for images, _ in expected]))
  np.testing.assert_array_equal(train_labels, np.concatenate([labels for _, labels in expected]))
  np.testing.assert_array_equal(test, pictures(2, 2)[0])
  np.testing.assert_array_equal(test_labels, pictures(2, 2)[1])
  assert {a.dtype for a in (train, train_labels, test, test_labels)} == {np.dtype(np.uint8)}


def test_the_unpacked_archive_is_found_in_the_folder_it_makes(folder, tmp_path_factory):
  parent = tmp_path_factory.mktemp("parent")
  folder.rename(parent / "cifar-10-batches-bin")
  assert len(cifar.read(parent)[0][0]) == 15


def test_cifar10_is_a_data_set_by_name(folder):
  data = datasets.load("cifar10", folder, validation=3)
  assert data.train.images.shape == (12, 32, 32, 3) and data.max_value == 255
  assert len(data.validation) == 3 and len(data.test) == 2
  assert data.classes == 1 + max(split.labels.max()
                                 for split in (data.train, data.validation, data.test))
  with pytest.raises(InputError, match="data_dir=None: expected a folder of CIFAR-10's binary"):
    datasets.load("cifar10")


def test_a_missing_batch_is_named_with_the_way_out(folder):
  (folder / "data_batch_3.bin").unlink()
  with pytest.raises(InputError, match="data_batch_3.bin: not found.*cifar-10-binary.tar.gz"):
    cifar.read(folder)


@pytest.mark.parametrize("change, part", [
    (lambda data: data[:-1], "found 12291 bytes, expected a multiple of 3073"),
    (lambda data: data + b"\0", "found 12293 bytes, expected a multiple of 3073"),
    (lambda data: b"", "found 0 bytes"),
    (lambda data: data[:3073] + b"\x0a" + data[3074:],
     "label of record 1 at offset 3073: found 10, expected 0 to 9"),
])
def test_a_file_of_another_form_is_refused_by_name_place_and_value(folder, change, part):
  path = folder / "data_batch_4.bin"
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(InputError) as caught:
    cifar.read(folder)
  assert f"{path}: {part}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_batch_that_can_not_be_read_is_named(folder, monkeypatch):
  def refuse(*_):
    raise PermissionError(13, "Permission denied")
  monkeypatch.setattr("builtins.open", refuse)
  with pytest.raises(InputError, match="data_batch_1.bin: can't be read: .*Permission denied"):
    cifar.read(folder)


def test_a_batch_larger_than_the_memory_is_refused_before_it_is_read(folder, monkeypatch):
  monkeypatch.setattr("tfae.machine.memory_bytes", lambda: 3 * 3073 - 1)
  with pytest.raises(InputError, match="data_batch_3.bin: too large: 9219 bytes"):
    cifar.read(folder)
