"""Random numbers as a function of (seed, purpose, step): nothing to save, nothing to restore.

All draws are `tf.random.stateless_*` with Philox (Salmon et al. 2011, "Parallel random numbers:
as easy as 1, 2, 3"), whose integers are the same with and without XLA, and on every device. Its
floats are not: XLA makes them of the upper bits of an integer, TensorFlow's kernels of the lower
ones. So they are made of the integers here.

In one of several replicas a draw is its rows' part of what one replica would draw for the whole
batch: the integers are numbered, and Philox makes any of them without those before. A shape there
has to be known, and an axis of it has to be the rows.
"""

import math
import zlib

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import random_ops_util

from tfae import ops, replica

ALGORITHM = "philox"


def stream(seed, purpose):
  """Returns the key, int64 [2], of one purpose ('encoder/layer_0/kernel', 'dropout') of a run."""
  return tf.constant([seed, zlib.crc32(purpose.encode())], tf.int64)


def fold_in(key, number):
  """Returns the key, int64 [2], of draw `number` (a step, a layer's index) of the stream `key`."""
  return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int64), alg=ALGORITHM)


def uniform(shape, key, minimum=0.0, maximum=1.0, dtype=tf.float32, before=None):
  """Returns numbers in [minimum, maximum), float32 or float64; for [0, 1) the same to the bit.

  `before` is the product of the axes before the one of the batch, which may be a multiple of its
  rows; None: that is the first axis.
  """
  # As many bits as the mantissa holds, so that the conversion is exact.
  if dtype == tf.float64:
    bits, unused, scale = _integers(shape, key, tf.uint64, before), 11, 2.0**-53
  else:
    bits, unused, scale = _words(shape, key, before), 8, 2.0**-24
  unit = tf.cast(tf.bitwise.right_shift(bits, tf.constant(unused, bits.dtype)), dtype) * scale
  return minimum + unit * (maximum - minimum)


def below(rate, shape, key):
  """Returns booleans of a shape of rank 1 or more, each True with probability `rate`, below 1.

  A word of 32 bits is several decisions: of 8 bits each where they say the rate, as .25 and .5, of
  16, or of all next to 0 and 1. The probability differs from the rate by at most 1e-4 of the rate,
  or of what it lacks to 1. A row (of axis 0) begins with a new word.
  """
  off = lambda bits: abs(round(rate * 2**bits) / 2**bits - rate)
  bits = next((bits for bits in (8, 16) if off(bits) <= 1e-4 * min(rate, 1 - rate)), 32)
  known = tf.get_static_value(shape)
  shape = shape if known is None else [int(n) for n in known]
  row = tf.reduce_prod(shape[1:]) if known is None else math.prod(shape[1:])
  words = -(-row * bits // 32)
  dtype = {8: tf.uint8, 16: tf.uint16, 32: tf.uint32}[bits]
  parts = tf.bitcast(_words((shape[0], words), key, None), dtype)
  parts = tf.reshape(parts, (shape[0], words * 32 // bits))
  limit = tf.constant(min(round(rate * 2**bits), 2**bits - 1), dtype)
  return tf.reshape(parts[:, :row], shape) < limit


def halves(shape, key, before=None):
  """Returns float32 `[2, *shape]`, numbers in [0, 1) of 16 bits each, at half the cost of 24.

  Both numbers of a place are halves of one integer. `before` is as for `uniform`.
  """
  bits = _words(shape, key, before)
  upper, lower = tf.bitwise.right_shift(bits, 16), tf.bitwise.bitwise_and(bits, 0xffff)
  return tf.cast(tf.stack([upper, lower]), tf.float32) * 2.0**-16


def normal(shape, key, stddev=1.0, dtype=tf.float32, before=1):
  """Returns normal numbers with mean 0, float32 or float64; not truncated.

  `before` is as for `uniform`; 1: the first axis is that of the batch, and has its rows once.

  Source: Box and Muller 1958. With XLA they differ by the rounding of its logarithm and cosine.
  """
  pair = uniform(tf.concat([[2], tf.cast(shape, tf.int32)], 0), key, dtype=dtype,
                 before=2 * before)
  radius = tf.sqrt(-2 * tf.math.log(1 - pair[0]))
  return stddev * radius * tf.cos(2 * math.pi * pair[1])


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


def _integers(shape, key, dtype, before):
  """Returns unsigned integers of all their bits."""
  part = replica.current()
  if part is None:
    return tf.random.stateless_uniform(shape, key, None, None, dtype, alg=ALGORITHM)
  shape = tf.TensorShape(tf.get_static_value(shape)).as_list()
  blocks = before or shape[0] // part.rows
  size = math.prod(shape) // blocks
  row = size // part.rows
  return tf.reshape(tf.concat(
      [_numbered((block * part.batch + part.first) * row, size, key, dtype)
       for block in range(blocks)], 0), shape)


def _numbered(first, size, key, dtype):
  """Returns the integers number `first` to `first + size - 1` of the stream of a key."""
  at_once = 16 // dtype.size  # how many Philox makes of one value of its 128-bit counter
  key, counter, algorithm = random_ops_util.get_key_counter_alg(key, ALGORITHM)
  low = counter[0] + tf.constant(first // at_once, tf.uint64)
  counter = tf.stack([low, counter[1] + tf.cast(low < counter[0], tf.uint64)])
  spare = first % at_once
  found = tf.raw_ops.StatelessRandomUniformFullIntV2(
      shape=[spare + size], key=key, counter=counter, alg=algorithm, dtype=dtype)
  return found[spare:]


def _words(shape, key, before):
  """Returns uint32 integers."""
  if not ops.xla_on_cpu(key) or replica.current():
    return _integers(shape, key, tf.uint32, before)
  # The same words, as halves of 64-bit integers: of those XLA makes a vectorised loop, four times
  # as fast.
  size = tf.reduce_prod(tf.cast(shape, tf.int32))
  pairs = _integers([(size + 1) // 2], key, tf.uint64, None)
  words = tf.stack([tf.cast(pairs, tf.uint32),
                    tf.cast(tf.bitwise.right_shift(pairs, tf.constant(32, tf.uint64)), tf.uint32)],
                   1)
  return tf.reshape(tf.reshape(words, [-1])[:size], shape)
