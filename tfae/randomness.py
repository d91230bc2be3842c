"""Random numbers as a function of (seed, purpose, step): nothing to save, nothing to restore.

All draws are `tf.random.stateless_*` with Philox (Salmon et al. 2011, "Parallel random numbers:
as easy as 1, 2, 3"), whose numbers are the same with and without XLA, and on every device.
"""

import zlib

import tensorflow as tf

ALGORITHM = "philox"


def stream(seed, purpose):
  """Returns the key, int64 [2], of one purpose ('encoder/layer_0/kernel', 'dropout') of a run."""
  return tf.constant([seed, zlib.crc32(purpose.encode())], tf.int64)


def fold_in(key, number):
  """Returns the key, int64 [2], of draw `number` (a step, a layer's index) of the stream `key`."""
  return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int64), alg=ALGORITHM)


def uniform(shape, key, minimum=0.0, maximum=1.0, dtype=tf.float32):
  """Returns numbers in [minimum, maximum)."""
  return tf.random.stateless_uniform(shape, key, minimum, maximum, dtype, alg=ALGORITHM)


def normal(shape, key, stddev=1.0, dtype=tf.float32):
  """Returns normal numbers with mean 0."""
  return tf.random.stateless_normal(shape, key, 0.0, stddev, dtype, alg=ALGORITHM)


def order(positions, size, key, epoch):
  """Returns which example stands at `positions` of `epoch`: a permutation of range(size).

  `index_shuffle` computes each place of the permutation by itself, so that any size needs no
  buffer. It has no XLA kernel: call this outside a compiled region.

  Args:
    positions: integers [n] in [0, size).
    size: number of examples.
    key: int64 [2] from `stream`.
    epoch: integer scalar.

  Returns:
    int32 [n].
  """
  # The op hardly mixes its seed (all-zero words give the identity), so it gets random words.
  words = tf.random.stateless_uniform([3], fold_in(key, epoch), None, None, tf.int32,
                                      alg=ALGORITHM)
  return tf.raw_ops.RandomIndexShuffle(index=tf.cast(positions, tf.int32), seed=words,
                                       max_index=size - 1, rounds=8)
