"""Batches: every example exactly once an epoch, in an order that is a function of its place."""

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors
from tfae.data import pipeline


def images(n):
  """n images, each of which holds its own number."""
  return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 3, 1))


def rows(batches, first_step, steps):
  return batches.indices(tf.constant(first_step, tf.int64), steps).numpy()


@pytest.mark.parametrize("n, batch_size", [(10, 4), (12, 4), (10, 1), (10, 10), (7, 6), (1, 1)])
def test_every_example_comes_exactly_once_an_epoch_the_last_partial_batch_included(n, batch_size):
  batches = pipeline.Batches(images(n), batch_size, seed=3)
  assert batches.steps_per_epoch == -(-n // batch_size)
  for epoch in range(3):
    found = rows(batches, epoch * batches.steps_per_epoch, batches.steps_per_epoch)
    assert found.shape == (batches.steps_per_epoch, batch_size)
    places = found.ravel()
    np.testing.assert_array_equal(np.sort(places[places >= 0]), np.arange(n))
    # Only the end of the epoch is padding.
    assert (places[:n] >= 0).all() and (places[n:] == -1).all()


def test_gathered_images_are_those_of_the_indices_and_padding_has_weight_zero():
  batches = pipeline.Batches(images(10), 4)
  for row in rows(batches, 0, 3):
    found, inputs, labels, weights = batches.gather(tf.constant(row))
    assert inputs is found and labels is None
    assert found.dtype == tf.uint8 and weights.dtype == tf.float32 and found.shape == (4, 2, 3, 1)
    np.testing.assert_array_equal(weights, row >= 0)
    np.testing.assert_array_equal(found, images(10)[np.maximum(row, 0)])
  np.testing.assert_array_equal(weights, [1, 1, 0, 0])


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_the_order_is_a_function_of_seed_epoch_and_position_wherever_it_starts(epoch):
  batches = pipeline.Batches(images(23), 4, seed=9)
  start = epoch * batches.steps_per_epoch
  whole = rows(batches, start, 6)
  for k in range(6):
    np.testing.assert_array_equal(rows(batches, start + k, 6 - k), whole[k:])
    np.testing.assert_array_equal(rows(batches, start + k, 1), whole[k:k + 1])


def test_steps_past_the_end_of_the_epoch_are_all_padding():
  batches = pipeline.Batches(images(10), 4)
  found = rows(batches, 1, 5)
  assert (found[2:] == -1).all() and (found[0] >= 0).all()


def test_epochs_and_seeds_differ_and_the_same_seed_does_not():
  def order(seed, epoch):
    return rows(pipeline.Batches(images(50), 50, seed=seed), epoch, 1).tobytes()
  assert len({order(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9
  assert order(1, 2) == order(1, 2)
  assert order(0, 0) != np.arange(50, dtype=np.int32).tobytes()


def test_one_trace_serves_all_steps():
  batches = pipeline.Batches(images(10), 4)
  traces = []

  @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int64)])
  def batch(step):
    traces.append(step)
    return batches.gather(batches.indices(step, 1)[0])

  seen = [found[weights > 0].numpy()[:, 0, 0, 0]
          for found, _, _, weights in map(batch, tf.range(3, dtype=tf.int64))]
  np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(10))
  assert len(traces) == 1


def test_the_data_stay_on_their_device_and_batches_come_from_it():
  # Soft placement is off in all tests: an op that can't be there would raise.
  batches = pipeline.Batches(images(10), 4, device="/device:CPU:3")
  indices = batches.indices(tf.constant(2, tf.int64), 1)
  found, _, _, weights = batches.gather(indices[0])
  for tensor in (batches.images, indices, found, weights):
    assert tensor.device.endswith("/device:CPU:3")
  np.testing.assert_array_equal(indices, rows(pipeline.Batches(images(10), 4), 2, 1))


@pytest.mark.parametrize("batch_size", [0, -1, 11, 2.5, None, "4"])
def test_a_batch_size_that_is_not_within_the_data_is_refused(batch_size):
  with pytest.raises(errors.InputError, match="batch_size=.*an integer from 1 to 10"):
    pipeline.Batches(images(10), batch_size)


@pytest.mark.parametrize("n, batch_size, parts", [(10, 4, 2), (23, 10, 4), (7, 3, 3)])
def test_processes_share_each_batch_row_by_row_and_see_how_many_examples_it_has(n, batch_size,
                                                                                parts):
  whole = pipeline.Batches(images(n), batch_size, seed=9)
  rows_each = -(-batch_size // parts)
  shared = [pipeline.Batches(images(n), batch_size, seed=9,
                             share=(first, rows_each, parts * rows_each))
            for first in range(0, parts * rows_each, rows_each)]
  steps = 2 * whole.steps_per_epoch
  expected = np.concatenate([rows(whole, k, 1) for k in range(steps)])
  found = np.concatenate([np.concatenate([rows(part, k, 1) for k in range(steps)])
                          for part in shared], 1)
  np.testing.assert_array_equal(found[:, :batch_size], expected)
  assert (found[:, batch_size:] == -1).all()
  for part in (whole, *shared):
    assert part.steps_per_epoch == whole.steps_per_epoch and part.batch_size == batch_size
    assert [int(part.examples(k)) for k in range(steps)] == list((expected >= 0).sum(1))
