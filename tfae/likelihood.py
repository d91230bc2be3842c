"""The likelihood of images under a variational autoencoder, by importance sampling."""

import math

import numpy as np
import tensorflow as tf

from tfae import randomness
from tfae.errors import InputError, check_int
from tfae.evaluation import chunks, fitting

_MOST_CODES = 5000  # decoded at a time: measured to be the fastest on a CPU, within 10 %
_MOST_IMAGES = 100


def check_model(model):
  """Raises InputError for a model that gives images no likelihood."""
  if not hasattr(model, "log_weights"):
    raise InputError(f"log_likelihood: a {type(model).__name__} gives images no likelihood. Use a "
                     "tfae.VariationalAutoencoder (task.name='variational').")


def log_likelihood(model, split, samples, *, images=0, seed=0, codes=None,
                   progress=lambda done, new: None):
  """Returns an estimate of log p(x) of each image, float64 `[n]`, in nats.

  log of the mean of p(x, z) / q(z | x) over codes z drawn from q(z | x). Its expectation is at most
  log p(x) and rises to it with the number of samples. The codes are drawn and decoded in parts,
  which a running log-sum-exp adds up: memory does not grow with `samples` or n.

  Bernoulli likelihoods of images that are not black and white are no probabilities (see
  `tfae.distributions.bernoulli_log_likelihood`). With `binarize` each image is drawn once, and all
  samples are for that draw.

  Args:
    model: a `tfae.VariationalAutoencoder`.
    split: a `tfae.data.datasets.Split`.
    samples: codes an image, >= 1.
    images: only the first so many of the split; 0: all.
    seed: of the noise, and of the binarised images.
    codes: how many are decoded at a time; None: what fits.
    progress: called after each chunk with the numbers of images done in all, and in that chunk.

  Raises:
    InputError: a model without a likelihood, samples < 1, or codes < 1.

  Source: Burda, Grosse and Salakhutdinov 2016, "Importance weighted autoencoders", equation 8 and
  section 5.1; Rezende, Mohamed and Wierstra 2014, appendix E.
  """
  check_model(model)
  samples = check_int("log_likelihood: samples", samples, 1)
  codes = min(_MOST_CODES, fitting(model)) if codes is None else \
      check_int("log_likelihood: codes", codes, 1)
  total = min(check_int("log_likelihood: images", images, 0), len(split)) or len(split)
  at_once = min(codes, _MOST_IMAGES, total)
  per_part = min(samples, codes // at_once)
  parts = -(-samples // per_part)
  estimate = tf.function(_estimator(model, samples, per_part, parts, seed), autograph=False)
  traced, found, done = None, [], 0
  for number, batch in enumerate(chunks(split, at_once)):
    if done == total:
      break
    pixels = batch.images[:total - done]
    if traced is None:
      traced = estimate.get_concrete_function(
          tf.TensorSpec([None, *pixels.shape[1:]], pixels.dtype), tf.TensorSpec([], tf.int32))
    found.append(traced(pixels, tf.constant(number)).numpy().astype(np.float64))
    done += len(found[-1])
    progress(done, len(found[-1]))
  return np.concatenate(found)


def _estimator(model, samples, per_part, parts, seed):
  """Returns the function of (images of one chunk, its number) that estimates their log p(x)."""
  root = randomness.stream(seed, "likelihood")

  def estimate(images, number):
    key = randomness.fold_in(root, number)
    noise_key = randomness.fold_in(key, 0)
    target = model.observed(images, key)
    mean, log_variance = model.posterior(target)
    shape = tf.concat([[per_part], tf.shape(mean)], 0)

    def add(part, total):
      noise = randomness.normal(shape, randomness.fold_in(noise_key, part), dtype=mean.dtype)
      noise = tf.ensure_shape(noise, [per_part, None, *model.code_shape])
      weights = model.log_weights(target, mean, log_variance, noise)
      # The last part may be partial: what is too much in it weighs nothing.
      wanted = part * per_part + tf.range(per_part) < samples
      weights = tf.where(wanted[:, None], weights, tf.constant(-math.inf, weights.dtype))
      return part + 1, tf.reduce_logsumexp(tf.concat([total[None], weights], 0), 0)

    with tf.device(model.device):
      nothing = tf.fill([tf.shape(mean)[0]], tf.constant(-math.inf, mean.dtype))
      _, total = tf.while_loop(lambda part, _: part < parts, add, (0, nothing),
                               shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
                               parallel_iterations=1)
      return total - math.log(samples)

  return estimate
