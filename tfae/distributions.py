"""Normal and Bernoulli distributions, and the bounds and penalties that are made of them.

All in nats, summed over the dimensions of an example unless it says otherwise; what becomes of
the batch is the caller's. Normals have a diagonal covariance and are given by mean and log
variance. float64 stays float64, everything narrower is computed in float32; a tensor of integers
is an InputError.
"""

import math

import tensorflow as tf

from tfae import losses, replica
from tfae.errors import InputError, check_float32

_LOG_TWO_PI = math.log(2 * math.pi)


def kl_standard_normal(mean, log_variance):
  """Returns KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension, the shape of `mean`.

  (mean^2 + exp(log_variance) - 1 - log_variance) / 2, >= 0. Its sum over the last axis is that of
  the whole code.

  Args:
    mean, log_variance: `[batch, latent]`.

  Source: Kingma and Welling 2014, "Auto-encoding variational Bayes", appendix B.
  """
  mean, log_variance = _floats(mean=mean, log_variance=log_variance)
  # expm1, as two numbers near 1 would cancel where the posterior is close to the prior.
  return 0.5 * (tf.square(mean) + tf.math.expm1(log_variance) - log_variance)


def normal_log_prob(x, mean, log_variance):
  """Returns log N(x; mean, exp(log_variance)), summed over the last axis.

  -1/2 sum(log 2 pi + log_variance + (x - mean)^2 exp(-log_variance)).

  Args:
    x, mean, log_variance: `[..., latent]`, or what broadcasts to it, as `[samples, batch, latent]`
      and `[batch, latent]` do.

  Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 2.43, for a diagonal
  covariance.
  """
  x, mean, log_variance = _floats(x=x, mean=mean, log_variance=log_variance)
  return tf.reduce_sum(_normal_log_density(x, mean, log_variance), -1)


def standard_normal_log_prob(x):
  """Returns log N(x; 0, 1), summed over the last axis.

  Args:
    x: `[..., latent]`.
  """
  return normal_log_prob(x, 0.0, 0.0)


def bernoulli_log_likelihood(target, logits):
  """Returns `[batch]`: sum over pixels of z log s(x) + (1 - z) log(1 - s(x)).

  For targets between 0 and 1 that are not binary, such as grey values, this is minus their cross
  entropy: usual as a loss, but no log-likelihood, as the Bernoulli distribution gives them none,
  and not comparable with one.

  Args:
    target: z in [0, 1], `[batch, ...]`.
    logits: x of the same shape, any real; s is the logistic function. Exact for large |x|.

  Raises:
    InputError: different shapes, or a dtype that is not floating point.

  Source: Kingma and Welling 2014, appendix C.1, equation 11.
  """
  # Its mean over pixels times their number: the loss has the checks of shape and dtype.
  mean = losses.binary_cross_entropy(target, logits)
  return -mean * tf.cast(tf.reduce_prod(tf.shape(target)[1:]), mean.dtype)


def gaussian_log_likelihood(target, mean, log_variance):
  """Returns `[batch]`: log N(target; mean, exp(log_variance)), summed over pixels.

  A density, in units of 1 over a pixel's: it changes with the scale of the images, and can be
  positive.

  Args:
    target: `[batch, ...]`.
    mean: the same shape.
    log_variance: the same number of axes, any of them 1; or a number: the same for all pixels.

  Raises:
    InputError: target and mean of different shapes, or a log_variance of other axes.

  Source: Kingma and Welling 2014, appendix C.2, equation 12.
  """
  target, mean, log_variance = _floats(target=target, mean=mean, log_variance=log_variance)
  # Broadcasting [batch, 784] against [batch, 28, 28, 1] would give a number, and a wrong one.
  if not target.shape.rank or not target.shape.is_compatible_with(mean.shape):
    raise InputError(f"gaussian_log_likelihood: target has shape {target.shape}, mean "
                     f"{mean.shape}; expected the same shape, [batch, ...]. Reshape one of them.")
  if log_variance.shape.rank not in (0, target.shape.rank):
    raise InputError(f"gaussian_log_likelihood: log_variance has shape {log_variance.shape}; "
                     f"expected a number or {target.shape.rank} axes. Reshape it.")
  density = _normal_log_density(target, mean, log_variance)
  return tf.reduce_sum(density, list(range(1, density.shape.rank)))


def sample_normal(mean, log_variance, noise):
  """Returns mean + exp(log_variance / 2) * noise: a sample whose gradient reaches both.

  Args:
    mean, log_variance: `[batch, latent]`.
    noise: standard normal, `[batch, latent]`, or `[samples, batch, latent]` for several samples.

  Returns:
    The shape of `noise`.

  Source: Kingma and Welling 2014, equation 10.
  """
  mean, log_variance, noise = _floats(mean=mean, log_variance=log_variance, noise=noise)
  return mean + tf.exp(0.5 * log_variance) * noise


def log_mean_exp(x, axis):
  """Returns log(mean(exp(x))) over `axis`, without overflow where x is large.

  Args:
    x: any shape.
    axis: int.
  """
  x, = _floats(x=x)
  return tf.reduce_logsumexp(x, axis) - tf.math.log(tf.cast(tf.shape(x)[axis], x.dtype))


def iwae_bound(log_weights):
  """Returns `[batch]`: the log of the mean importance weight.

  In expectation it is the ELBO with one sample, does not fall with more, and is at most log p(x).
  Its gradient weighs the samples by their share of the weights.

  Args:
    log_weights: `[samples, batch]`: log p(x, z) - log q(z | x) at samples z of q.

  Source: Burda, Grosse and Salakhutdinov 2016, "Importance weighted autoencoders", equation 8.
  """
  return log_mean_exp(log_weights, 0)


def batch_mean(values, weights=None):
  """Returns the mean over the first axis: `[batch, ...]` to `[...]`.

  Args:
    values: `[batch, ...]`.
    weights: `[batch]`, 1 for an example, 0 for padding; None: all are examples.

  In one of several replicas that is what the mean over the replicas is the mean over the batch of:
  right for what is added up from there on, such as a loss.
  """
  part = replica.current()
  if part is None:
    return _mean(values, weights)
  total, _ = _sums(values, weights)
  return total * (part.count / tf.cast(part.examples, total.dtype))


def whole_batch_mean(values, weights=None):
  """Returns `batch_mean`; in one of several replicas that over all of them, on each."""
  part = replica.current()
  if part is None:
    return _mean(values, weights)
  total, _ = _sums(values, weights)
  return part.total(total) / tf.cast(part.examples, total.dtype)


def _mean(values, weights):
  if weights is None:
    return tf.reduce_mean(_floats(values=values)[0], 0)
  total, examples = _sums(values, weights)
  return total / examples


def _sums(values, weights):
  values, = _floats(values=values)
  weights = tf.cast(weights, values.dtype)
  weighted = values * tf.reshape(weights, [-1] + [1] * (values.shape.rank - 1))
  return tf.reduce_sum(weighted, 0), tf.reduce_sum(weights)


def free_bits(kl_per_dimension, nats, weights=None):
  """Returns the scalar sum over dimensions of max(nats, mean over the batch of their KL).

  A dimension that says less than `nats` about an image, in the mean over the batch, is not pushed
  towards the prior. Each dimension is a group of its own, and the mean is taken before the maximum,
  as in the source: single examples may fall below.

  Args:
    kl_per_dimension: `[batch, latent]`, from `kl_standard_normal`.
    nats: the lambda of the source, a number >= 0; 0: the plain mean KL.
    weights: as in `batch_mean`.

  Source: Kingma et al. 2016, "Improving variational inference with inverse autoregressive flow",
  appendix C.8.
  """
  nats = check_float32("free_bits: nats", nats)
  return tf.reduce_sum(tf.maximum(whole_batch_mean(kl_per_dimension, weights), nats))


def kl_sparsity(mean_activation, target):
  """Returns the scalar sum over units of KL(Bernoulli(target) || Bernoulli(mean_activation)).

  t log(t / m) + (1 - t) log((1 - t) / (1 - m)). Infinite at m = 0 and 1, so that m is held
  2^-24 away from them; beyond, the penalty is constant and has no gradient.

  Args:
    mean_activation: m, `[units]`: `batch_mean` of activations in [0, 1], such as a sigmoid's.
    target: t, the activation wanted, a number between 0 and 1, such as 0.05.

  Source: Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3; Hinton 2010, "A
  practical guide to training restricted Boltzmann machines", section 11 (without the constant).
  """
  target = check_float32("kl_sparsity: target", target, 0, 1, above=True, below=True)
  mean, = _floats(mean_activation=mean_activation)
  mean = tf.clip_by_value(mean, 2.0**-24, 1 - 2.0**-24)
  entropy = target * math.log(target) + (1 - target) * math.log(1 - target)
  return tf.reduce_sum(entropy - target * tf.math.log(mean)
                       - (1 - target) * tf.math.log1p(-mean))


def l1(codes):
  """Returns `[batch]`: the sum of the absolute values of a code.

  As a penalty it makes codes sparse: it is minus the log of a Laplace prior, up to a constant
  (Olshausen and Field 1996, "Emergence of simple-cell receptive field properties").

  Args:
    codes: `[batch, ...]`.
  """
  codes, = _floats(codes=codes)
  return tf.reduce_sum(tf.abs(codes), list(range(1, codes.shape.rank)))


def _normal_log_density(x, mean, log_variance):
  return -0.5 * (_LOG_TWO_PI + log_variance
                 + tf.math.squared_difference(x, mean) * tf.exp(-log_variance))


def _floats(**values):
  """Returns tensors of one dtype: float64 if any tensor or array is, else float32."""
  # A Python number takes the dtype of the tensors: in float32 it would lose digits beside float64.
  tensors = {name: tf.convert_to_tensor(value) for name, value in values.items()
             if not isinstance(value, (int, float))}
  for name, tensor in tensors.items():
    if not tensor.dtype.is_floating:
      raise InputError(f"{name}: is {tensor.dtype.name}; expected a floating-point dtype. Scale it "
                       "to the units of the model and cast it first.")
  dtype = tf.float64 if any(t.dtype == tf.float64 for t in tensors.values()) else tf.float32
  return [tf.cast(tensors[name], dtype) if name in tensors else tf.constant(value, dtype)
          for name, value in values.items()]
