"""The penalties of `tfae.specs.penalties`, computed along with the codes that they are on."""

import tensorflow as tf

from tfae import distributions, randomness

_PROJECTION = 102  # stream of a step's key, beside those of the components and of the noise


def encode(penalties, encoder, x, key, weights):
  """Returns (codes, their penalty, a scalar) of a batch; the penalty in float32, or float64 as x.

  Args:
    penalties: a `tfae.specs.penalties.Penalties`.
    encoder: from x to codes `[batch, ...]`, in any float dtype.
    x: `[batch, ...]`, scaled images; float32 or float64.
    key: int64 [2], of this step.
    weights: `[batch]`, 0 for padding, which counts nowhere.
  """
  total = tf.zeros([], x.dtype)
  if penalties.contractive:
    codes, norms = with_jacobian_norm(encoder, x, randomness.fold_in(key, _PROJECTION))
    total += penalties.contractive * distributions.batch_mean(norms, weights)
  else:
    codes = encoder(x)
  if penalties.sparsity:
    units = tf.cast(tf.reshape(codes, [tf.shape(codes)[0], -1]), x.dtype)
    total += penalties.sparsity * distributions.kl_sparsity(
        distributions.whole_batch_mean(units, weights), penalties.sparsity_target)
  if penalties.code_l1:
    total += penalties.code_l1 * distributions.batch_mean(
        distributions.l1(tf.cast(codes, x.dtype)), weights)
  return codes, total


def with_jacobian_norm(encoder, x, key):
  """Returns (codes, `[batch]` estimates of the squared Frobenius norm of d code / d x).

  For random signs v the expectation of |J^T v|^2 is the trace of J J^T: one gradient instead of
  one for each unit of the code (Hutchinson 1990, "A stochastic estimator of the trace of the
  influence matrix for Laplacian smoothing splines"). Both can be differentiated again.

  Args:
    encoder: from x to codes; those of an example depend on that example alone.
    x: `[batch, ...]`, float32 or float64.
    key: int64 [2]; another key is another draw of signs.
  """
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(x)
    codes = encoder(x)
  signs = tf.where(randomness.uniform(tf.shape(codes), key) < 0.5, -1.0, 1.0)
  product = tape.gradient(codes, x, output_gradients=tf.cast(signs, codes.dtype),
                          unconnected_gradients=tf.UnconnectedGradients.ZERO)
  return codes, tf.reduce_sum(tf.square(product), list(range(1, product.shape.rank)))
