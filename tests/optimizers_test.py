"""Fused updates against rules written here in numpy from the papers, in float64."""

import math
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import updates
from tfae import optimizers
from tfae.specs.optimizers import SGD, Adadelta, Adam, RMSProp


# --- the rules: (spec, state, gradient, rate, t from 1) -> what is subtracted -----------------


def _zeros(state, gradient, *names):
  return [state.setdefault(name, np.zeros_like(gradient)) for name in names]


def _sgd_rule(spec, state, g, rate, t):
  del t
  (a,) = _zeros(state, g, "a")
  a[:] = spec.momentum * a + g
  return rate * (g + spec.momentum * a if spec.nesterov else a)


def _adam_rule(spec, state, g, rate, t):
  m, v = _zeros(state, g, "m", "v")
  m[:] = spec.beta1 * m + (1 - spec.beta1) * g
  v[:] = spec.beta2 * v + (1 - spec.beta2) * g**2
  rate = rate * np.sqrt(1 - spec.beta2**t) / (1 - spec.beta1**t)
  return rate * m / (np.sqrt(v) + spec.epsilon)


def _rmsprop_rule(spec, state, g, rate, t):
  del t
  ms, a = _zeros(state, g, "ms", "a")
  ms[:] = spec.rho * ms + (1 - spec.rho) * g**2
  inside = spec.epsilon_inside_root
  a[:] = spec.momentum * a + rate * g / (
      np.sqrt(ms + spec.epsilon) if inside else np.sqrt(ms) + spec.epsilon)
  return a


def _adadelta_rule(spec, state, g, rate, t):
  del t
  a, b = _zeros(state, g, "a", "b")
  a[:] = spec.rho * a + (1 - spec.rho) * g**2
  u = np.sqrt(b + spec.epsilon) / np.sqrt(a + spec.epsilon) * g
  b[:] = spec.rho * b + (1 - spec.rho) * u**2
  return rate * u


RULES = {SGD: _sgd_rule, Adam: _adam_rule, RMSProp: _rmsprop_rule, Adadelta: _adadelta_rule}


def _rate(spec, step, total):
  rate = spec.learning_rate
  if step < spec.warmup_steps:
    return rate * (step + 1) / spec.warmup_steps
  if spec.schedule == "cosine":
    done = (step - spec.warmup_steps) / (total - spec.warmup_steps)
    floor = spec.final_fraction * rate
    return floor + (rate - floor) * (1 + math.cos(math.pi * done)) / 2
  return rate


def _reference(spec, values, gradients):
  """Returns the values after all steps, and the norm of each step's gradients."""
  values, states, norms = [v.copy() for v in values], [{} for _ in values], []
  for step, of_step in enumerate(gradients):
    rate = _rate(spec, step, len(gradients))
    norms.append(math.sqrt(sum((g**2).sum() for g in of_step)))
    clip = min(1, spec.clip_norm / norms[-1]) if spec.clip_norm else 1
    for value, state, g in zip(values, states, of_step):
      if value.ndim >= 2:
        value -= rate * spec.weight_decay * value
      value -= RULES[type(spec)](spec, state, g * clip, rate, step + 1)
  return values, norms


@updates.each_spec
def test_100_random_steps_in_float64_follow_the_numpy_rule(spec):
  values, gradients = updates.problem()
  expected, norms = _reference(spec, values, gradients)
  found, found_norms = updates.run(spec, values, gradients)
  updates.assert_close(found, expected, rtol=1e-11, atol=1e-12)
  np.testing.assert_allclose(found_norms, norms, rtol=1e-13)


@updates.each_spec
def test_100_random_steps_in_float32_follow_the_numpy_rule(spec):
  values, gradients = updates.problem()
  expected, norms = _reference(spec, values, gradients)
  found, found_norms = updates.run(spec, values, gradients, "float32")
  assert found[0].dtype == found_norms[0].dtype == np.float32
  # 1 - beta2 is known to 1.3e-5 in float32.
  updates.assert_close(found, expected, rtol=2e-5, atol=2e-5)
  np.testing.assert_allclose(found_norms, norms, rtol=1e-6)


@updates.each_spec
@pytest.mark.parametrize("wrap", [updates.jit, lambda function: function], ids=["jit", "eager"])
def test_jit_and_eager_agree_with_the_graph(spec, wrap):
  values, gradients = updates.problem(seed=6, steps=12)
  graph, graph_norms = updates.run(spec, values, gradients, "float32")
  found, norms = updates.run(spec, values, gradients, "float32", wrap)
  updates.assert_close(found, graph, rtol=1e-6, atol=1e-6)
  np.testing.assert_allclose(norms, graph_norms, rtol=1e-6)


# --- epsilon -----------------------------------------------------------------------------------


def _first_rmsprop_step(gradient, inside, dtype="float32"):
  spec = RMSProp(1.0, epsilon=1e-7, epsilon_inside_root=inside)
  variable = tf.Variable(tf.zeros([1], dtype))
  optimizers.Updater(spec, [variable], 1).apply([tf.constant([gradient], dtype)], 0)
  return -variable.numpy()[0]


def test_the_two_places_of_epsilon_differ_760_fold_at_a_gradient_of_a_millionth():
  # ms = .1 * 1e-12: 1e-6 / sqrt(1e-13 + 1e-7) against 1e-6 / (sqrt(1e-13) + 1e-7).
  np.testing.assert_allclose(_first_rmsprop_step(1e-6, True), 3.162276e-3, rtol=1e-5)
  np.testing.assert_allclose(_first_rmsprop_step(1e-6, False), 2.402530, rtol=1e-5)


def test_the_two_places_of_epsilon_agree_at_a_gradient_of_one():
  # 1 / sqrt(.1), but for epsilon.
  for inside in (True, False):
    np.testing.assert_allclose(_first_rmsprop_step(1.0, inside), math.sqrt(10), rtol=2e-6)


def test_rmsprop_keeps_the_digits_of_a_gradient_that_shrinks_by_eight_decades():
  variable = tf.Variable([0.0])
  updater = optimizers.Updater(RMSProp(1.0, rho=0.9), [variable], 2)
  updater.apply([tf.constant([1e3])], 0)
  variable.assign([0.0])
  updater.apply([tf.constant([1e-5])], 1)
  # ms = .9 * .1 * 1e6, whose root is 300.
  np.testing.assert_allclose(-variable.numpy(), [1e-5 / 300], rtol=1e-6)


def test_adam_s_epsilon_is_the_epsilon_hat_of_the_paper_s_section_2():
  # t = 1, g = 1, epsilon 1: sqrt(.001) / .1 * .1 / (sqrt(.001) + 1) = .0306534, where the
  # epsilon of algorithm 1 would give 1 / (1 + 1) = .5.
  variable = tf.Variable([0.0], dtype=tf.float64)
  updater = optimizers.Updater(Adam(1.0, epsilon=1.0), [variable], 1)
  updater.apply([tf.constant([1.0], tf.float64)], 0)
  np.testing.assert_allclose(-variable.numpy(), [0.0306534], rtol=1e-5)


# --- the schedule ------------------------------------------------------------------------------


def test_the_schedule_has_the_values_computed_by_hand():
  spec = Adam(0.8, schedule="cosine", warmup_steps=4, final_fraction=0.25)
  updater = optimizers.Updater(spec, [tf.Variable([0.0])], 12)
  by_hand = {0: 0.2, 1: 0.4, 3: 0.8, 4: 0.8,  # a quarter, a half, the whole base rate
             6: 0.2 + 0.6 * (1 + math.sqrt(0.5)) / 2,  # cos(pi / 4)
             8: 0.5,  # half way between .8 and .2
             10: 0.2 + 0.6 * (1 - math.sqrt(0.5)) / 2,
             11: 0.2 + 0.6 * (1 - math.cos(math.pi / 8)) / 2,  # the last step: just above the floor
             12: 0.2, 500: 0.2}
  for step, rate in by_hand.items():
    np.testing.assert_allclose(updater.learning_rate(step, tf.float64), rate, rtol=1e-15)
    assert updater.learning_rate(tf.constant(step, tf.int64)).dtype == tf.float32


def test_a_constant_rate_stays_after_its_warmup():
  updater = optimizers.Updater(SGD(0.3, warmup_steps=3), [tf.Variable([0.0])], 10)
  rates = [updater.learning_rate(step, tf.float64).numpy() for step in (0, 1, 2, 3, 9)]
  np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.3, 0.3], rtol=1e-15)


def test_a_warmup_of_the_whole_run_is_finite_with_a_cosine():
  updater = optimizers.Updater(SGD(1.0, schedule="cosine", warmup_steps=2), [tf.Variable([0.0])], 2)
  assert [updater.learning_rate(step).numpy() for step in (0, 1)] == [0.5, 1.0]


def test_two_billion_steps_are_told_apart():
  total = 2**31 - 1
  updater = optimizers.Updater(SGD(1.0, warmup_steps=total), [tf.Variable([0.0])], total)
  rate = updater.learning_rate(tf.constant(2**30, tf.int64), tf.float64)
  np.testing.assert_allclose(rate, (2**30 + 1) / total, rtol=1e-15)


def test_adam_s_bias_correction_is_accurate_late_in_float32():
  step, spec = 200_000, Adam(1.0, beta1=0.5, beta2=0.999999, epsilon=1e-8)
  variable = tf.Variable([0.0])
  optimizers.Updater(spec, [variable], step + 1).apply([tf.constant([1.0])], step)
  # The slots are zero, so m = 1 - beta1 and v = 1 - beta2, with beta2 as float32 has it.
  beta2 = float(np.float32(0.999999))
  expected = np.sqrt(1 - beta2 ** (step + 1)) * 0.5 / (np.sqrt(1 - beta2) + 1e-8)
  np.testing.assert_allclose(-variable.numpy(), [expected], rtol=1e-6)


# --- clipping and decay ------------------------------------------------------------------------


def test_clipping_scales_all_gradients_to_the_norm_and_returns_the_norm_before():
  variables = [tf.Variable([0.0, 0.0]), tf.Variable([[0.0]])]
  updater = optimizers.Updater(SGD(1.0, clip_norm=6.5), variables, 1)
  norm = updater.apply([tf.constant([3.0, 4.0]), tf.constant([[12.0]])], 0)
  assert norm.numpy() == 13.0  # 3, 4, 12, 13
  updates.assert_close([v.numpy() for v in variables], [[-1.5, -2.0], [[-6.0]]], rtol=1e-6)


def test_gradients_below_the_norm_are_left_alone():
  variable = tf.Variable([0.0, 0.0])
  updater = optimizers.Updater(SGD(1.0, clip_norm=5.5), [variable], 1)
  updater.apply([tf.constant([3.0, 4.0])], 0)
  assert variable.numpy().tolist() == [-3.0, -4.0]


def test_zero_gradients_are_clipped_to_zero():
  variable = tf.Variable([1.0])
  norm = optimizers.Updater(SGD(1.0, clip_norm=1.0), [variable], 1).apply([tf.zeros([1])], 0)
  assert norm.numpy() == 0 and variable.numpy().tolist() == [1.0]


@pytest.mark.parametrize("wrap", [tf.function, updates.jit])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 3e38])
def test_a_norm_that_is_not_finite_is_returned_and_never_hidden_by_clipping(bad, wrap):
  variable = tf.Variable([1.0, 1.0])
  updater = optimizers.Updater(SGD(1.0, clip_norm=1.0), [variable], 1)
  norm = wrap(updater.apply)([tf.constant([bad, 1.0])], tf.constant(0, tf.int64))
  assert not np.isfinite(norm.numpy())
  assert np.isnan(variable.numpy()).all()


def test_weight_decay_takes_kernels_and_leaves_biases():
  variables = [tf.Variable([[2.0, -4.0]]), tf.Variable([2.0]), tf.Variable(tf.ones([1, 1, 1, 1]))]
  updater = optimizers.Updater(SGD(0.5, weight_decay=0.1), variables, 1)
  updater.apply([tf.zeros_like(v) for v in variables], 0)
  # 1 - .5 * .1 = .95 for rank 2 and 4.
  updates.assert_close([v.numpy() for v in variables], [[[1.9, -3.8]], [2.0], [[[[0.95]]]]],
                       rtol=1e-6)
