"""The penalties of an autoencoder: values by hand, gradients by finite differences."""

import functools
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import randomness
from tfae.models import penalties

SHAPE = (4, 3, 1)
IMAGES = np.random.default_rng(0).uniform(0, 2, (5, *SHAPE))
KEY = randomness.stream(3, "training")
DENSE = (tfae.Flatten(), tfae.Dense(6, activation="tanh"), tfae.Dense(4, activation="sigmoid"))
CONV = (tfae.Conv2D(3, 3, activation="gelu"), tfae.MaxPool(2),
        tfae.Conv2D(2, 2, activation="sigmoid"))
TERMS = [{"sparsity": 0.7, "sparsity_target": 0.2}, {"code_l1": 0.3}, {"contractive": 0.5}]
ALL = {name: value for term in TERMS for name, value in term.items()}


def model(layers=DENSE, dtype="float64", device="/CPU:0", **terms):
  encoder = tfae.Stack(layers, SHAPE, device=device, seed=1, compute_dtype=dtype)
  for layer in encoder.layers:
    if layer.bias is not None:
      layer.bias.assign(np.linspace(-0.3, 0.4, layer.bias.shape[0]))
  return tfae.Autoencoder(encoder, tfae.mirror(encoder, device="/CPU:0"), scale=0.5, **terms)


def loss(built, batch=None):
  return built.loss_and_gradients(runs.batch(IMAGES) if batch is None else batch, KEY)


def penalty(batch=None, layers=DENSE, **terms):
  """What the terms add to the training loss."""
  return float(loss(model(layers, **terms), batch)[0] - loss(model(layers), batch)[0])


@functools.cache
def exact():
  """(codes, their exact Jacobian [batch, 4, 12]) of IMAGES with DENSE, in numpy."""
  x = IMAGES.reshape(5, -1) * 0.5
  w = [v.numpy() for v in model().encoder.own_variables]
  hidden = np.tanh(x @ w[0] + w[1])
  codes = 1 / (1 + np.exp(-(hidden @ w[2] + w[3])))
  jacobian = np.einsum("bj,jk,bk,ik->bji", codes * (1 - codes), w[2].T, 1 - hidden**2, w[0])
  return codes, jacobian


def test_sparsity_is_the_kl_of_the_mean_activation_summed_over_units():
  t, mean = 0.2, exact()[0].mean(0)
  expected = np.sum(t * np.log(t / mean) + (1 - t) * np.log((1 - t) / (1 - mean)))
  assert penalty(sparsity=0.7, sparsity_target=t) == pytest.approx(0.7 * expected, rel=1e-6)


def test_code_l1_is_the_sum_of_absolute_codes_averaged_over_the_batch():
  assert penalty(code_l1=0.3) == pytest.approx(0.3 * np.abs(exact()[0]).sum(1).mean(), rel=1e-6)


def test_the_contractive_estimate_is_the_norm_of_the_jacobian_by_the_signs_that_it_drew():
  key = randomness.fold_in(KEY, 102)
  signs = np.where(randomness.uniform((5, 4), key).numpy() < 0.5, -1.0, 1.0)
  expected = np.sum(np.einsum("bji,bj->bi", exact()[1], signs) ** 2, axis=1).mean()
  assert penalty(contractive=0.5) == pytest.approx(0.5 * expected, rel=1e-6)


def test_the_mean_of_many_draws_is_the_squared_frobenius_norm_of_the_exact_jacobian():
  norm = np.sum(exact()[1] ** 2, axis=(1, 2))
  encoder, x, draws = model().encoder, tf.constant(IMAGES * 0.5), 4000
  draw = tf.function(lambda i: penalties.with_jacobian_norm(
      encoder, x, randomness.fold_in(KEY, i))[1], autograph=False)
  found = np.stack([draw(tf.constant(i)) for i in range(draws)])
  error = found.std(0) / np.sqrt(draws)
  assert (error < 0.05 * norm).all()
  np.testing.assert_array_less(np.abs(found.mean(0) - norm), 4 * error)


@pytest.mark.parametrize("layers", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("terms", [*TERMS, ALL], ids=["sparsity", "code_l1", "contractive", "all"])
def test_gradients_agree_with_finite_differences(layers, terms):
  built = model(layers, **terms)
  value = tf.function(lambda: loss(built), autograph=False)
  _, gradients = value()
  random = np.random.default_rng(5)
  for variable, gradient in zip(built.trainable, gradients):
    start, direction = variable.numpy(), random.standard_normal(variable.shape)
    ends = []
    for sign in (-1, 1):
      variable.assign(start + sign * 1e-5 * direction)
      ends.append(float(value()[0]))
    variable.assign(start)
    assert np.sum(gradient * direction) == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=2e-4,
                                                         abs=1e-8), variable.name


@pytest.mark.parametrize("layers", [DENSE, CONV], ids=["dense", "conv"])
def test_padding_counts_nowhere_and_xla_agrees(layers):
  terms = {name: ALL[name] for name in ("sparsity", "sparsity_target", "code_l1")}
  padded = np.concatenate([IMAGES, 9 * np.ones((2, *SHAPE))])
  built = model(layers, **terms)
  weights = np.array([1] * 5 + [0] * 2, np.float32)
  expected, gradients = loss(built)
  for jit in (None, True):
    found, other = tf.function(lambda: loss(built, runs.batch(padded, weights)), autograph=False,
                               jit_compile=jit)()
    assert float(found) == pytest.approx(float(expected), rel=1e-10)
    for a, b in zip(gradients, other):
      np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)
  # The signs that are drawn depend on the size of the batch: the padding's norm alone must not.
  contracted = model(layers, contractive=1.0)
  one, two = (loss(contracted, runs.batch(np.concatenate([IMAGES, fill * np.ones((2, *SHAPE))]),
                                          weights))[0] for fill in (9, 0))
  assert float(one) == pytest.approx(float(two), rel=1e-10)


@pytest.mark.parametrize("layers", [DENSE, CONV], ids=["dense", "conv"])
def test_all_terms_compile_with_xla_to_the_same_values(layers):
  # XLA has no second derivative of a float64 MaxPool.
  built = model(layers, dtype="float32", **ALL)
  plain, compiled = (tf.function(lambda: loss(built), autograph=False, jit_compile=jit)()
                     for jit in (None, True))
  assert float(plain[0]) == pytest.approx(float(compiled[0]), rel=1e-5)
  for a, b in zip(plain[1], compiled[1]):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_metrics_and_the_loss_without_penalties_stay_as_they_are():
  batch = runs.batch(IMAGES)
  for name, value in model().metrics(batch).items():
    np.testing.assert_array_equal(value, model(**ALL).metrics(batch)[name])
  assert model().settings() == {"loss": "mean_squared_error"}
  assert model(**ALL).settings() == {"loss": "mean_squared_error", **ALL}


def test_under_bfloat16_the_penalty_is_float32_and_close():
  half = model(dtype="bfloat16", **ALL)
  codes, total = penalties.encode(half.penalties, half.encoder, tf.constant(IMAGES / 2, tf.float32),
                                  KEY, tf.ones(5))
  assert codes.dtype == tf.bfloat16 and total.dtype == tf.float32
  full = model(dtype="float32", **ALL)
  _, expected = penalties.encode(full.penalties, full.encoder, tf.constant(IMAGES / 2, tf.float32),
                                 KEY, tf.ones(5))
  assert float(total) == pytest.approx(float(expected), rel=0.02)
  assert all(gradient.dtype == tf.float32 for gradient in loss(half)[1])


def test_forward_and_gradient_ops_of_the_penalties_are_on_the_encoders_device():
  built = model(device="/CPU:1", dtype="float32", **ALL)
  graph = tf.function(lambda: loss(built), autograph=False).get_concrete_function().graph
  log = [op for op in graph.get_operations() if op.type in ("Log1p", "Sign", "Log1pGrad")]
  assert log and {op.device[-5:] for op in log} == {"CPU:1"}
  # Of the decoder's device is nothing but the decoder and the sum of both.
  other = [op for op in graph.get_operations() if op.device.endswith("CPU:0")]
  assert not any("TanhGrad" == op.type and "encoder" in op.name for op in other)
