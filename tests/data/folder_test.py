"""tfae.data.folder: PNG and JPEG files as an array; the files and the reference are Pillow's."""

import gc
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfae.data import datasets, encoded, folder
from tfae.errors import InputError

FRACTIONS = (0.6, 0.2, 0.2)


def picture(seed, height=6, width=5, channels=3):
  shape = (height, width) if channels == 1 else (height, width, channels)
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def put(path, image, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(image).save(path, **options)


@pytest.fixture
def flat(tmp_path):
  """Ten colour PNG files of 6x5 in one folder; their names sort otherwise than their numbers."""
  for i in range(10):
    put(tmp_path / "pictures" / f"{7 * i % 10}.png", picture(7 * i % 10))
  return tmp_path / "pictures"


@pytest.fixture
def classed(tmp_path):
  """train/ of 4 + 3 and test/ of 2 + 1 pictures in the classes cat and dog, grey."""
  for part, counts in (("train", (4, 3)), ("test", (2, 1))):
    for name, n in zip(("cat", "dog"), counts):
      for i in range(n):
        put(tmp_path / "pets" / part / name / f"{i}.png", picture(len(part) + 10 * i, channels=1))
  return tmp_path / "pets"


def images_of(directory, size=(6, 5), channels=3):
  return folder.read(directory, size, channels)[0][0]


def test_files_of_the_wanted_size_are_their_pixels_in_the_order_of_their_names(flat):
  images = images_of(flat)
  expected = np.stack([picture(i) for i in range(10)])
  assert images.shape == (10, 6, 5, 3) and images.dtype == np.uint8 and len(images) == 10
  np.testing.assert_array_equal(images[:], expected)
  np.testing.assert_array_equal(np.asarray(images), expected)
  assert [pathlib.Path(path).name for path in images.names] == [f"{i}.png" for i in range(10)]


def test_indexing_is_that_of_numpy_and_decodes_just_those(flat, monkeypatch):
  images = images_of(flat)
  expected = np.stack([picture(i) for i in range(10)])
  asked = []
  original = encoded.decoder
  monkeypatch.setattr(encoded, "decoder", lambda *kind: lambda paths: (
      asked.extend(paths.numpy()), original(*kind)(paths))[1])
  mask = np.arange(10) % 3 == 0
  for rows in (slice(2, 5), slice(None, None, -3), slice(4, 4), [7, 0, 0], np.array([1, -1]), mask,
               3, np.int32(-2)):
    asked.clear()
    found = images[rows]
    assert isinstance(found, np.ndarray) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected[rows])
    assert len(asked) == expected[rows].size // expected[0].size
  with pytest.raises(IndexError):
    images[10]
  subset = images.subset(np.array([3, 1]))
  np.testing.assert_array_equal(subset.joined(images.subset([5]))[:], expected[[3, 1, 5]])


def test_the_mean_image_is_that_of_the_array_to_the_bit(flat):
  expected = np.stack([picture(i) for i in range(10)]).mean(axis=0, dtype=np.float64)
  images = images_of(flat)
  assert images.mean(axis=0, dtype=np.float64).tobytes() == expected.tobytes()
  with pytest.raises(ValueError, match="axis=1"):
    images.mean(axis=1)


def test_larger_files_are_cut_around_their_centre_and_averaged_over_areas(tmp_path):
  wide, tall = picture(0, 12, 30), picture(1, 24, 10)
  put(tmp_path / "a.png", wide)
  put(tmp_path / "b.png", tall)
  # 12x30 is cut to 12x10, of which each pixel is the mean of 2x2; 24x10 to 12x10, the same.
  expected = [image.reshape(6, 2, 5, 2, 3).mean(axis=(1, 3))
              for image in (wide[:, 10:20].astype(float), tall[6:18].astype(float))]
  np.testing.assert_array_equal(images_of(tmp_path)[:],
                                np.floor(np.stack(expected) + 0.5).astype(np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (13, 4), (40, 3), (64, 64)])
def test_any_size_becomes_any_other_with_means_within_a_tenth(tmp_path, size):
  shape = np.random.default_rng(size[0]).integers(1, 50, 2)
  put(tmp_path / "a.png", np.full((*shape, 3), (10, 100, 200), np.uint8))
  images = images_of(tmp_path, size)[:]
  assert images.shape == (1, *size, 3)
  np.testing.assert_array_equal(images[0].reshape(-1, 3), [[10, 100, 200]] * size[0] * size[1])


def test_a_resize_by_no_whole_number_is_the_area_mean(tmp_path):
  image = picture(4, 7, 7, 1)
  put(tmp_path / "a.png", image)
  # Each row of `weights` says how much of each of 7 pixels one of 3 covers.
  edges = np.linspace(0, 7, 4)
  weights = np.clip(np.minimum(edges[1:, None], np.arange(1, 8)) - np.maximum(
      edges[:-1, None], np.arange(7)), 0, None) * 3 / 7
  expected = weights @ image @ weights.T
  found = images_of(tmp_path, (3, 3), 1)[0][:, :, 0]
  assert np.abs(found - expected).max() <= 0.5 + 1e-3


def test_grey_files_become_colour_by_repetition_and_colour_files_grey(tmp_path):
  put(tmp_path / "a.png", picture(0, channels=1))
  put(tmp_path / "b.png", np.full((6, 5, 3), (255, 0, 0), np.uint8))
  colour, grey = images_of(tmp_path)[:], images_of(tmp_path, channels=1)[:]
  np.testing.assert_array_equal(colour[0], np.repeat(picture(0, channels=1)[..., None], 3, 2))
  np.testing.assert_array_equal(grey[0, :, :, 0], picture(0, channels=1))
  assert grey.shape == (2, 6, 5, 1) and 50 < grey[1].min() == grey[1].max() < 90


def test_jpeg_files_are_close_to_what_pillow_decodes_and_exif_does_not_turn_them(tmp_path):
  smooth = np.asarray(Image.fromarray(picture(2, 4, 4)).resize((32, 24), Image.Resampling.BICUBIC))
  exif = Image.Exif()
  exif[0x0112] = 6  # "turn by 90 degrees"
  put(tmp_path / "a.jpg", smooth, quality=95, exif=exif)
  reference = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int)
  found = images_of(tmp_path, (24, 32))[0]
  assert np.abs(found - reference).mean() < 1


def test_sub_folders_are_classes_in_the_order_of_their_names(classed):
  data = datasets.load("images", classed, size=(6, 5), channels=1)
  assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1] and data.classes == 2
  assert data.test.labels.tolist() == [0, 0, 1] and data.train.labels.dtype == np.uint8
  assert data.class_names == ("cat", "dog")
  assert data.train.images.shape == (7, 6, 5, 1) and data.max_value == 255
  np.testing.assert_array_equal(data.test.images[1][:, :, 0], picture(14, channels=1))


def test_a_folder_without_train_and_test_is_split_by_seeded_fractions(flat):
  load = lambda seed: datasets.load("images", flat, size=(6, 5), seed=seed, fractions=FRACTIONS)
  data, same, other = load(1), load(1), load(2)
  parts = [data.train, data.validation, data.test]
  assert [len(part) for part in parts] == [6, 2, 2]
  found = np.concatenate([part.images[:] for part in parts])
  assert sorted(image.tobytes() for image in found) == sorted(
      picture(i).tobytes() for i in range(10))
  assert data.train.images.names == same.train.images.names != other.train.images.names
  assert data.sha256 == same.sha256 != other.sha256
  with pytest.raises(InputError, match="no sub-folders train and test, so data.fractions"):
    datasets.load("images", flat, size=(6, 5))


def test_ranges_across_train_and_test_join_their_files(classed):
  data = datasets.load("images", classed, size=(6, 5), channels=1, pool=True,
                       train_range=(0, 9, 2), test_range=(1, 10, 2))
  whole = datasets.load("images", classed, size=(6, 5), channels=1)
  pool = whole.train.images.names + whole.test.images.names
  assert data.train.images.names == pool[0:9:2] and data.test.images.names == pool[1:10:2]
  assert data.train.labels.tolist() == [0, 0, 1, 1, 0]


def test_the_identity_is_names_sizes_and_bytes_of_the_files(classed):
  def load(**fields):
    return datasets.load("images", classed, **{"size": (6, 5), "channels": 1, **fields})
  first = load()
  files = [classed / part / name / f"{i}.png" for part, name, n in
           (("train", "cat", 4), ("train", "dog", 3)) for i in range(n)]
  digest = hashlib.sha256()
  for path in files:
    digest.update(f"{path.relative_to(classed)}\0{path.stat().st_size}\0".encode()
                  + hashlib.sha256(path.read_bytes()).digest())
  assert list(first.train.images.identity()) == [digest.digest()]
  sums = {first.sha256, load(size=(5, 5)).sha256, load(channels=3).sha256}
  moved = classed.rename(classed.with_name("elsewhere")).rename(classed)
  assert load().sha256 == first.sha256 and moved == classed  # where the folder is does not matter
  files[0].rename(files[0].with_name("first.png"))
  sums.add(load().sha256)
  put(files[0].with_name("first.png"), picture(99, channels=1))
  sums.add(load().sha256)
  assert len(sums) == 5


def test_hidden_files_are_left_alone_and_names_need_not_be_utf8(flat):
  (flat / ".DS_Store").write_bytes(b"x")
  os.rename(os.fsencode(flat / "9.png"), os.fsencode(flat) + b"/\xff.png")
  np.testing.assert_array_equal(images_of(flat)[-1], picture(9))
  assert len(b"".join(images_of(flat).identity())) == 32


def layout(root, *paths):
  for path in paths:
    put(root / path, picture(0))
  return root


@pytest.mark.parametrize("paths, part", [
    ((), ": found nothing; expected PNG or JPEG files"),
    (("a.png", "cat/b.png"), ": has files such as 'a.png' and folders such as 'cat'"),
    (("cat/deep/a.png", "dog/b.png"), "/cat: found the folder 'deep'"),
    (("train/cat/a.png", "test/cat/a.png", "train/dog/a.png"), "/test/dog: not found; expected a "
                                                               "folder of each class that"),
    (("train/cat/a.png", "test/cat/a.png", "test/dog/a.png"), "/train/dog: not found"),
    (("train/cat/a.png", "test/a.png"), "/test: has no class folders"),
    (("train/a.png", "test/cat/a.png"), "/train: has no class folders"),
    (("train/a.png", "test/a.png", "valid/a.png"), "/valid: found beside the folders train and"),
    (("train/a.png", "test/a.png", "b.png"), "/b.png: found beside the folders train and test"),
])
def test_a_folder_of_another_form_is_refused_with_the_place(tmp_path, paths, part):
  root = layout(tmp_path / "root", *paths)
  root.mkdir(exist_ok=True)
  with pytest.raises(InputError) as caught:
    folder.read(root, (6, 5), 3)
  assert f"{root}{part}" in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_class_and_a_folder_that_is_none_are_refused(tmp_path, flat):
  (layout(tmp_path, "root/cat/a.png") / "root" / "dog").mkdir()
  with pytest.raises(InputError, match="root/dog: found nothing"):
    folder.read(tmp_path / "root", (6, 5), 3)
  with pytest.raises(InputError, match="nowhere: can't be listed: No such file"):
    folder.read(tmp_path / "nowhere", (6, 5), 3)
  with pytest.raises(InputError, match="1.png: can't be listed: Not a directory"):
    folder.read(flat / "1.png", (6, 5), 3)


@pytest.mark.parametrize("change, part", [
    (lambda data: b"hello", "not a PNG or JPEG file"),
    (lambda data: data[:60], "truncated PNG"),
    (lambda data: b"", "not a PNG or JPEG"),
])
def test_a_file_that_is_no_image_is_named_before_anything_is_decoded(flat, change, part):
  path = flat / "4.png"
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(InputError) as caught:
    datasets.load("images", flat, size=(6, 5), fractions=FRACTIONS)
  assert f"{path}: {part}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_jpeg_cut_short_is_named(tmp_path):
  put(tmp_path / "a.jpg", picture(0, 40, 40))
  put(tmp_path / "b.jpg", picture(1, 40, 40))
  (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:-40])
  with pytest.raises(InputError, match="b.jpg: truncated JPEG"):
    images_of(tmp_path)


def broken_jpeg(path):
  """A JPEG whose markers are in place and whose tables are not."""
  put(path, picture(1, 40, 40))
  data = bytearray(path.read_bytes())
  at = data.index(b"\xff\xc4")  # the Huffman tables: counts that can't be
  data[at + 5:at + 21] = bytes([255] * 16)
  path.write_bytes(data)


def test_a_file_that_only_the_decoder_finds_corrupt_is_named_where_it_is_used(tmp_path):
  put(tmp_path / "a.jpg", picture(0, 40, 40))
  broken_jpeg(tmp_path / "b.jpg")
  images = images_of(tmp_path)
  images[0]  # pylint: disable=pointless-statement
  with pytest.raises(InputError) as caught:
    images[:]  # pylint: disable=pointless-statement
  assert f"{tmp_path / 'b.jpg'}: can't be decoded (" in str(caught.value)
  assert "\n" not in str(caught.value) and "{{" not in str(caught.value)


@pytest.mark.parametrize("change", [
    lambda path: path.unlink(), lambda path: put(path, picture(50)),
    lambda path: os.utime(path, ns=(0, 0))])
def test_a_file_that_changed_since_it_was_listed_is_named(flat, change):
  images = images_of(flat)
  change(flat / "4.png")
  np.testing.assert_array_equal(images[:4], np.stack([picture(i) for i in range(4)]))
  with pytest.raises(InputError, match="4.png: changed or gone since the run began"):
    images[2:6]  # pylint: disable=pointless-statement


def test_reading_a_folder_imports_no_tensorflow(classed):
  code = ("import sys; from tfae.data import datasets; "
          f"datasets.load('images', {str(classed)!r}, size=(6, 5), channels=1).sha256; "
          "assert 'tensorflow' not in sys.modules")
  subprocess.run([sys.executable, "-c", code], check=True)


def resident():
  """Bytes of anonymous memory of this process."""
  gc.collect()
  status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
  return 1024 * int(next(line for line in status.splitlines()
                         if line.startswith("RssAnon")).split()[1])


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for its memory")
def test_going_through_many_images_takes_no_more_memory_than_through_a_few(tmp_path):
  put(tmp_path / "first.png", picture(0, 256, 256))
  for i in range(1500):
    os.link(tmp_path / "first.png", tmp_path / f"{i:04}.png")
  images = images_of(tmp_path, (256, 256))
  images.subset(range(4 * images.chunk)).mean(axis=0)
  before = resident()
  images.mean(axis=0)
  # Decoded, they are 295 million bytes.
  assert resident() - before < 60e6
  assert tf.config.list_physical_devices()  # TensorFlow was in it from the start
