"""Random changes of images, in the graph: see `tfae.specs.distortions.Augmentation`.

All of them but the mirroring are one look-up: where in the image does a pixel of the result come
from? So rotation, shift and elastic deformation together interpolate once, not three times. The
look-ups are gathers, which have XLA kernels.
"""

import math

import numpy as np
import tensorflow as tf

from tfae import randomness
from tfae.errors import InputError
from tfae.specs.distortions import Augmentation


def augment(images, key, augmentation):
  """Returns changed images, float32, or `images` themselves where nothing is to be done.

  With (r, c) a pixel's distance from the centre, a its image's angle, s its shift and d the
  displacement at the pixel, the result there is the image at
  (cos a (r - s0) + sin a (c - s1) + d0, cos a (c - s1) - sin a (r - s0) + d1).

  Args:
    images: `[batch, height, width, channels]`, any numeric dtype; all but the batch is known.
    key: int64 [2], of this step and purpose; another key is other changes.
    augmentation: a `tfae.specs.distortions.Augmentation`.

  Returns:
    The shape of `images`, in their units, not rounded to them. With and without XLA the same up
    to rounding.

  Raises:
    InputError: images of another rank or of unknown size, or too small for the shift.
  """
  shape = images.shape
  if shape.rank != 4 or None in shape[1:]:
    raise InputError(f"augment: images have shape {shape}; expected [batch, height, width, "
                     "channels] with all but the batch known.")
  augmentation.check_shape(tuple(shape[1:]))
  if augmentation == Augmentation():
    return images
  images = tf.cast(images, tf.float32)
  batch = tf.shape(images)[0] if images.shape[0] is None else images.shape[0]
  # Each change has a key of its own: turning one on leaves the others as they were.
  flips, angles, shifts, fields = (randomness.fold_in(key, number) for number in range(4))
  if augmentation.flip:
    mirrored = randomness.uniform([batch, 1, 1, 1], flips) < 0.5
    images = tf.where(mirrored, tf.reverse(images, [2]), images)
  offsets = None
  if augmentation.shift:
    # Floor of a product of one rounding: the same integers with XLA and without.
    places = 2 * augmentation.shift + 1
    offsets = tf.floor(randomness.uniform([batch, 2], shifts) * places) - augmentation.shift
  if not augmentation.rotate and not augmentation.elastic_alpha:
    return images if offsets is None else shift(images, tf.cast(offsets, tf.int32))
  rows = tf.reshape(tf.range(shape[1], dtype=tf.float32) - (shape[1] - 1) / 2, [1, -1, 1])
  columns = tf.reshape(tf.range(shape[2], dtype=tf.float32) - (shape[2] - 1) / 2, [1, 1, -1])
  if offsets is not None:
    rows, columns = rows - offsets[:, :1, None], columns - offsets[:, 1:, None]
  if augmentation.rotate:
    limit = math.radians(augmentation.rotate)
    rows, columns = rotated(rows, columns, randomness.uniform([batch], angles, -limit, limit))
  rows, columns = rows + (shape[1] - 1) / 2, columns + (shape[2] - 1) / 2
  if augmentation.elastic_alpha:
    field = smooth_field(batch, *shape[1:3], fields, augmentation.elastic_sigma)
    rows += augmentation.elastic_alpha * field[0]
    columns += augmentation.elastic_alpha * field[1]
  return sample(images, rows, columns)


def shift(images, offsets):
  """Returns images moved by whole pixels; what comes in is 0.

  Args:
    images: float32 `[batch, height, width, channels]`.
    offsets: int32 `[batch, 2]`: down and to the right.
  """
  _, height, width, _ = images.shape
  # One pixel of padding stands for all that lies outside.
  padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
  rows = tf.clip_by_value(tf.range(1, height + 1) - offsets[:, :1], 0, height + 1)
  columns = tf.clip_by_value(tf.range(1, width + 1) - offsets[:, 1:], 0, width + 1)
  return _take(padded, rows[:, :, None], columns[:, None, :])


def rotated(rows, columns, angles):
  """Returns where pixels come from if images turn counterclockwise.

  Args:
    rows, columns: float32, distances from the centre, that broadcast to `[batch, height, width]`.
    angles: float32 `[batch]`, radians.
  """
  sine, cosine = tf.sin(angles)[:, None, None], tf.cos(angles)[:, None, None]
  return cosine * rows + sine * columns, cosine * columns - sine * rows


def smooth_field(batch, height, width, key, sigma):
  """Returns float32 `[2, batch, height, width]`: uniform numbers in [-1, 1), then smoothed.

  The Gaussian is cut off at 4 sigma and sums to 1; beyond the edges the numbers are 0. Both
  fields of a pixel are made of one random integer, 16 bits each: the integers take most of the
  time.
  """
  words = randomness.halves([height, batch * width], key, before=height)
  # Smoothing is separable. In this order each direction is one large matrix product.
  field = tf.matmul(_smoothing(height, sigma), 2 * words - 1)
  field = tf.matmul(tf.reshape(field, [-1, width]), _smoothing(width, sigma))
  return tf.transpose(tf.reshape(field, [2, height, batch, width]), [0, 2, 1, 3])


def _smoothing(size, sigma):
  """Returns the symmetric `[size, size]` matrix that smooths an axis of `size` pixels."""
  radius = int(4 * sigma + 0.5)
  kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
  distance = np.abs(np.arange(size)[:, None] - np.arange(size))
  weights = (kernel / kernel.sum())[radius + np.minimum(distance, radius)]
  return tf.constant(np.where(distance <= radius, weights, 0), tf.float32)


def sample(images, rows, columns):
  """Returns images looked up between their pixels, bilinearly; outside of them is 0.

  Args:
    images: float32 `[batch, height, width, channels]`.
    rows, columns: float32 `[batch, new height, new width]`, in pixels; (0, 0) is the first one.

  Returns:
    float32 `[batch, new height, new width, channels]`.
  """
  _, height, width, channels = images.shape
  padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
  rows = tf.clip_by_value(rows + 1, 0, height + 1)
  columns = tf.clip_by_value(columns + 1, 0, width + 1)
  top, left = tf.minimum(tf.floor(rows), height), tf.minimum(tf.floor(columns), width)
  down, right = (rows - top)[..., None], (columns - left)[..., None]
  # The four neighbours side by side: one gather instead of four.
  corners = tf.concat([padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1],
                       padded[:, 1:, 1:]], 3)
  a, b, c, d = tf.split(_take(corners, tf.cast(top, tf.int32), tf.cast(left, tf.int32)),
                        [channels] * 4, 3)
  upper, lower = a + right * (b - a), c + right * (d - c)
  return upper + down * (lower - upper)


def _take(images, rows, columns):
  """Returns `images[i, rows[i], columns[i]]` for each image i; rows, columns: int32, in range."""
  _, height, width, channels = images.shape
  first = tf.range(tf.shape(images)[0])[:, None, None] * (height * width)
  return tf.gather(tf.reshape(images, [-1, channels]), first + rows * width + columns)
