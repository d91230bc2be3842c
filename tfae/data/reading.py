"""Batches of images in files, read and decoded in tf.data ahead of the steps that take them."""

import math
import os

import tensorflow as tf

from tfae.data.stored import CHUNK_BYTES

_MOST_BYTES = CHUNK_BYTES  # of decoded images in one loop; as many again are read ahead


class ReadAhead:
  """Gives the images of the next steps, and decodes those of the steps after in the background.

  Holds at most about 64 MiB of decoded images, or four batches if those are more: those of the
  loop, once more while they are put together, and those read ahead.

  Attributes:
    most_steps: most steps of one call.
  """

  def __init__(self, images, batch_size, rows):
    """Reads nothing yet.

    Args:
      images: a `tfae.data.stored.StoredImages`.
      batch_size: int.
      rows: function of (first step, int64 scalar; number of steps, int) that returns which images
        stand in their batches, integers [steps, batch_size], negative for padding; of TensorFlow
        ops, for a graph.
    """
    self._images, self._rows, self._batch_size = images, rows, batch_size
    self._shape = images.shape[1:]
    self.most_steps = max(1, _MOST_BYTES // (batch_size * math.prod(self._shape)))
    self._next = self._iterator = None

  def __call__(self, first_step, count, steps):
    """Returns the images of `count` steps of one epoch, uint8 `[steps, batch_size, ...]`.

    What lies past `count` is 0; padding is image 0. Asked for the steps that follow those of
    the last call, it has them; any other step begins anew.

    Raises:
      InputError: a file that is gone, has changed or can't be decoded; by name.
    """
    with tf.device("/CPU:0"):
      if first_step != self._next:
        self._iterator = iter(self._batches(first_step, steps))
      self._next = None  # an error on the way leaves no place to go on from
      rows = self._rows(tf.constant(first_step, tf.int64), count).numpy()
      batches = []
      for row in rows:
        try:
          batches.append(next(self._iterator))
        except tf.errors.OpError as error:
          self._images.fail(row[row >= 0], error)
      # After they were read: what was decoded is what was listed.
      self._images.check_unchanged(rows[rows >= 0])
      self._next = first_step + count
      empty = [tf.zeros_like(batches[0])] if count < steps else []
      return tf.stack(batches + empty * (steps - count))

  def close(self):
    """Ends what is read ahead, and waits for what is being read; the next call begins anew.

    Left to the end of the process, a thread that reads would wait for an interpreter that is gone,
    and the process for that thread.
    """
    self._next = self._iterator = None

  def _batches(self, first_step, ahead):
    rows = tf.data.Dataset.counter(first_step).map(lambda step: self._rows(step, 1)[0])
    # Not more at a time than a loop may have, whatever the machine.
    parallel = min(os.cpu_count(), self.most_steps)
    return self._images.read_ahead(rows, parallel).prefetch(ahead)
