"""Batches of images, in an order that is a function of (seed, epoch, position)."""

import math
import time
import typing

import tensorflow as tf

from tfae import randomness
from tfae.data.reading import ReadAhead
from tfae.data.stored import StoredImages
from tfae.errors import check_int


class Batch(typing.NamedTuple):
  """What a step, or an evaluation, looks at.

  images: `[batch, height, width, channels]`, in the dataset's units: what is to be given back.
  inputs: the same shape: what the encoder sees, `images` itself or a corruption of them.
  labels: int32 `[batch]`, or None.
  weights: float32 `[batch]`: 1 for an example, 0 for padding.
  """
  images: tf.Tensor
  inputs: tf.Tensor
  labels: tf.Tensor | None
  weights: tf.Tensor


class Batches:
  """Images and labels on the data device, and which of them stand in the batch of a step.

  Images in files stay there: `read` has those of the next steps decoded, outside the graph.

  Every epoch is a permutation of all examples. The last batch of an epoch, if it is partial, is
  padded: its shape is the same and its padding has weight 0, so that one trace serves all.

  One of several processes has its rows of every batch: `share` = (first, rows, of all), of batches
  that are padded to that many rows. Which examples stand in a batch does not depend on it.

  Attributes:
    images: `[n, height, width, channels]` on `device`, in the dataset's dtype and units; or the
      `StoredImages`.
    size: number of images.
    batch_size: images a batch, of all processes.
    rows: rows of a batch that are here.
    steps_per_epoch: batches an epoch, the partial one included.
    most_steps: how many steps one call of `read` may ask for; infinite for images on the device.
    waited: seconds that `read` has taken so far, when no step was taken; None for images on the
      device.
  """

  def __init__(self, images, batch_size, *, labels=None, seed=0, device="/CPU:0", share=None):
    """Copies images and labels to the device.

    Args:
      images: array or `tfae.data.stored.StoredImages` `[n, height, width, channels]`, n >= 1.
      batch_size: 1 to n.
      labels: integers `[n]`, or None.
      seed: int; another seed is another order.
      device: full device name.
      share: (first, rows, of all); None: all rows are here.

    Raises:
      InputError: batch_size is not in 1..n.
    """
    self.size = len(images)
    self.batch_size = check_int("batch_size", batch_size, 1, self.size)
    self.steps_per_epoch = -(-self.size // batch_size)
    self._first, self.rows, self._padded = share or (0, self.batch_size, self.batch_size)
    self.device = device
    # index_shuffle has a CPU kernel only.
    self._order_device = device if "CPU" in device else "/device:CPU:0"
    self._seed = seed
    self._ahead = None
    self.most_steps = math.inf
    with tf.device(device):
      self._labels = None if labels is None else tf.constant(labels, tf.int32)
      if isinstance(images, StoredImages):
        self.images = images
        self._ahead = ReadAhead(images, self.rows, self._rows)
        self.most_steps = self._ahead.most_steps
      else:
        self.images = tf.constant(images)
    self.waited = None if self._ahead is None else 0.0

  def replace(self, images):
    """Takes other images of the same shape on the device; not once a graph has taken these."""
    with tf.device(self.device):
      self.images = tf.constant(images)

  def indices(self, first_step, steps):
    """Returns which images stand in the batches of `steps` steps from first_step on.

    Has no XLA kernel: call it outside a compiled region.

    Args:
      first_step: int64 scalar, counted from 0 over all epochs.
      steps: int. Those past the end of first_step's epoch are all padding.

    Returns:
      int32 `[steps, rows]`, -1 for padding.
    """
    with tf.device(self._order_device):
      return self._rows(first_step, steps)

  def _rows(self, first_step, steps):
    epoch = first_step // self.steps_per_epoch
    first = first_step % self.steps_per_epoch * self.batch_size
    position = first + tf.range(steps * self.batch_size, dtype=tf.int64)
    key = randomness.stream(self._seed, "order")
    index = randomness.order(tf.minimum(position, self.size - 1), self.size, key, epoch)
    found = tf.reshape(tf.where(position < self.size, index, -1), [steps, self.batch_size])
    padding = self._padded - self.batch_size
    if padding:
      found = tf.pad(found, [[0, 0], [0, padding]], constant_values=-1)
    return found[:, self._first:self._first + self.rows]

  def examples(self, step):
    """Returns how many examples the whole batch of a step has, an int64 scalar."""
    first = step % self.steps_per_epoch * self.batch_size
    return tf.minimum(tf.constant(self.batch_size, tf.int64), self.size - first)

  def read(self, first_step, count, steps):
    """Returns what a graph of `steps` steps needs besides `indices`, which `gather` takes apart.

    Args:
      first_step, count: ints: which steps will be taken, all of one epoch.
      steps: at least `count`, at most `most_steps`.

    Returns:
      () for images on the device; for images in files ([steps, rows, ...],), decoded.

    Raises:
      InputError: a file that is gone, has changed or can't be decoded.
    """
    if self._ahead is None:
      return ()
    began = time.monotonic()
    with tf.device(self.device):
      images = tf.identity(self._ahead(first_step, count, steps))
    self.waited += time.monotonic() - began
    return (images,)

  def close(self):
    """Ends what is read ahead of images in files; needed before a process ends."""
    if self._ahead is not None:
      self._ahead.close()

  def read_signature(self, steps):
    """Returns the `tf.TensorSpec`s of what `read` returns."""
    shape = [steps, self.rows, *self.images.shape[1:]]
    return () if self._ahead is None else (tf.TensorSpec(shape, self.images.dtype, "images"),)

  def gather(self, indices, *images):
    """Returns the `Batch` of one row of `indices`; padding repeats image 0 with weight 0.

    Args:
      indices: int32 `[batch]`, of some rows.
      *images: of images in files, in a graph: their part of what `read` returned.
    """
    with tf.device(self.device):
      rows = tf.maximum(indices, 0)
      if images:
        images, = images
      elif self._ahead:
        images = tf.constant(self.images[rows.numpy()])
      else:
        images = tf.gather(self.images, rows)
      labels = None if self._labels is None else tf.gather(self._labels, rows)
      return Batch(images, images, labels, tf.cast(indices >= 0, tf.float32))
