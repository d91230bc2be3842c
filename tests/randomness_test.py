"""Random numbers: the same everywhere for the same key, others for another; orders that are."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tfae import randomness, replica

DRAWS = {
    "uniform": lambda key: randomness.uniform((5, 3), key),
    "uniform, scaled": lambda key: randomness.uniform((5, 3), key, -2.0, 3.0),
    "uniform float64": lambda key: randomness.uniform((5, 3), key, dtype=tf.float64),
    "halves": lambda key: randomness.halves((5, 3), key),
    "normal": lambda key: randomness.normal((5, 3), key, 0.5),
    "normal float64": lambda key: randomness.normal((5, 3), key, dtype=tf.float64),
    "fold_in": lambda key: randomness.fold_in(key, 7),
}


def order(size, seed, epoch):
  return randomness.order(tf.range(size), size, randomness.stream(seed, "order"), epoch).numpy()


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_key_gives_the_same_numbers_with_xla_and_without_and_on_every_device(name):
  draw = DRAWS[name]
  key = randomness.stream(7, "dropout")
  reference = draw(key).numpy()
  compiled = tf.function(lambda k: draw(k), jit_compile=True, autograph=False)(key).numpy()
  # XLA rounds once where a product is added, and has its own logarithm and cosine.
  if name.startswith(("normal", "uniform, scaled")):
    np.testing.assert_allclose(compiled, reference, rtol=2e-6, atol=1e-6)
  else:
    np.testing.assert_array_equal(compiled, reference)
  # On a CPU that is known to be one, XLA draws the words in pairs.
  def on_cpu(k):
    with tf.device("/device:CPU:0"):
      return draw(tf.identity(k))
  again = tf.function(on_cpu, jit_compile=True, autograph=False)(key)
  np.testing.assert_array_equal(again, compiled)
  graph = tf.function(lambda k: draw(k), jit_compile=False, autograph=False)
  np.testing.assert_array_equal(graph(key), reference)
  for device in tf.config.list_logical_devices("CPU"):
    with tf.device(device.name):
      found = draw(key)
      assert found.device.endswith(device.name)
      np.testing.assert_array_equal(found, reference)


# The rates, and the bits of a decision.
RATES = [(0.5, 8), (0.25, 8), (1 / 256, 8), (0.2, 16), (0.9, 16), (1 / 3, 16), (1e-9, 32),
         (1e-5, 32), (1 - 2.0**-20, 32), (0.1 + 2.0**-26, 16)]


@pytest.mark.parametrize("rate, bits", RATES)
@pytest.mark.parametrize("shape", [(300, 301), (299, 7, 43), (1000,), (4, 0)])
def test_decisions_are_a_part_of_a_philox_word_each_and_true_as_often_as_the_rate_says(
    rate, bits, shape):
  key = randomness.stream(7, "dropout")
  row = int(np.prod(shape[1:]))
  words = tf.random.stateless_uniform((shape[0], -(-row * bits // 32)), key, None, None, tf.uint32,
                                      alg="philox").numpy()
  parts = words.astype("<u4").view(f"<u{bits // 8}").reshape(shape[0], -1)[:, :row]
  expected = parts.reshape(shape) < rate * 2.0**bits - .5  # rounded to the next integer
  for jit in (False, True):
    found = tf.function(lambda: randomness.below(rate, shape, key), jit_compile=jit)().numpy()
    np.testing.assert_array_equal(found, expected)
    found = tf.function(lambda x: randomness.below(rate, tf.shape(x), key), autograph=False,
                        input_signature=[tf.TensorSpec([None] * len(shape))])(tf.zeros(shape))
    np.testing.assert_array_equal(found, expected)
  if expected.size:
    assert abs(expected.mean() - rate) < (
        4 * np.sqrt(rate * (1 - rate) / expected.size) + 2 / expected.size)


@hypothesis.given(rate=st.floats(2.0**-31, 1 - 2.0**-31), seed=st.integers(0, 2**40))
@hypothesis.settings(deadline=None, max_examples=50)
def test_any_rate_is_met(rate, seed):
  found = randomness.below(rate, (100, 400), randomness.stream(seed, "dropout")).numpy()
  # Six standard deviations, and the three that a rare event can be more often.
  assert abs(found.sum() - rate * 40_000) < 6 * np.sqrt(rate * (1 - rate) * 40_000) + 3


def test_another_seed_purpose_or_number_gives_other_numbers():
  keys = [randomness.stream(0, "a"), randomness.stream(1, "a"), randomness.stream(0, "b"),
          *(randomness.fold_in(randomness.stream(0, "a"), n) for n in range(3)),
          randomness.fold_in(randomness.stream(1, "a"), 0),
          randomness.fold_in(randomness.fold_in(randomness.stream(0, "a"), 0), 0),
          randomness.stream(2**63 - 1, "a")]
  draws = {randomness.uniform((4,), key).numpy().tobytes() for key in keys}
  assert len(draws) == len(keys)


def test_a_number_may_be_an_int_or_a_tensor_of_any_integer_type():
  key = randomness.stream(3, "training")
  expected = randomness.fold_in(key, 5).numpy()
  for number in (tf.constant(5), tf.constant(5, tf.int64), np.int32(5)):
    np.testing.assert_array_equal(randomness.fold_in(key, number), expected)


@pytest.mark.parametrize("dtype, integer, bits", [(tf.float32, tf.uint32, 24),
                                                  (tf.float64, tf.uint64, 53)])
def test_a_uniform_number_is_the_upper_bits_of_a_philox_integer(dtype, integer, bits):
  key = randomness.stream(1, "test")
  words = tf.random.stateless_uniform((50,), key, None, None, integer, alg="philox").numpy()
  expected = [(int(word) >> (integer.size * 8 - bits)) / 2**bits for word in words]
  np.testing.assert_array_equal(randomness.uniform((50,), key, dtype=dtype), expected)


def test_a_shape_may_be_a_tensor():
  key = randomness.stream(1, "test")
  for draw in (randomness.uniform, randomness.normal, randomness.halves):
    np.testing.assert_array_equal(draw(tf.constant([2, 3]), key), draw((2, 3), key))
  for draw in (randomness.uniform, randomness.normal):
    assert draw((), key).shape == () and draw((0, 2), key).shape == (0, 2)


def test_uniform_numbers_fill_their_interval_evenly():
  draws = randomness.uniform((40_000,), randomness.stream(0, "test"), -2.0, 3.0).numpy()
  assert draws.dtype == np.float32 and draws.min() >= -2 and draws.max() < 3
  # Mean 0.5, standard deviation 5 / sqrt(12) = 1.443; five standard errors.
  assert abs(draws.mean() - 0.5) < 5 * 1.443 / 200
  assert abs(draws.std() - 1.443) < 0.02


def test_both_halves_of_an_integer_fill_their_interval_evenly_and_know_nothing_of_each_other():
  draws = randomness.halves((40_000,), randomness.stream(0, "test")).numpy()
  assert draws.dtype == np.float32 and draws.shape == (2, 40_000)
  assert draws.min() >= 0 and draws.max() < 1 and len(np.unique(draws)) > 2**15
  # Standard deviation 1 / sqrt(12) = 0.289; five standard errors.
  assert np.abs(draws.mean(1) - 0.5).max() < 5 * 0.289 / 200
  assert np.abs(draws.std(1) - 0.289).max() < 0.005
  assert abs(np.corrcoef(draws)[0, 1]) < 5 / 200


def test_normal_numbers_have_mean_zero_and_the_standard_deviation_asked_for():
  draws = randomness.normal((40_000,), randomness.stream(0, "test"), 0.5, tf.float64).numpy()
  assert draws.dtype == np.float64
  assert abs(draws.mean()) < 5 * 0.5 / 200 and abs(draws.std() - 0.5) < 0.01
  # Not truncated: 0.27 % lie beyond three standard deviations.
  assert 60 < np.sum(np.abs(draws) > 1.5) < 160


@hypothesis.settings(max_examples=60)
@hypothesis.given(st.integers(1, 3000), st.integers(0, 2**63 - 1), st.integers(0, 10**6))
def test_an_order_is_a_permutation_whatever_the_size(size, seed, epoch):
  found = order(size, seed, epoch)
  assert found.dtype == np.int32
  np.testing.assert_array_equal(np.sort(found), np.arange(size))


def test_every_small_size_is_permuted():
  for size in range(1, 40):
    np.testing.assert_array_equal(np.sort(order(size, 0, 0)), np.arange(size))


def test_orders_differ_between_epochs_and_seeds_and_the_first_is_not_the_identity():
  orders = [order(100, seed, epoch) for seed in range(4) for epoch in range(25)]
  assert len({o.tobytes() for o in orders}) == 100
  assert not any(np.array_equal(o, np.arange(100)) for o in orders)


def test_a_place_of_the_order_does_not_depend_on_which_places_are_asked_for():
  whole = order(50, 3, 2)
  part = randomness.order(tf.constant([49, 0, 7, 7], tf.int64), 50, randomness.stream(3, "order"),
                          tf.constant(2, tf.int64))
  np.testing.assert_array_equal(part, whole[[49, 0, 7, 7]])


def test_every_example_stands_everywhere_over_many_epochs():
  size, epochs = 40, 400
  find = tf.function(lambda e: tf.argsort(randomness.order(
      tf.range(size), size, randomness.stream(0, "order"), e)), autograph=False)
  places = np.stack([find(tf.constant(e)) for e in range(epochs)])
  # A place is uniform on 0..39: mean 19.5, standard deviation 11.54; five standard errors.
  assert np.abs(places.mean(0) - 19.5).max() < 5 * 11.54 / np.sqrt(epochs)
  assert np.abs(places.std(0) - 11.54).max() < 1.5
  # Neighbours in the data are not neighbours in the order: E|i - j| = (40^2 - 1) / (3 * 40).
  assert np.abs(np.abs(np.diff(places)).mean() - 1599 / 120 * 40 / 39) < 0.6


def in_parts(draw, batch, parts, key):
  """What `parts` replicas draw of a batch, in their order; each has as many rows, some are none."""
  rows = -(-batch // parts)
  found = []
  for first in range(0, parts * rows, rows):
    with replica.tracing(replica.Replica(parts, first, rows, batch, None, None)):
      found.append(draw(rows, key).numpy())
  return found


@pytest.mark.parametrize("batch, parts", [(8, 2), (7, 3), (5, 5), (9, 4)])
@pytest.mark.parametrize("name, axis, draw", [
    ("uniform", 0, lambda rows, key: randomness.uniform((rows, 3, 1), key)),
    ("uniform, one an example", 0, lambda rows, key: randomness.uniform((rows,), key)),
    ("uniform of copies", 1, lambda rows, key: tf.reshape(
        randomness.uniform((2 * rows, 3), key), (2, rows, 3))),
    ("uniform float64", 0, lambda rows, key: randomness.uniform((rows, 3), key, dtype=tf.float64)),
    ("halves", 2, lambda rows, key: randomness.halves((5, rows), key, before=5)),
    ("normal", 0, lambda rows, key: randomness.normal((rows, 3), key)),
    ("normal of samples", 1, lambda rows, key: randomness.normal((4, rows, 3), key, before=4)),
])
def test_a_replica_draws_its_rows_of_what_one_draws_for_the_whole_batch(name, axis, draw, batch,
                                                                        parts):
  key = randomness.stream(7, "dropout")
  whole = draw(batch, key).numpy()
  found = np.concatenate(in_parts(draw, batch, parts, key), axis)
  # How a logarithm is rounded depends on where its number stands in a vector.
  np.testing.assert_allclose(np.take(found, range(batch), axis), whole,
                             rtol=1e-6 if name.startswith("normal") else 0)


def test_a_replica_draws_the_same_with_xla():
  key = randomness.stream(7, "dropout")
  part = replica.Replica(2, 3, 3, 6, None, None)

  def draw(k):
    with replica.tracing(part):
      return randomness.uniform((3, 5), k)
  np.testing.assert_array_equal(tf.function(draw, jit_compile=True, autograph=False)(key),
                                randomness.uniform((6, 5), key)[3:])
