"""Tests of tfae.raw_inputs: signatures for pixels of a byte and for encoded images."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from tfae import graph, raw_inputs
from tfae.errors import InputError

SHAPE = (6, 4, 1)
PIXELS = np.random.default_rng(3).integers(0, 256, (5, *SHAPE)).astype(np.uint8)


def plain(shape=SHAPE):
  """Signatures that give their images back, 0 to 16, so that what comes in can be seen."""
  images = graph.Input(tf.TensorSpec([None, *shape], tf.float32), "images", (0, 16))
  echo = graph.Signature(lambda images: {"seen": images + 0.0}, {"images": images}, {"seen": "it"})
  codes = graph.Input(tf.TensorSpec([None, 2], tf.float32), "codes")
  return {"serving_default": echo, "reconstruct": echo,
          "score": graph.Signature(lambda images: {"score": tf.reduce_sum(images, [1, 2, 3])},
                                   {"images": images}, {"score": "the sum"}),
          "decode": graph.Signature(lambda codes: {"seen": codes * 2.0}, {"codes": codes},
                                    {"seen": "it"})}


@pytest.fixture(scope="module", name="frozen")
def fixture_frozen():
  return graph.freeze(raw_inputs.add(plain(), ["uint8", "bytes"], SHAPE, 16))


def encoded(pixels, kind="png", **options):
  """Returns the bytes of an image file, by Pillow."""
  buffer = io.BytesIO()
  Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, kind, **options)
  return buffer.getvalue()


def seen(frozen, files):
  feeds = {"image_bytes": np.array(files, object)}
  return graph.call(frozen, "reconstruct_bytes", feeds)["seen"]


def test_every_signature_that_takes_images_alone_has_a_sister_of_each_kind(frozen):
  assert sorted(frozen.inputs) == [
      "decode", "reconstruct", "reconstruct_bytes", "reconstruct_uint8", "score", "score_bytes",
      "score_uint8", "serving_default"]
  assert [(name, info.dtype, info.shape) for key in ("score_bytes", "score_uint8")
          for name, info in frozen.inputs[key].items()] == [
              ("image_bytes", tf.string, (None,)),
              ("images_uint8", tf.uint8, (None, *SHAPE))]


def test_a_byte_of_255_is_the_largest_value_of_the_data_set(frozen):
  found = graph.call(frozen, "reconstruct_uint8", {"images_uint8": PIXELS})["seen"]
  np.testing.assert_allclose(found, PIXELS / 255 * 16, rtol=1e-6)


def test_png_files_are_the_pixels_that_another_library_put_in_them(frozen):
  found = seen(frozen, [encoded(image) for image in PIXELS])
  np.testing.assert_allclose(found, PIXELS / 255 * 16, rtol=1e-6)


def test_a_jpeg_file_is_what_another_library_reads_from_it(frozen):
  file = encoded(PIXELS[0], "jpeg", quality=90)
  expected = np.asarray(Image.open(io.BytesIO(file)))[..., None]
  np.testing.assert_allclose(seen(frozen, [file])[0], expected / 255 * 16, atol=16 / 255 + 1e-6)


def test_an_image_of_another_size_is_cut_around_its_centre_and_averaged(frozen):
  # 12 x 12 for a model of 6 x 4: the middle 8 columns, each pixel the mean of 2 x 2.
  pixels = np.random.default_rng(4).integers(0, 256, (12, 12, 1)).astype(np.uint8)
  means = pixels[:, 2:10, 0].reshape(6, 2, 4, 2).mean(axis=(1, 3))
  np.testing.assert_allclose(seen(frozen, [encoded(pixels)])[0, ..., 0],
                             np.floor(means + .5) / 255 * 16, rtol=1e-6)


def test_no_image_at_all_is_a_batch_of_none(frozen):
  assert seen(frozen, []).shape == (0, *SHAPE)


@pytest.mark.parametrize("file", [b"", b"words", encoded(PIXELS[0])[:60]])
def test_a_file_that_is_no_image_fails_the_request(frozen, file):
  with pytest.raises(tf.errors.InvalidArgumentError):
    seen(frozen, [encoded(PIXELS[0]), file])


def test_all_signatures_share_one_decoding(frozen):
  loops = [node for node in frozen.graph_def.node if "While" in node.op]
  assert [loop.name.split("/")[0] for loop in loops] == ["image_bytes"]


def test_the_same_signatures_freeze_to_the_same_bytes(frozen):
  again = graph.freeze(raw_inputs.add(plain(), ["uint8", "bytes"], SHAPE, 16))
  serialized = lambda graph_def: graph_def.SerializeToString(deterministic=True)
  assert serialized(again.graph_def) == serialized(frozen.graph_def)


def test_feeds_hold_the_images_to_the_nearest_byte():
  images = PIXELS / np.float32(255) * 16
  found = raw_inputs.feeds(["uint8", "bytes"], images, 16)
  np.testing.assert_array_equal(found["images_uint8"], PIXELS)
  for file, pixels in zip(found["image_bytes"], PIXELS, strict=True):
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), pixels[..., 0])


@pytest.mark.parametrize("kinds, shape, max_value, said", [
    (["byte"], SHAPE, 16, "raw_inputs='byte': expected one of 'uint8', 'bytes'. Did you mean"),
    (["uint8"], SHAPE, None, "raw_inputs=uint8: needs the largest value of an image"),
    (["bytes"], (6, 4, 2), 16, r"raw_inputs=bytes: the model takes images of shape \(6, 4, 2\)"),
    (["bytes"], (24,), 16, r"raw_inputs=bytes: the model takes images of shape \(24,\)"),
])
def test_what_can_not_be_is_an_error_that_says_why(kinds, shape, max_value, said):
  with pytest.raises(InputError, match=said):
    raw_inputs.add(plain(shape), kinds, shape, max_value)


def test_without_kinds_nothing_is_added_and_nothing_needs_to_be_known():
  assert sorted(raw_inputs.add(plain(), [], SHAPE, None)) == sorted(plain())
