"""Losses against numpy in float64, at ordinary and at extreme values."""

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, losses
from tfae.specs import losses as specs

SHAPE = (5, 4, 3, 2)  # [batch, height, width, channels]


def _example(seed=3, scale=1.0):
  rng = np.random.default_rng(seed)
  return rng.uniform(size=SHAPE), rng.normal(size=SHAPE) * scale


def _cross_entropy(target, logits):
  """-z log s(x) - (1 - z) log s(-x), with log s(x) = -log(1 + e^-x) = -logaddexp(0, -x)."""
  loss = target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)
  return loss.reshape(len(loss), -1).mean(1)


def _squares(target, prediction):
  return ((target - prediction) ** 2).reshape(len(target), -1)


REFERENCES = {
    "mean_squared_error": lambda z, x: _squares(z, x).mean(1),
    "sum_squared_error": lambda z, x: _squares(z, x).sum(1),
    "binary_cross_entropy": _cross_entropy,
    "cosine_distance": lambda z, x: np.array([1 - np.vdot(t, p) / np.sqrt(
        np.vdot(t, t) * np.vdot(p, p)) for t, p in zip(z, x)]),
}


@pytest.mark.parametrize("name", specs.LOSS_NAMES)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-14), ("float32", 3e-6)])
def test_each_loss_is_one_number_an_example_as_numpy_computes_it(name, dtype, tolerance):
  target, prediction = _example()
  loss = losses.LOSSES[name](target.astype(dtype), prediction.astype(dtype))
  assert loss.shape == (5,) and loss.dtype == dtype
  np.testing.assert_allclose(loss, REFERENCES[name](target, prediction), rtol=tolerance)


def test_mean_and_sum_by_hand():
  target, prediction = tf.constant([[0.0, 1.0]]), tf.constant([[3.0, -3.0]])
  assert losses.mean_squared_error(target, prediction).numpy().tolist() == [12.5]
  assert losses.sum_squared_error(target, prediction).numpy().tolist() == [25.0]
  half = losses.binary_cross_entropy(target, tf.zeros([1, 2]))
  np.testing.assert_allclose(half, [np.log(2)], rtol=1e-6)


def test_a_cosine_distance_does_not_depend_on_brightness_and_zeros_are_at_1():
  target = tf.constant([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0], [3.0, 4.0], [0.0, 0.0], [3.0, 4.0]])
  prediction = tf.constant([[3.0, 4.0], [30.0, 40.0], [-4.0, 3.0], [-3e-3, -4e-3], [3.0, 4.0],
                            [0.0, 0.0]])
  with tf.GradientTape() as tape:
    tape.watch(prediction)
    loss = losses.cosine_distance(target, prediction)
  np.testing.assert_allclose(loss, [0, 0, 1, 2, 1, 1], atol=1e-6)
  assert np.isfinite(tape.gradient(loss, prediction)).all()


def test_the_registry_and_the_table_name_the_same_losses():
  assert tuple(losses.LOSSES) == specs.LOSS_NAMES


def test_large_logits_give_exact_finite_losses():
  logits = np.array([[1e4], [-1e4], [1e4], [-1e4], [90.0], [-90.0], [30.0]], np.float32)
  target = np.array([[0], [1], [1], [0], [0], [1], [1]], np.float32)
  # log(1 + e^-30) = e^-30 to 13 digits.
  expected = [1e4, 1e4, 0, 0, 90, 90, np.exp(-30)]
  np.testing.assert_allclose(losses.binary_cross_entropy(target, logits), expected, rtol=1e-6)


def test_gradients_at_large_and_zero_logits_are_the_logistic_minus_the_target():
  logits = tf.constant([[-1e4], [-20.0], [0.0], [20.0], [1e4]], tf.float64)
  target = tf.constant([[1.0], [0.0], [0.25], [0.0], [0.0]], tf.float64)
  with tf.GradientTape() as tape:
    tape.watch(logits)
    loss = losses.binary_cross_entropy(target, logits)
  tiny = np.exp(-20) / (1 + np.exp(-20))
  np.testing.assert_allclose(tape.gradient(loss, logits)[:, 0], [-1, tiny, 0.25, 1 - tiny, 1],
                             rtol=1e-12)


@pytest.mark.parametrize("name", specs.LOSS_NAMES)
def test_gradients_agree_with_finite_differences_in_float64(name):
  target, prediction = _example(scale=2.0)
  variable = tf.constant(prediction)
  with tf.GradientTape() as tape:
    tape.watch(variable)
    total = tf.reduce_sum(losses.LOSSES[name](target, variable))
  gradient = tape.gradient(total, variable).numpy().ravel()
  step = 1e-4
  for index in range(0, prediction.size, 7):
    shifted = [prediction.copy(), prediction.copy()]
    shifted[0].flat[index] += step
    shifted[1].flat[index] -= step
    high, low = (losses.LOSSES[name](target, p).numpy().sum() for p in shifted)
    np.testing.assert_allclose(gradient[index], (high - low) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_predictions_are_summed_in_float32(dtype):
  # 4,096 pixels of squared error 1: a bfloat16 or float16 sum would stop at 256 or 2,048.
  prediction = tf.ones([2, 64, 64, 1], dtype)
  loss = losses.sum_squared_error(tf.zeros([2, 64, 64, 1]), prediction)
  assert loss.dtype == tf.float32 and loss.numpy().tolist() == [4096, 4096]


def test_an_unknown_batch_size_is_taken():
  @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 3])])
  def loss(target, prediction):
    return losses.mean_squared_error(target, prediction)
  assert loss(tf.zeros([4, 3]), tf.ones([4, 3])).numpy().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", specs.LOSS_NAMES)
@pytest.mark.parametrize("target", [tf.zeros([2, 784]), tf.zeros([1, 28, 28, 1]), tf.zeros([])])
def test_shapes_that_would_broadcast_are_refused_with_both_shapes(name, target):
  with pytest.raises(errors.InputError, match=r"\(2, 28, 28, 1\)"):
    losses.LOSSES[name](target, tf.zeros([2, 28, 28, 1]))


def test_integer_images_are_refused_by_dtype():
  with pytest.raises(errors.InputError, match="target is uint8"):
    losses.binary_cross_entropy(tf.zeros([2, 3], tf.uint8), tf.zeros([2, 3]))
