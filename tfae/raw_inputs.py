"""Signatures that take images as callers have them: pixels of a byte, or encoded PNG and JPEG.

A signature KEY whose only input is `images` gets a sister beside it that brings another input to
the same pixels inside the graph: KEY_uint8 or KEY_bytes.
"""

import io

import numpy as np
from PIL import Image

from tfae.data import encoded
from tfae.errors import InputError, check_choice

KINDS = ("uint8", "bytes")
# An input of one name is one tensor of the graph, so these can't be called `images` too.
INPUTS = {"uint8": "images_uint8", "bytes": "image_bytes"}
_PLAIN = "images"


def check(kinds, image_shape, max_value):
  """Raises InputError unless a model of `image_shape` can have the signatures of `kinds`."""
  for kind in kinds:
    check_choice("raw_inputs", kind, KINDS)
  if kinds and not max_value:
    raise InputError(f"raw_inputs={','.join(kinds)}: needs the largest value of an image, which "
                     "255 stands for; it is not known. Give max_value.")
  if "bytes" in kinds and (len(image_shape) != 3 or image_shape[2] not in (1, 3)):
    raise InputError(f"raw_inputs=bytes: the model takes images of shape {tuple(image_shape)}; PNG "
                     "and JPEG hold [height, width, 1 or 3]. Use uint8.")


def add(signatures, kinds, image_shape, max_value):
  """Returns the signatures and, for each that takes images alone, those of `kinds`.

  Args:
    signatures: {key: `graph.Signature`}. `serving_default`, a double of another one, gets none.
    kinds: some of KINDS. `uint8` takes `images_uint8`, uint8 `[batch, *image_shape]`, 0 to 255;
      `bytes` takes `image_bytes`, string `[batch]`, a PNG or JPEG file each, decoded, cut and
      resized as `tfae.data.encoded` does. An alpha channel is ignored, of 16 bits the upper 8 are
      taken, and one file that can't be decoded fails the whole request.
    image_shape: of one image.
    max_value: largest value of an image in the dataset's units; white, 255, becomes that.

  Raises:
    InputError: see `check`.
  """
  import tensorflow as tf  # heavy: checking is done without it
  from tfae import graph
  check(kinds, image_shape, max_value)
  shape = " x ".join(map(str, image_shape))
  if not kinds:
    return dict(signatures)
  described = {
      "uint8": graph.Input(tf.TensorSpec([None, *image_shape], tf.uint8),
                           f"images of {shape}, a byte a value; 255 stands for {max_value:g} in "
                           "the dataset's units", (0, 255)),
      "bytes": graph.Input(tf.TensorSpec([None], tf.string),
                           "a PNG or JPEG file each, cut around the centre and resized by area to "
                           f"{shape}; white stands for {max_value:g} in the dataset's units"),
  }
  result = dict(signatures)
  for kind in kinds:
    pixels = _Pixels(kind, image_shape, max_value / 255)
    for key, signature in signatures.items():
      if key != "serving_default" and set(signature.inputs) == {_PLAIN}:
        result[f"{key}_{kind}"] = _signature(signature, kind, described[kind], pixels)
  return result


def feeds(kinds, images, max_value):
  """Returns {input: array} of the inputs of `kinds` that hold `images`, to the nearest byte.

  `images` is float32 `[n, height, width, channels]`, 0 to `max_value`; encoded ones are PNG, in an
  array of objects.
  """
  if not kinds:
    return {}
  pixels = np.rint(np.clip(np.asarray(images) * (255 / max_value), 0, 255)).astype(np.uint8)
  found = {}
  if "uint8" in kinds:
    found[INPUTS["uint8"]] = pixels
  if "bytes" in kinds:
    found[INPUTS["bytes"]] = np.array([_png(image) for image in pixels], object)
  return found


class _Pixels:
  """Brings an input to float32 images. The signatures of one graph share what it adds to it."""

  def __init__(self, kind, image_shape, unit):
    self._kind, self._image_shape, self._unit = kind, tuple(image_shape), unit
    self._made = {}

  def __call__(self, value):
    import tensorflow as tf
    if tf.executing_eagerly():
      return self._images(value)
    if value.ref() not in self._made:
      with tf.name_scope(f"{INPUTS[self._kind]}/"):  # not below the first signature's
        self._made[value.ref()] = self._images(value)
    return self._made[value.ref()]

  def _images(self, value):
    import tensorflow as tf
    if self._kind == "bytes":
      value = tf.map_fn(lambda data: encoded.decode(data, self._image_shape), value,
                        fn_output_signature=tf.TensorSpec(self._image_shape, tf.uint8))
    return tf.cast(value, tf.float32) * tf.constant(self._unit, tf.float32)


def _signature(signature, kind, described, pixels):
  def function(**inputs):
    return signature.function(**{_PLAIN: pixels(inputs[INPUTS[kind]])})
  from tfae import graph
  return graph.Signature(function, {INPUTS[kind]: described}, signature.outputs)


def _png(image):
  buffer = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "png")
  return buffer.getvalue()
