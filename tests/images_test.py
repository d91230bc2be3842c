"""tfae.images: every kind of image file arrives in the model's units, or is refused in one line."""

import pathlib

import numpy as np
from PIL import Image
import pytest

from tfae import images
from tfae.data import datasets
from tfae.data.pipeline import Batches
from tfae.errors import InputError
from tfae.images import Wanted

DIGIT = Wanted((4, 3, 1), 16, border=0.0)
COLOUR = Wanted((4, 3, 3), 255)
# A dark border, as the digits have it.
PIXELS = np.array([[0, 0, 0], [0, 51, 0], [0, 255, 0], [0, 0, 0]], np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (4, 3, 3), np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6  # turn it by 90 degrees clockwise to see it upright


def save(folder, pixels, mode=None, name="x.png", **options):
  image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
  path = folder / name
  (image.convert(mode) if mode else image).save(path, **options)
  return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_a_grey_picture_is_the_same_in_every_mode_and_in_the_data_set_s_units(tmp_path, mode):
  found, notes = images.read(save(tmp_path, PIXELS, mode), DIGIT)
  assert found.dtype == np.float32 and notes == []
  np.testing.assert_allclose(found, PIXELS[None, ..., None] / 255 * 16, rtol=1e-6)


def test_sixteen_bits_keep_their_precision_and_are_said(tmp_path):
  pixels = PIXELS.astype(np.uint16) * 257
  pixels[1, 1] += 3
  found, notes = images.read(save(tmp_path, pixels), DIGIT)
  assert notes == ["16 bits a pixel: 65535 is taken for white"]
  assert found[0, 1, 1, 0] == pytest.approx((51 * 257 + 3) / 65535 * 16)


def test_one_bit_is_black_and_white(tmp_path):
  found, _ = images.read(save(tmp_path, Image.fromarray(PIXELS == 255)), DIGIT)
  np.testing.assert_array_equal(found[0, ..., 0], (PIXELS == 255) * 16)


def test_colour_becomes_grey_by_luma_and_grey_becomes_colour_each_with_a_word(tmp_path):
  found, notes = images.read(save(tmp_path, COLOURS), Wanted((4, 3, 1), 1))
  assert notes == ["colour image: converted to grey (ITU-R BT.601 luma)"]
  red, green, blue = np.moveaxis(COLOURS / 255, -1, 0)
  np.testing.assert_allclose(found[0, ..., 0], .299 * red + .587 * green + .114 * blue, rtol=1e-5)
  found, notes = images.read(save(tmp_path, PIXELS), COLOUR)
  assert notes == ["grey image: taken for colour"]
  np.testing.assert_array_equal(found[0], np.stack([PIXELS] * 3, -1))
  found, notes = images.read(save(tmp_path, COLOURS), COLOUR)
  assert notes == [] and (found[0] == COLOURS).all()


def test_what_is_transparent_lies_on_white(tmp_path):
  pixels = np.dstack([PIXELS] * 3 + [np.full_like(PIXELS, 255)])
  pixels[0, 0] = 0, 0, 0, 0
  found, notes = images.read(save(tmp_path, pixels), DIGIT)
  assert notes == ["transparent pixels: laid on white"]
  assert found[0, 0, 0, 0] == 16 and found[0, 0, 1, 0] == 0


def test_a_photograph_lies_the_way_its_camera_says(tmp_path):
  turned = save(tmp_path, np.rot90(PIXELS).copy(), exif=TURNED)
  np.testing.assert_allclose(images.read(turned, DIGIT)[0][0, ..., 0], PIXELS / 255 * 16, rtol=1e-6)


def test_another_size_is_refused_and_resized_on_request_by_areas_keeping_the_aspect_ratio(tmp_path):
  # 8 x 12 into 4 x 3: by a quarter to 2 x 3, padded with two rows of the border's median.
  large = np.random.default_rng(1).integers(0, 256, (8, 12), np.uint8)
  path = save(tmp_path, large)
  with pytest.raises(InputError, match="has 8 x 12 pixels .*takes 4 x 3.*--resize"):
    images.read(path, DIGIT)
  found, notes = images.read(path, Wanted((4, 3, 1), 1), resize=True)
  assert notes == ["resized from 8 x 12 to 2 x 3 (area filter), padded to 4 x 3 with the median of "
                   "its border"]
  means = large.reshape(2, 4, 3, 4).mean((1, 3)) / 255
  np.testing.assert_allclose(found[0, 1:3, :, 0], means, rtol=1e-5)
  edge = np.concatenate([large[0], large[-1], large[:, 0], large[:, -1]])
  np.testing.assert_allclose(found[0, [0, 3]], np.median(edge) / 255, rtol=1e-6)


def test_enlarging_repeats_pixels(tmp_path):
  found, notes = images.read(save(tmp_path, PIXELS), Wanted((8, 6, 1), 255), resize=True)
  assert notes == ["resized from 4 x 3 to 8 x 6 (area filter)"]
  np.testing.assert_allclose(found[0, ..., 0], PIXELS.repeat(2, 0).repeat(2, 1), rtol=1e-5)


def test_another_polarity_is_noticed_and_names_the_flag(tmp_path):
  dark, bright = save(tmp_path, PIXELS), save(tmp_path, 255 - PIXELS, name="y.png")
  (note,) = images.read(bright, DIGIT)[1]
  assert "border is bright" in note and "was dark" in note and "--invert" in note
  found, notes = images.read(bright, DIGIT, invert=True)
  assert notes == []
  np.testing.assert_allclose(found, images.read(dark, DIGIT)[0], atol=1e-5)
  (note,) = images.read(dark, DIGIT, invert=True)[1]
  assert "leave out --invert" in note
  (note,) = images.read(dark, Wanted((4, 3, 1), 1, border=1.0))[1]
  assert "border is dark" in note and "was bright" in note
  # Of grey borders, or with none known, nothing can be said.
  for border in (0.5, None):
    assert images.read(bright, Wanted((4, 3, 1), 1, border=border))[1] == []


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (1, 4, 3, 1), (5, 4, 3, 1)])
def test_an_array_is_in_the_data_set_s_units_already(tmp_path, shape):
  array = np.random.default_rng(2).uniform(0, 16, shape)
  np.save(tmp_path / "x.npy", array)
  found, _ = images.read(tmp_path / "x.npy", DIGIT)
  assert found.shape == (5 if shape[0] == 5 else 1, 4, 3, 1)
  np.testing.assert_allclose(found.ravel(), array.ravel(), rtol=1e-6)


def test_the_border_is_the_median_of_the_outermost_pixels():
  array = np.zeros((2, 4, 3, 1))
  array[:, 1:3, 1] = 9
  assert images.border(array, 9) == 0
  assert images.border(9 - array, 9) == 1


def write(name, content):
  return lambda folder: (folder / name).write_bytes(content) and folder / name


def array(value):
  def make(folder):
    np.save(folder / "x.npy", value, allow_pickle=True)
    return folder / "x.npy"
  return make


def cut(folder):
  path = save(folder, np.random.default_rng(3).integers(0, 256, (64, 64), np.uint8))
  path.write_bytes(path.read_bytes()[:1000])
  return path


@pytest.mark.parametrize("make, text", [
    (lambda folder: folder / "nowhere.png", "nowhere.png: no such file"),
    (lambda folder: folder, "can't be read"),
    (write("x.png", b"no image"), "is no image that can be read"),
    (cut, "can't be read"),
    (lambda folder: save(folder, PIXELS.astype(np.float32), name="x.tiff"), "floating-point"),
    (lambda folder: save(folder, PIXELS.astype(np.int32) - 7, name="x.tiff"), "beyond 16 bits"),
    (write("x.npy", b"no array"), "can't be read"),
    (array(np.array([{}], object)), "can't be read"),
    (array(np.array(["a"])), "does not hold one array of numbers"),
    (array(np.full((4, 3), np.nan)), "not finite"),
    (array(np.full((4, 3), 17)), "has values from 17 to 17; the model takes 0 to 16"),
    (array(np.zeros((3, 4))), r"has shape \(3, 4\); the model takes \(4, 3, 1\)"),
    (array(np.zeros((0, 4, 3, 1))), "has shape"),
])
def test_a_file_that_will_not_do_is_one_clear_error(tmp_path, make, text):
  with pytest.raises(InputError, match=text) as error:
    images.read(make(tmp_path), DIGIT)
  assert "\n" not in str(error.value)


def test_a_model_of_other_channels_takes_arrays_only(tmp_path):
  with pytest.raises(InputError, match="5 channels"):
    images.read(save(tmp_path, PIXELS), Wanted((4, 3, 5), 1))


@pytest.mark.parametrize("pixels", [PIXELS[..., None], COLOURS])
def test_a_written_png_is_read_back_and_what_lies_outside_is_clipped(tmp_path, pixels):
  image = pixels.astype(np.float64) / 255 * 16
  wanted = Wanted(pixels.shape, 16)
  images.write_png(tmp_path / "x.png", image, 16)
  np.testing.assert_allclose(images.read(tmp_path / "x.png", wanted)[0][0], image, atol=1e-5)
  images.write_png(tmp_path / "x.png", image * 100 - 3, 16)
  found = images.read(tmp_path / "x.png", wanted)[0][0]
  np.testing.assert_allclose(found, np.where(pixels > 0, 16, 0), atol=1e-5)
  with pytest.raises(InputError, match="can't be written"):
    images.write_png(pathlib.Path(tmp_path) / "nowhere" / "x.png", image, 16)
  with pytest.raises(InputError, match="5 channels"):
    images.write_png(tmp_path / "x.png", np.zeros((4, 3, 5)), 16)


@pytest.mark.parametrize("dataset", [None, "images", "tfrecord"])
def test_no_flipped_bit_of_a_png_changes_pixels_in_silence(tmp_path, dataset):
  # Smooth, as pictures are: of noise zlib keeps the bytes as they are, and finds more by itself.
  pixels = np.asarray(Image.fromarray(np.random.default_rng(0).integers(
      0, 256, (6, 6, 3), np.uint8)).resize((48, 40), Image.Resampling.BICUBIC))
  path, wanted = save(tmp_path, pixels), Wanted((40, 48, 3), 255, dataset=dataset)
  data = path.read_bytes()
  for place in range(0, len(data), 7):
    changed = bytearray(data)
    changed[place] ^= 1 << place % 8
    path.write_bytes(changed)
    if dataset is None and place >= len(data) - 12:
      continue  # the chunk that ends the file, and is empty: it is training that minds
    with pytest.raises(InputError, match="x.png: ") as error:
      images.read(path, wanted)
    assert "\n" not in str(error.value)


def test_a_png_without_pixels_is_one_clear_error(tmp_path):
  data = save(tmp_path, PIXELS).read_bytes()
  path = write("none.png", data[:33] + data[-12:])(tmp_path)  # the header, the end
  with pytest.raises(InputError, match="none.png: can't be read .*Mend it, or fetch it again"):
    images.read(path, DIGIT)


# Of each kind that training takes, what it fed is what a model of such files is given.
TAKEN = {
    "grey.png": ("L", {}), "colour.png": ("RGB", {}), "palette.png": ("P", {}),
    "bits.png": ("1", {}), "turned.png": ("RGB", {"exif": TURNED}), "grey.jpg": ("L", {}),
    "colour.jpg": ("RGB", {}), "turned.jpg": ("RGB", {"exif": TURNED}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "subsampled.jpg": ("RGB", {"subsampling": 2}),
}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_image_files_is_fed_the_bits_that_training_was_fed(tmp_path, channels):
  size, wanted = (12, 16), Wanted((12, 16, channels), 255, dataset="images")
  pixels = np.random.default_rng(4).integers(0, 256, (9, 9, 3), np.uint8)
  sizes = {"same": (16, 12), "landscape": (53, 24), "portrait": (21, 40), "small": (7, 5)}
  for name, (mode, options) in TAKEN.items():
    for kind, of_kind in sizes.items():
      save(tmp_path, Image.fromarray(pixels).resize(of_kind, Image.Resampling.BICUBIC), mode,
           f"{kind}-{name}", **options)
  listed = datasets.load("images", tmp_path, size=size, channels=channels,
                         fractions=(.8, 0, .2))
  for part in (listed.train, listed.test):
    batches = Batches(part.images, len(part))
    (trained,), order = batches.read(0, 1, 1), batches.indices(0, 1)[0].numpy()
    for image, row in zip(trained[0].numpy(), order, strict=True):
      path = part.images.names[row]
      images.check(path, wanted, resize=True)
      found, notes = images.read(path, wanted, resize=True)
      assert found.dtype == np.float32 and found.shape == (1, *size, channels)
      np.testing.assert_array_equal(found[0], image, err_msg=path)
      assert any("cut around the centre" in note for note in notes) == ("same" not in path)
      assert ("its EXIF orientation is not applied, as in training" in notes) == ("turned" in path)
      inverted, _ = images.read(path, wanted, resize=True, invert=True)
      np.testing.assert_array_equal(inverted[0], 255 - image)


def test_a_model_of_image_files_is_given_none_that_training_would_have_refused(tmp_path):
  wanted = Wanted((4, 3, 3), 255, dataset="tfrecord")
  data = save(tmp_path, COLOURS).read_bytes()
  flipped = bytearray(data)
  flipped[-20] ^= 1
  large = np.zeros((8, 9), np.uint8)
  for path, text in (
      (tmp_path / "nowhere.png", "nowhere.png: can't be read: No such file"),
      (save(tmp_path, COLOURS, name="x.gif"), "x.gif: not a PNG or JPEG file"),
      (save(tmp_path, COLOURS, "RGBA", "alpha.png"), "alpha.png: PNG with an alpha channel"),
      (write("flipped.png", flipped)(tmp_path), "flipped.png: damaged PNG: wrong checksum"),
      (write("cut.png", data[:-20])(tmp_path), "cut.png: truncated PNG"),
      (save(tmp_path, large, name="large.png"), "has 8 x 9 pixels .*takes 4 x 3.*--resize")):
    for ask in (images.check, images.read):
      with pytest.raises(InputError, match=text) as error:
        ask(path, wanted)
      assert "\n" not in str(error.value)


def test_a_model_of_image_files_takes_arrays_too_in_the_data_set_s_units(tmp_path):
  np.save(tmp_path / "x.npy", COLOURS)
  wanted = Wanted((4, 3, 3), 255, dataset="images")
  images.check(tmp_path / "x.npy", wanted)
  np.testing.assert_array_equal(images.read(tmp_path / "x.npy", wanted)[0][0], COLOURS)
