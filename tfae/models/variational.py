"""The variational autoencoder: the encoder gives a distribution of codes, the loss is a bound."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tfae import distributions, gradients, graph, losses, ops, randomness
from tfae.errors import InputError
from tfae.models.autoencoder import check_pair
from tfae.models.model import Model, float32
from tfae.specs import layers as specs
from tfae.specs.variational import Bound

# Streams of a step's key; those below are the components'.
_NOISE, _PIXELS = 100, 101


class VariationalAutoencoder(Model):
  """images -> q(z | x) = N(mean, exp(log_variance)) -> codes z -> p(x | z); the prior is N(0, 1).

  The encoder sees `images * scale - image mean`. The decoder gives logits of `images * scale`
  (Bernoulli) or the mean of what the encoder sees (Gaussian). Noise, KL and likelihoods are
  computed in float32 also where the stacks compute in bfloat16.

  Attributes:
    encoder, mean_head, log_variance, decoder: the components; `mean_head` is called 'mean' among
      them (`mean` is the mean image, as in every model).
    bound: the `tfae.specs.variational.Bound` that the model is trained on.
  """

  def __init__(self, encoder, mean, log_variance, decoder, *, scale=1.0, image_mean=None,
               frozen=(), **bound):
    """Joins four stacks.

    Args:
      encoder: from the images to features, a vector.
      mean, log_variance: from the features to the code's mean and log variance; on one device.
      decoder: from a code to the images.
      scale, image_mean, frozen: scale, mean and frozen of `tfae.models.model.Model`.
      **bound: fields of `tfae.specs.variational.Bound`.

    Raises:
      InputError: stacks that do not take each other's values, heads on two devices, a Bernoulli
        decoder that does not end in logits, or a field that is not allowed.
    """
    kind, self.bound = type(self).__name__, Bound(**bound)
    if not mean.input_shape == log_variance.input_shape == encoder.output_shape \
        or mean.output_shape != log_variance.output_shape or len(mean.output_shape) != 1:
      raise InputError(
          f"{kind}: mean takes {mean.input_shape} to {mean.output_shape}, log_variance "
          f"{log_variance.input_shape} to {log_variance.output_shape}; both must take the "
          f"encoder's {encoder.output_shape} to one vector. Let the encoder end in Flatten or "
          "Dense, and build both as Stack([Dense(latent)], encoder.output_shape).")
    if mean.device != log_variance.device:
      raise InputError(f"{kind}: mean is on {mean.device}, log_variance on {log_variance.device}; "
                       "both must be on one device, where codes are drawn.")
    check_pair(kind, encoder, mean.output_shape, decoder)
    if any(layer.tied for stack in (mean, log_variance, decoder) for layer in stack.layers):
      raise InputError(f"{kind}: shares kernels between its stacks. Give each its own: "
                       "tfae.mirror(..., tied=False).")
    last = specs.output_activation([layer.spec for layer in decoder.layers])
    if self.bound.likelihood == "bernoulli":
      if last != "linear":
        raise InputError(f"{kind}.likelihood='bernoulli': the decoder gives logits, the model "
                         f"applies the sigmoid; it ends in {last!r}. Use 'linear' there.")
      if image_mean is not None:
        raise InputError(f"{kind}.image_mean: not with likelihood='bernoulli', whose pixels lie in "
                         "[0, 1]. Use None or likelihood='gaussian'.")
    super().__init__({"encoder": encoder, "mean": mean, "log_variance": log_variance,
                      "decoder": decoder}, scale=scale, mean=image_mean, frozen=frozen)

  @property
  def code_shape(self):
    return self.log_variance.output_shape

  @property
  def copies(self):
    return self.bound.samples

  # From images to distributions, codes and back.

  def encode_distribution(self, images):
    """Returns mean and log variance, `[batch, latent]` each, for images in the dataset's units."""
    return self.posterior(self.normalised(images))

  def encode(self, images):
    """Returns the mean code, `[batch, latent]`, for images in the dataset's units."""
    return self.encode_distribution(images)[0]

  def posterior(self, x):
    """Returns mean and log variance, `[batch, latent]` each, for images as `observed` returns them.
    """
    return self._heads(self.run("encoder", x))

  def decode(self, codes):
    """Returns the mean image of each code, in the dataset's units, for codes `[batch, latent]`."""
    return self._denormalised(self.run("decoder", codes))

  def reconstruct(self, images):
    """Returns `decode(encode(images))`."""
    return self.decode(self.encode(images))

  def sample(self, noise):
    """Returns images of the prior: `decode(noise)`, for standard normal noise `[n, latent]`.

    They are the means of p(x | z), so probabilities with a Bernoulli likelihood.
    """
    return self.decode(noise)

  def score(self, images):
    """Returns the negative ELBO at the mean code, `[batch]`, in nats: without noise.

    -log p(x | mean) + KL(q(z | x) || p(z)): one number for an image, with beta = 1 and without
    free bits. The code is not drawn, so this is no bound on -log p(x): for most decoders it is
    below the negative ELBO. Pixels are taken as they are, also with `binarize`.
    """
    target = self.normalised(images)
    mean, log_variance = self.posterior(target)
    log_p = self._log_likelihoods(target, self.run("decoder", mean), 1)[0]
    with tf.device(self.decoder.device):
      return tf.reduce_sum(distributions.kl_standard_normal(mean, log_variance), -1) - log_p

  def log_weights(self, target, mean, log_variance, noise):
    """Returns the log importance weights log p(x, z) - log q(z | x), `[samples, batch]`.

    Args:
      target: images as `observed` returns them.
      mean, log_variance: `[batch, latent]`, what `posterior` makes of them.
      noise: standard normal, `[samples, batch, latent]`: z = mean + exp(log_variance / 2) noise.
    """
    codes, log_ratio = self._draw(mean, log_variance, noise)
    log_p = self._log_likelihoods(target, self.run("decoder", codes), noise.shape[0])
    with tf.device(self.decoder.device):
      return log_p + log_ratio

  def observed(self, images, key):
    """Returns `images * scale - image mean`; with `binarize` drawn from that, zeros and ones.

    Args:
      images: `[batch, ...]` in the dataset's units.
      key: int64 [2]; the same key draws with the same uniform numbers, so that a corrupted image
        differs from the clean one where it was corrupted only. None: nothing is drawn.
    """
    x = self.normalised(images)
    if key is None or not self.bound.binarize:
      return x
    with tf.device(self.encoder.device):
      uniform = randomness.uniform(tf.shape(x), randomness.fold_in(key, _PIXELS), dtype=x.dtype)
      return tf.cast(uniform < x, x.dtype)

  def _heads(self, features, key=None, weights=None):
    return tuple(tf.cast(self.run(name, features, key, weights), self.dtype)
                 for name in ("mean", "log_variance"))

  def _noise(self, batch, key):
    """Returns standard normal numbers `[samples, batch, latent]`."""
    with tf.device(self.log_variance.device):
      shape = tf.stack([self.bound.samples, batch, *self.code_shape])
      noise = randomness.normal(shape, randomness.fold_in(key, _NOISE), dtype=self.dtype,
                                before=self.bound.samples)
      return tf.ensure_shape(noise, [self.bound.samples, None, *self.code_shape])

  def _draw(self, mean, log_variance, noise):
    """Returns codes `[samples * batch, latent]`, and log p(z) - log q(z | x) `[samples, batch]`."""
    with tf.device(self.log_variance.device):
      codes = distributions.sample_normal(mean, log_variance, noise)
      # log q without the code: (z - mean) / stddev is the noise, whatever rounding made of z.
      log_q = distributions.standard_normal_log_prob(noise) - tf.reduce_sum(log_variance, -1) / 2
      log_ratio = distributions.standard_normal_log_prob(codes) - log_q
      return tf.reshape(codes, [-1, *self.code_shape]), log_ratio

  def _log_likelihoods(self, target, output, samples):
    """Returns log p(x | z), `[samples, batch]`, for the decoder's `[samples * batch, ...]`."""
    with tf.device(self.decoder.device):
      output = tf.cast(output, self.dtype)
      repeated = tf.tile(target, [samples, *[1] * (target.shape.rank - 1)])
      if self.bound.likelihood == "bernoulli":
        values = distributions.bernoulli_log_likelihood(repeated, output)
      else:
        values = distributions.gaussian_log_likelihood(
            repeated, output, 2 * math.log(self.bound.likelihood_stddev))
      return tf.reshape(values, [samples, -1])

  def _denormalised(self, output):
    with tf.device(self.decoder.device):
      output = tf.cast(output, self.dtype)
      if self.bound.likelihood == "bernoulli":
        output = tf.sigmoid(output)
      elif self.mean is not None:
        output += self.mean
      return output / tf.constant(self.scale, self.dtype)

  # Training and evaluation.

  def segments(self, batch, key):
    target, inputs = self.observed(batch.images, key), self.observed(batch.inputs, key)
    weights, samples = batch.weights, self.bound.samples

    def codes_of(features):
      mean, log_variance = self._heads(features, key, weights)
      noise = self._noise(ops.batch_size(mean), key)
      if self.bound.objective == "iwae":
        return self._draw(mean, log_variance, noise)
      codes, _ = self._draw(mean, log_variance, self.bound.noise_stddev * noise)
      kl = distributions.kl_standard_normal(mean, log_variance)
      return codes, self._penalty(kl, weights)

    def loss(x):
      codes, other = x
      output = self.run("decoder", codes, key, tf.tile(weights, [samples]))
      log_p = self._log_likelihoods(target, output, samples)
      if self.bound.objective == "iwae":
        return distributions.batch_mean(-distributions.iwae_bound(log_p + other), weights)
      return distributions.batch_mean(other - tf.reduce_mean(log_p, 0), weights)

    heads = gradients.Segment(
        self.log_variance.device, codes_of,
        [*self._trainable_of("mean"), *self._trainable_of("log_variance")])
    return [self.segment("encoder", lambda x: self.run("encoder", x, key, weights)), heads,
            self.segment("decoder", loss)], inputs

  def _penalty(self, kl, weights):
    """Returns beta times the KL of each image, `[batch]`; with free bits that of the batch."""
    if self.bound.free_bits:
      total = distributions.free_bits(kl, self.bound.free_bits, weights)
      return self.bound.beta * total * tf.ones_like(kl[:, 0])
    return self.bound.beta * tf.reduce_sum(kl, -1)

  def metrics(self, batch, key):
    """Returns {name: per-example values `[batch]`}, in nats but for the last one.

    `loss`: what training minimises, at noise drawn from `key`; free bits count over the batch as a
    whole. `elbo`: the evidence lower bound, with beta = 1, noise of standard deviation 1 and no
    free bits: minus the sum of `reconstruction`, -log p(x | z) on average over `samples` codes, and
    `kl`. `squared_error`: mean over pixels of the squared difference between the reconstruction of
    the mean code and the image, both scaled.
    """
    target = self.observed(batch.images, key)
    mean, log_variance = self.posterior(self.observed(batch.inputs, key))
    noise = self._noise(ops.batch_size(mean), key)

    def likelihoods(stddev):
      codes, log_ratio = self._draw(mean, log_variance, stddev * noise)
      output = self.run("decoder", codes)
      return self._log_likelihoods(target, output, self.bound.samples), log_ratio

    log_p, log_ratio = likelihoods(1.0)
    with tf.device(self.log_variance.device):
      kl = distributions.kl_standard_normal(mean, log_variance)
      penalty, kl = self._penalty(kl, batch.weights), tf.reduce_sum(kl, -1)
    with tf.device(self.decoder.device):
      reconstruction = -tf.reduce_mean(log_p, 0)
      if self.bound.objective == "iwae":
        loss = -distributions.iwae_bound(log_p + log_ratio)
      elif self.bound.noise_stddev == 1:
        loss = reconstruction + penalty
      else:
        loss = penalty - tf.reduce_mean(likelihoods(self.bound.noise_stddev)[0], 0)
      scale = tf.constant(self.scale, self.dtype)
      return {"loss": loss, "elbo": -reconstruction - kl, "reconstruction": reconstruction,
              "kl": tf.identity(kl), "squared_error": losses.mean_squared_error(
                  tf.cast(batch.images, self.dtype) * scale, self.decode(mean) * scale)}

  def outputs(self, batch, key=None):
    """Yields (layer, its output): encoder, mean, log variance, decoder.

    The decoder's input is the mean code; with the `key` of a step the codes that it drew.
    """
    x, weights = self.observed(batch.inputs, key), batch.weights
    for layer, x in self.stack_outputs("encoder", x, key, weights):
      yield layer, x
    heads = []
    for name in ("mean", "log_variance"):
      for layer, value in self.stack_outputs(name, x, key, weights):
        yield layer, value
      heads.append(tf.cast(value, self.dtype))
    codes = heads[0]
    if key is not None:
      noise = self.bound.noise_stddev * self._noise(ops.batch_size(codes), key)
      codes, _ = self._draw(*heads, noise)
      weights = tf.tile(weights, [self.bound.samples])
    yield from self.stack_outputs("decoder", codes, key, weights)

  # Export.

  @property
  def needs_whole_batch(self):
    return super().needs_whole_batch or bool(self.bound.free_bits)

  def settings(self):
    return dataclasses.asdict(self.bound)

  def signatures(self, max_value=None):
    """`serving_default` and `reconstruct` are the same; `encode` gives `mean` and `log_variance`;
    `decode`; `sample`; `score`, the negative ELBO at the mean code."""
    reconstruct = self.images_signature(
        lambda images: {"reconstruction": self.reconstruct(images)},
        {"reconstruction": "the image that the model makes of the mean code, in the dataset's "
                           "units"}, max_value)
    vector = tf.TensorSpec([None, *self.code_shape], tf.float32)
    return {
        "serving_default": reconstruct,
        "reconstruct": reconstruct,
        "encode": self.images_signature(
            lambda images: dict(zip(("mean", "log_variance"), self.encode_distribution(images))),
            {"mean": "the mean of the code of each image",
             "log_variance": "the log of its variance in each dimension"}, max_value),
        "decode": graph.Signature(
            float32(lambda codes: {"reconstruction": self.decode(codes)}),
            {"codes": graph.Input(vector, "codes, such as the mean that encode returns")},
            {"reconstruction": "images for the codes, in the dataset's units"}),
        "sample": graph.Signature(
            float32(lambda noise: {"samples": self.sample(noise)}),
            {"noise": graph.Input(vector, "standard normal noise, a row for each image wanted")},
            {"samples": "images of the prior, in the dataset's units"}),
        "score": self.images_signature(
            lambda images: {"score": self.score(images)},
            {"score": f"negative ELBO of each image at its mean code: {self.bound.likelihood} "
                      f"likelihood of images scaled by {self.scale:.6g}; nats"}, max_value),
    }

  def feeds(self, images):
    codes = self.encode(tf.constant(images)).numpy()
    noise = np.random.default_rng(0).standard_normal(codes.shape).astype(codes.dtype)
    return {"images": images, "codes": codes, "noise": noise}
