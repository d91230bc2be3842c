"""The importance-sampled likelihood, on a linear Gaussian model whose likelihood is known exactly."""

import math
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import likelihood, randomness
from tfae.data.datasets import Split
from tfae.errors import InputError

SHAPE, LATENT, STDDEV = (3, 2, 1), 2, 0.4
PIXELS = math.prod(SHAPE)
RANDOM = np.random.default_rng(8)
LOADINGS = RANDOM.normal(size=(LATENT, PIXELS))
OFFSET = RANDOM.normal(size=PIXELS)


def linear(posterior_stddev, off=0.0, dtype="float64"):
  """x = z LOADINGS + OFFSET + noise of STDDEV, with the exact posterior mean, shifted by `off`.

  The exact posterior's covariance is not diagonal; this one is, of one standard deviation.
  """
  stack = lambda name, units, shape: tfae.Stack(
      [tfae.Dense(units)], shape, name=name, compute_dtype=dtype)
  encoder = tfae.Stack([tfae.Flatten()], SHAPE, compute_dtype=dtype)
  mean, log_variance = (stack(name, LATENT, (PIXELS,)) for name in ("mean", "log_variance"))
  decoder = tfae.Stack([tfae.Dense(PIXELS), tfae.Reshape(SHAPE)], (LATENT,), name="decoder",
                       compute_dtype=dtype)
  # Bishop 2006, equations 12.42 and 12.41, with W = LOADINGS^T.
  inverse = np.linalg.inv(LOADINGS @ LOADINGS.T + STDDEV**2 * np.eye(LATENT))
  kernel = LOADINGS.T @ inverse
  for layer, values in ((mean, (kernel, off - OFFSET @ kernel)),
                        (log_variance, (np.zeros((PIXELS, LATENT)),
                                        np.full(LATENT, 2 * math.log(posterior_stddev)))),
                        (decoder, (LOADINGS, OFFSET))):
    for variable, value in zip(layer.own_variables, values):
      variable.assign(value)
  return tfae.VariationalAutoencoder(encoder, mean, log_variance, decoder, likelihood="gaussian",
                                     likelihood_stddev=STDDEV)


def draw(n, seed=0):
  random = np.random.default_rng(seed)
  x = random.normal(size=(n, LATENT)) @ LOADINGS + OFFSET + STDDEV * random.normal(size=(n, PIXELS))
  return x.reshape(n, *SHAPE)


def exact(images):
  """log N(x; OFFSET, W W^T + STDDEV^2 I) by the textbook formula, `[n]`."""
  covariance = LOADINGS.T @ LOADINGS + STDDEV**2 * np.eye(PIXELS)
  away = images.reshape(len(images), -1) - OFFSET
  _, log_determinant = np.linalg.slogdet(2 * math.pi * covariance)
  return -0.5 * (log_determinant + np.sum(away @ np.linalg.inv(covariance) * away, 1))


IMAGES = draw(150)


def test_the_estimate_is_the_exact_likelihood_within_the_monte_carlo_error():
  model, samples = linear(0.3), 20_000
  found = likelihood.log_likelihood(model, Split(IMAGES, None), samples, seed=1)
  assert found.dtype == np.float64 and found.shape == (150,)
  # The error of the estimate of p / p(x), from weights drawn by hand.
  noise = np.random.default_rng(0).normal(size=(4000, 150, LATENT))
  log_weights = model.log_weights(tf.constant(IMAGES), *model.encode_distribution(IMAGES),
                                  tf.constant(noise)).numpy()
  error = np.exp(log_weights - exact(IMAGES)).std(0) / math.sqrt(samples)
  assert error.max() < 0.1
  away = (found - exact(IMAGES)) / error
  assert np.abs(away).max() < 5 and abs(away.mean()) < 0.4 and 0.7 < away.std() < 1.3


@pytest.mark.parametrize("samples, codes", [(7, 3), (1, 1), (64, 64), (50, 33), (10, 1000)])
def test_any_cut_into_parts_uses_exactly_the_samples_that_were_asked_for(samples, codes):
  """With every weight known, the estimate is their mean over `samples`, not over padded parts."""
  model, total = linear(0.3), []
  log_weights = model.log_weights

  def constant(target, mean, log_variance, noise):
    total.append(noise.shape[0])
    del mean, log_variance
    return 0 * log_weights(target, *model.posterior(target), noise) + 3.5

  model.log_weights = constant
  found = likelihood.log_likelihood(model, Split(IMAGES[:5], None), samples, codes=codes)
  np.testing.assert_allclose(found, 3.5, rtol=1e-12)
  # Traced once, and no part is larger than was allowed.
  assert len(total) == 1 and total[0] * min(5, codes) <= max(codes, 5)


def test_parts_draw_different_noise_and_a_seed_gives_the_same_numbers():
  model, split = linear(0.3), Split(IMAGES[:20], None)
  estimate = lambda samples, seed: likelihood.log_likelihood(model, split, samples, seed=seed,
                                                             codes=20)
  found = estimate(40, 3)
  np.testing.assert_array_equal(found, estimate(40, 3))
  assert np.abs(found - estimate(40, 4)).min() > 0
  # Were the noise of all parts, of one sample each, the same, this would be the same estimate.
  one = estimate(1, 3)
  assert np.abs(found - one).min() > 1e-6
  # A mean over more samples is less spread.
  assert np.std(found - exact(IMAGES[:20])) < np.std(one - exact(IMAGES[:20])) / 2


def test_only_the_first_images_are_looked_at_where_that_is_asked_for_and_progress_is_told():
  model, split, told = linear(0.3), Split(IMAGES, None), []
  found = likelihood.log_likelihood(model, split, 10, images=125,
                                    progress=lambda *numbers: told.append(numbers))
  assert told == [(100, 100), (125, 25)]
  whole = likelihood.log_likelihood(model, split, 10)
  np.testing.assert_array_equal(found[:100], whole[:100])
  assert (len(found), len(whole)) == (125, 150)


def test_elbo_iwae_5_and_iwae_50_rise_towards_the_exact_likelihood():
  images = draw(4000, seed=5)
  truth = exact(images).mean()
  model = linear(0.25, off=0.15)
  batch = runs.batch(images)
  key = randomness.stream(0, "evaluation")
  means, errors = [], []
  for options in ({}, {"samples": 5, "objective": "iwae"}, {"samples": 50, "objective": "iwae"}):
    same = tfae.VariationalAutoencoder(*model.components.values(), likelihood="gaussian",
                                       likelihood_stddev=STDDEV, **options)
    values = -same.metrics(batch, key)["loss"].numpy() - exact(images)
    means.append(values.mean())
    errors.append(values.std() / math.sqrt(len(images)))
  elbo, five, fifty = means
  assert elbo + 5 * errors[0] < five and five + 5 * errors[1] < fifty and fifty < 5 * errors[2]
  assert truth == pytest.approx(exact(draw(4000, seed=6)).mean(), abs=0.2)
  # The gap of the ELBO is KL(q || posterior), known in closed form.
  precision = np.eye(LATENT) + LOADINGS @ LOADINGS.T / STDDEV**2
  away = np.full(LATENT, 0.15)
  gap = 0.5 * (0.25**2 * np.trace(precision) + away @ precision @ away - LATENT
               - np.linalg.slogdet(precision)[1] - LATENT * math.log(0.25**2))
  assert elbo == pytest.approx(-gap, abs=5 * errors[0])


def test_binarised_images_are_drawn_once_for_all_samples():
  encoder = tfae.Stack([tfae.Flatten()], (4, 4, 1))
  heads = [tfae.Stack([tfae.Dense(2)], (16,), name=name) for name in ("mean", "log_variance")]
  decoder = tfae.Stack([tfae.Dense(16), tfae.Reshape((4, 4, 1))], (2,), name="decoder")
  decoder.layers[0].kernel.assign(tf.zeros([2, 16]))
  decoder.layers[0].bias.assign(tf.fill([16], 2.0))
  for head in heads:
    for variable in head.own_variables:
      variable.assign(tf.zeros_like(variable))
  model = tfae.VariationalAutoencoder(encoder, *heads, decoder, scale=1 / 255, binarize=True)
  images = np.full((300, 4, 4, 1), 102, np.uint8)
  found = likelihood.log_likelihood(model, Split(images, None), 12, codes=300)
  # The code says nothing and q is the prior, so log p(x) follows from the number of white pixels.
  white = -np.log1p(np.exp(-2.0))
  whites = (found - 16 * (white - 2)) / 2
  np.testing.assert_allclose(whites, np.round(whites), atol=1e-4)
  assert abs(whites.mean() - 16 * 0.4) < 5 * math.sqrt(16 * 0.4 * 0.6 / 300)


def test_what_has_no_likelihood_is_refused():
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(2)], SHAPE)
  plain = tfae.Autoencoder(encoder, tfae.mirror(encoder))
  with pytest.raises(InputError, match="a Autoencoder gives images no likelihood"):
    likelihood.log_likelihood(plain, Split(IMAGES, None), 5)
  for arguments, message in (((0,), "samples=0: expected an integer from 1"),
                             ((1.5,), "samples=1.5")):
    with pytest.raises(InputError, match=message):
      likelihood.log_likelihood(linear(0.3), Split(IMAGES, None), *arguments)
  with pytest.raises(InputError, match="codes=0"):
    likelihood.log_likelihood(linear(0.3), Split(IMAGES, None), 5, codes=0)
