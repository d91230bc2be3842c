"""Distributions against SciPy, NumPy and a model whose likelihood is known in closed form."""

import numpy as np
import pytest
from scipy import special, stats
import tensorflow as tf

from tfae import distributions as d
from tfae import errors, replica

RANDOM = np.random.default_rng(0)
MEAN, LOG_VARIANCE, X = (RANDOM.normal(size=(5, 3)) for _ in range(3))
TARGET, LOGITS = RANDOM.uniform(size=(5, 4, 3, 2)), 3 * RANDOM.normal(size=(5, 4, 3, 2))
STDDEV = np.exp(LOG_VARIANCE / 2)
LOG_WEIGHTS = 20 * RANDOM.normal(size=(7, 5))
ACTIVATION = RANDOM.uniform(0.01, 0.9, size=6)
WEIGHTS = np.array([1.0, 1.0, 0.0, 1.0, 0.0])

# name: (function, its arguments, what NumPy or SciPy makes of them).
CASES = {
    "kl_standard_normal": (d.kl_standard_normal, (MEAN, LOG_VARIANCE),
                           (MEAN**2 + STDDEV**2) / 2 - np.log(STDDEV) - 0.5),
    "normal_log_prob": (d.normal_log_prob, (X, MEAN, LOG_VARIANCE),
                        stats.norm.logpdf(X, MEAN, STDDEV).sum(1)),
    "standard_normal_log_prob": (d.standard_normal_log_prob, (X,), stats.norm.logpdf(X).sum(1)),
    "bernoulli_log_likelihood": (
        d.bernoulli_log_likelihood, (TARGET, LOGITS),
        (special.xlogy(TARGET, special.expit(LOGITS))
         + special.xlogy(1 - TARGET, special.expit(-LOGITS))).sum((1, 2, 3))),
    "gaussian_log_likelihood": (d.gaussian_log_likelihood, (TARGET, LOGITS, LOGITS / 3),
                                stats.norm.logpdf(TARGET, LOGITS,
                                                  np.exp(LOGITS / 6)).sum((1, 2, 3))),
    "sample_normal": (d.sample_normal, (MEAN, LOG_VARIANCE, X), MEAN + STDDEV * X),
    "log_mean_exp": (lambda x: d.log_mean_exp(x, 1), (LOG_WEIGHTS,),
                     special.logsumexp(LOG_WEIGHTS, 1) - np.log(5)),
    "iwae_bound": (d.iwae_bound, (LOG_WEIGHTS,), special.logsumexp(LOG_WEIGHTS, 0) - np.log(7)),
    "batch_mean": (d.batch_mean, (TARGET, WEIGHTS), TARGET[[0, 1, 3]].mean(0)),
    "free_bits": (lambda kl: d.free_bits(kl, 0.5, WEIGHTS), (X**2,),
                  np.maximum((X**2)[[0, 1, 3]].mean(0), 0.5).sum()),
    "kl_sparsity": (lambda m: d.kl_sparsity(m, 0.05), (ACTIVATION,),
                    sum(stats.entropy([0.05, 0.95], [m, 1 - m]) for m in ACTIVATION)),
    "l1": (d.l1, (TARGET - 0.5,), np.abs(TARGET - 0.5).sum((1, 2, 3))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-5)])
def test_each_function_is_what_scipy_makes_of_the_same_numbers(name, dtype, tolerance):
  function, arguments, expected = CASES[name]
  result = function(*(a.astype(dtype) for a in arguments))
  assert result.dtype == dtype and result.shape == np.shape(expected)
  np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_finite_differences_in_float64(name):
  function, arguments, _ = CASES[name]
  # A weighted sum, so that no output is forgotten.
  scale = np.random.default_rng(1).normal(size=np.shape(CASES[name][2]))
  total = lambda *values: tf.reduce_sum(function(*values) * scale)
  variables = [tf.constant(a) for a in arguments]
  with tf.GradientTape() as tape:
    tape.watch(variables)
    value = total(*variables)
  step = 1e-5
  for which, gradient in enumerate(tape.gradient(value, variables)):
    for index in range(0, arguments[which].size, 5):
      high, low = ([a.copy() for a in arguments] for _ in range(2))
      high[which].flat[index] += step
      low[which].flat[index] -= step
      expected = (total(*high) - total(*low)).numpy() / (2 * step)
      np.testing.assert_allclose(gradient.numpy().flat[index], expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_narrow_numbers_are_computed_in_float32_and_compiled_ones_are_the_same(name):
  function, arguments, _ = CASES[name]
  narrow = [tf.cast(a, tf.bfloat16) for a in arguments]
  expected = function(*(tf.cast(a, tf.float32) for a in narrow))
  assert function(*narrow).dtype == tf.float32
  np.testing.assert_array_equal(function(*narrow), expected)
  compiled = tf.function(function, jit_compile=True, autograph=False)(*narrow)
  np.testing.assert_allclose(compiled, expected, rtol=1e-5, atol=1e-5)


def test_the_kl_is_the_mean_log_ratio_of_samples():
  noise = np.random.default_rng(2).normal(size=(200_000, 5, 3))
  z = d.sample_normal(MEAN, LOG_VARIANCE, noise)
  ratio = (d.normal_log_prob(z, MEAN, LOG_VARIANCE) - d.standard_normal_log_prob(z)).numpy()
  kl = d.kl_standard_normal(MEAN, LOG_VARIANCE).numpy().sum(1)
  assert (np.abs(ratio.mean(0) - kl) < 5 * ratio.std(0) / np.sqrt(len(ratio))).all()


def test_the_kl_of_the_prior_is_0_and_near_it_is_never_negative():
  assert not d.kl_standard_normal(tf.zeros([2, 3]), tf.zeros([2, 3])).numpy().any()
  # In float32, 1 - exp(x) has no correct digit here; the KL is x^2 / 4.
  for log_variance in np.float32([1e-4, -1e-4, 1e-3]):
    kl = d.kl_standard_normal(np.zeros((1, 1), np.float32), log_variance[None, None])
    np.testing.assert_allclose(kl, [[log_variance**2 / 4]], rtol=1e-2)


def test_extreme_log_variances_and_logits_give_finite_numbers_and_gradients():
  for extreme in (80.0, -80.0):
    log_variance = tf.fill([2, 3], extreme)
    x, mean = tf.fill([2, 3], 2.0), tf.zeros([2, 3])
    with tf.GradientTape() as tape:
      tape.watch([log_variance, mean])
      z = d.sample_normal(mean, log_variance, tf.ones([2, 3]))
      values = [d.kl_standard_normal(mean, log_variance), d.normal_log_prob(x, mean, log_variance),
                d.gaussian_log_likelihood(x, mean, log_variance), z]
      total = tf.add_n([tf.reduce_sum(value) for value in values])
    for value in [*values, *tape.gradient(total, [log_variance, mean])]:
      assert np.isfinite(value).all()
  logits = tf.constant([[1e4, -1e4, 1e4]])
  assert d.bernoulli_log_likelihood(tf.constant([[1.0, 0.0, 0.0]]), logits).numpy() == [-1e4]
  assert d.log_mean_exp(tf.constant([1e30, 1e30, -np.inf]), 0).numpy() == np.float32(1e30)
  assert d.log_mean_exp(tf.constant([-1e4, -1e4]), 0).numpy() == -1e4


def test_grey_targets_give_minus_the_cross_entropy_whose_best_is_the_target():
  target = tf.constant([[0.3, 0.8]], tf.float64)
  best = d.bernoulli_log_likelihood(target, tf.math.log(target / (1 - target)))
  np.testing.assert_allclose(best, -stats.bernoulli.entropy([0.3, 0.8]).sum(keepdims=True))
  assert d.bernoulli_log_likelihood(target, tf.zeros([1, 2], tf.float64)) < best


def test_one_log_variance_may_stand_for_all_pixels():
  expected = stats.norm.logpdf(TARGET, LOGITS, 0.1).sum((1, 2, 3))
  for log_variance in (2 * np.log(0.1), np.full((1, 1, 1, 1), 2 * np.log(0.1))):
    np.testing.assert_allclose(d.gaussian_log_likelihood(TARGET, LOGITS, log_variance), expected,
                               rtol=1e-12)


def test_several_samples_broadcast_over_one_posterior():
  noise = np.random.default_rng(4).normal(size=(7, 5, 3))
  z = d.sample_normal(MEAN, LOG_VARIANCE, noise)
  assert z.shape == (7, 5, 3) and d.normal_log_prob(z, MEAN, LOG_VARIANCE).shape == (7, 5)


class LinearGaussian:
  """z ~ N(0, I), x | z ~ N(W z + b, s^2 I): p(x) and p(z | x) are normal (Bishop 2006, 2.113 on).

  q is wrong on purpose: the posterior's mean, moved, and a variance of its own.
  """

  def __init__(self, wrong):
    random = np.random.default_rng(5)
    w, b, self.variance = random.normal(size=(4, 2)), random.normal(size=4), 0.5
    self.x = random.normal(size=4) * 2
    self.weight, self.bias = w, b
    self.exact = stats.multivariate_normal.logpdf(self.x, b, w @ w.T + self.variance * np.eye(4))
    covariance = np.linalg.inv(np.eye(2) + w.T @ w / self.variance)
    posterior = covariance @ w.T @ (self.x - b) / self.variance
    if wrong:
      self.mean, self.covariance = posterior + 0.3, np.diag([0.2, 0.4])
    else:
      self.mean, self.covariance = posterior, covariance

  def log_weights(self, z):
    """log p(x, z) of z `[..., 2]`, by the library's normals."""
    like = d.normal_log_prob(self.x, z @ self.weight.T + self.bias, np.log(self.variance))
    return like + d.standard_normal_log_prob(z)

  def elbo(self):
    """In closed form: E_q log p(x | z) - KL(q || p)."""
    residual = self.x - self.weight @ self.mean - self.bias
    spread = np.trace(self.weight @ self.covariance @ self.weight.T)
    like = -2 * np.log(2 * np.pi * self.variance) - (residual @ residual + spread) / (
        2 * self.variance)
    return like - 0.5 * (self.mean @ self.mean + np.trace(self.covariance) - 2
                         - np.linalg.slogdet(self.covariance)[1])


def test_with_the_exact_posterior_every_importance_weight_is_the_likelihood():
  model = LinearGaussian(wrong=False)
  z = np.random.default_rng(6).multivariate_normal(model.mean, model.covariance, size=(20, 3))
  log_q = stats.multivariate_normal.logpdf(z, model.mean, model.covariance)
  bound = d.iwae_bound(model.log_weights(z) - log_q)
  np.testing.assert_allclose(bound, [model.exact] * 3, rtol=1e-12)


def test_the_bound_is_the_elbo_at_one_sample_and_rises_to_the_exact_likelihood():
  model, repeats = LinearGaussian(wrong=True), 20_000
  log_variance = np.log(np.diag(model.covariance))
  z = d.sample_normal(model.mean, log_variance,
                      np.random.default_rng(7).normal(size=(50, repeats, 2)))
  log_weights = model.log_weights(z) - d.normal_log_prob(z, model.mean, log_variance)
  bounds = {k: d.iwae_bound(log_weights[:k]).numpy() for k in (1, 5, 50)}
  np.testing.assert_array_equal(bounds[1], log_weights[0])
  mean = {k: bound.mean() for k, bound in bounds.items()}
  error = {k: 5 * bound.std() / np.sqrt(repeats) for k, bound in bounds.items()}
  kl = d.kl_standard_normal(model.mean, log_variance).numpy().sum()
  assert abs(mean[1] - model.elbo()) < error[1] and kl > 0
  assert mean[1] + error[1] < mean[5] - error[5] and mean[5] + error[5] < mean[50] - error[50]
  assert mean[50] < model.exact and model.exact - mean[50] < 0.05 < model.exact - mean[1]
  # The weights themselves are unbiased.
  ratio = np.exp(log_weights.numpy() - model.exact).ravel()
  assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(ratio.size)


def test_the_gradient_of_the_bound_weighs_samples_by_their_share():
  log_weights = tf.constant(LOG_WEIGHTS / 10)
  with tf.GradientTape() as tape:
    tape.watch(log_weights)
    bound = tf.reduce_sum(d.iwae_bound(log_weights))
  np.testing.assert_allclose(tape.gradient(bound, log_weights),
                             special.softmax(LOG_WEIGHTS / 10, 0))


def test_free_bits_take_the_mean_over_the_batch_before_the_maximum():
  kl = tf.constant([[0.0, 0.1], [2.0, 0.3], [9.0, 9.0]])
  weights = tf.constant([1.0, 1.0, 0.0])
  with tf.GradientTape() as tape:
    tape.watch(kl)
    # Means 1 and 0.2: the first stays, though one example is below, the second is lifted.
    penalty = d.free_bits(kl, 0.5, weights)
  np.testing.assert_allclose(penalty, 1.5)
  np.testing.assert_allclose(tape.gradient(penalty, kl), [[0.5, 0], [0.5, 0], [0, 0]])
  np.testing.assert_allclose(d.free_bits(kl, 0, weights), 1.2)


def test_the_sparsity_penalty_is_0_at_its_target_and_finite_at_0_and_1():
  assert abs(d.kl_sparsity(tf.fill([3], 0.05), 0.05).numpy()) < 1e-6
  # (1 - t) log((1 - t) 2^24) + t log t to seven digits, and the same with t and 1 - t exchanged.
  for mean, share in ((0.0, 0.05), (1.0, 0.95)):
    penalty = d.kl_sparsity(tf.constant([mean]), 0.05).numpy()
    expected = stats.entropy([share, 1 - share], [2.0**-24, 1 - 2.0**-24])
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_python_numbers_lose_no_digits_beside_float64():
  log_variance = 2 * np.log(0.1)
  np.testing.assert_allclose(d.normal_log_prob(X, 0.1, float(log_variance)),
                             stats.norm.logpdf(X, 0.1, 0.1).sum(1), rtol=1e-13)


@pytest.mark.parametrize("call, words", [
    (lambda: d.gaussian_log_likelihood(TARGET, LOGITS.reshape(5, -1), 0.0), "same shape"),
    (lambda: d.gaussian_log_likelihood(TARGET, LOGITS[:1], 0.0), "same shape"),
    (lambda: d.gaussian_log_likelihood(TARGET, LOGITS, np.zeros(5)), "log_variance has shape"),
    (lambda: d.bernoulli_log_likelihood(TARGET, LOGITS[:1]), "same shape"),
    (lambda: d.bernoulli_log_likelihood(TARGET.astype(np.uint8), LOGITS), "target is uint8"),
    (lambda: d.gaussian_log_likelihood(TARGET.astype(np.uint8), LOGITS, 0.0), "target: is uint8"),
    (lambda: d.kl_sparsity(ACTIVATION, 0), "kl_sparsity: target=0"),
    (lambda: d.kl_sparsity(ACTIVATION, 1), "kl_sparsity: target=1"),
    (lambda: d.free_bits(X, -1), "free_bits: nats=-1"),
])
def test_what_would_be_a_wrong_number_is_refused(call, words):
  with pytest.raises(errors.InputError, match=words):
    call()


def test_the_mean_over_replicas_is_the_mean_over_the_whole_batch():
  halves = [slice(0, 3), slice(3, 6)]  # of 5 examples and one that is padding
  x, weights = np.concatenate([X, X[:1]]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
  means = []
  for half in halves:
    with replica.tracing(replica.Replica(2, half.start, 3, 5, 5.0, lambda total: total + 7)):
      means.append(d.batch_mean(x[half], weights[half]).numpy())
      # Here each replica has the sum over all, which is this one's and 7.
      np.testing.assert_allclose(d.whole_batch_mean(x[half], weights[half]),
                                 ((weights[half, None] * x[half]).sum(0) + 7) / 5)
  np.testing.assert_allclose(np.mean(means, 0), X.mean(0), rtol=1e-12)
  np.testing.assert_allclose(d.whole_batch_mean(x, weights), X.mean(0), rtol=1e-12)
