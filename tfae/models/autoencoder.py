"""The deterministic autoencoder: an encoder, a decoder, and a loss between images."""

import tensorflow as tf

from tfae import distributions, graph, losses
from tfae.errors import InputError, check_choice
from tfae.models import penalties as penalised
from tfae.models.model import Model, float32
from tfae.specs import layers as specs
from tfae.specs.losses import LOSSES
from tfae.specs.penalties import Penalties


class Autoencoder(Model):
  """images -> codes -> reconstruction, with scaling and mean inside.

  The encoder sees `images * scale - mean`. With a squared-error loss the decoder's output is
  compared with that same tensor, so `reconstruction = (output + mean) / scale`; with
  binary cross-entropy the output is logits of `images * scale`, so
  `reconstruction = sigmoid(output) / scale`.

  Attributes:
    encoder, decoder: `tfae.Stack`s, each on its own device.
    scale: float; 1 / 255 takes bytes to [0, 1].
    mean: non-trainable `tf.Variable` of the image shape in scaled units, or None.
    loss: name of the loss, one of `tfae.specs.losses.LOSSES`.
    penalties: the `tfae.specs.penalties.Penalties` that the training loss has besides.
  """

  def __init__(self, encoder, decoder, *, loss="mean_squared_error", scale=1.0, mean=None,
               frozen=(), **penalties):
    """Joins two stacks.

    Args:
      encoder, decoder: `tfae.Stack`s.
      loss, scale, mean: see the class.
      frozen: names of the components that stay as they are.
      **penalties: fields of `tfae.specs.penalties.Penalties`: sparsity, sparsity_target, code_l1,
        contractive.

    Raises:
      InputError: the decoder does not take the codes back to the image shape, both stacks have
        one name, a stack shares a kernel of a third, a decoder of probabilities for a loss of
        logits, a bad loss, scale or mean, binary cross-entropy with a mean (its targets would
        leave [0, 1]), or a penalty that has no meaning for this encoder.
    """
    check_choice("Autoencoder.loss", loss, tuple(LOSSES))
    check_pair("Autoencoder", encoder, encoder.output_shape, decoder)
    last = specs.output_activation([layer.spec for layer in decoder.layers])
    if LOSSES[loss].from_logits and last != "linear":
      raise InputError(f"Autoencoder.loss={loss!r}: takes logits and applies the sigmoid itself; "
                       f"the decoder ends in {last!r}. Use 'linear' there.")
    if mean is not None and LOSSES[loss].from_logits:
      raise InputError(f"Autoencoder.mean: not with loss={loss!r}, whose targets lie in [0, 1]. "
                       "Use mean=None or mean_squared_error.")
    super().__init__({"encoder": encoder, "decoder": decoder}, scale=scale, mean=mean,
                     frozen=frozen)
    self.loss, self.penalties = loss, Penalties(**penalties)
    self.penalties.check_encoder([layer.spec for layer in encoder.layers])

  def _losses(self, target, output):
    return getattr(losses, self.loss)(target, tf.cast(output, self.dtype))

  def encode(self, images):
    """Returns codes `[batch, *code shape]` for images in the dataset's units."""
    return tf.cast(self.run("encoder", self.normalised(images)), self.dtype)

  def decode(self, codes):
    """Returns images in the dataset's units for codes `[batch, *code shape]`."""
    return self._denormalised(self.run("decoder", codes))

  def _denormalised(self, output):
    with tf.device(self.decoder.device):
      output = tf.cast(output, self.dtype)
      if LOSSES[self.loss].from_logits:
        output = tf.sigmoid(output)
      elif self.mean is not None:
        output += self.mean
      return output / tf.constant(self.scale, self.dtype)

  def reconstruct(self, images):
    """Returns `decode(encode(images))`."""
    return self.decode(self.encode(images))

  def score(self, images):
    """Returns the loss of each image, `[batch]`, in the unit of the loss on scaled images."""
    target = self.normalised(images)
    output = self.run("decoder", self.run("encoder", target))
    with tf.device(self.decoder.device):
      return self._losses(target, output)

  def metrics(self, batch, key=None):
    """Returns {name: per-example values `[batch]`}.

    `loss`: between what the decoder makes of `batch.inputs` and `batch.images`, without
    penalties; `squared_error`: mean over pixels of the squared difference between the
    reconstruction and the image, both scaled.
    """
    target = self.normalised(batch.images)
    output = self.run("decoder", self.run("encoder", self.normalised(batch.inputs)))
    with tf.device(self.decoder.device):
      scale = tf.constant(self.scale, self.dtype)
      return {"loss": self._losses(target, output),
              "squared_error": losses.mean_squared_error(
                  tf.cast(batch.images, self.dtype) * scale, self._denormalised(output) * scale)}

  def segments(self, batch, key):
    target = self.normalised(batch.images)
    inputs = target if batch.inputs is batch.images else self.normalised(batch.inputs)

    def encode(x):
      return self.run("encoder", x, key, batch.weights)

    def loss(codes):
      values = self._losses(target, self.run("decoder", codes, key, batch.weights))
      return distributions.batch_mean(values, batch.weights)

    if self.penalties.given:
      # On the encoder's device: the penalty goes through the chain beside the codes.
      return [self.segment("encoder", lambda x: penalised.encode(
          self.penalties, encode, x, key, batch.weights)),
              self.segment("decoder", lambda found: loss(found[0]) + found[1])], inputs
    return [self.segment("encoder", encode), self.segment("decoder", loss)], inputs

  @property
  def needs_whole_batch(self):
    return super().needs_whole_batch or bool(self.penalties.sparsity)

  def settings(self):
    return {"loss": self.loss, **self.penalties.given}

  def signatures(self, max_value=None):
    """`serving_default` and `reconstruct` are the same; `encode`; `decode`; `score`, the loss of
    each image."""
    reconstruct = self.images_signature(
        lambda images: {"reconstruction": self.reconstruct(images)},
        {"reconstruction": "the images as the model gives them back, in the dataset's units"},
        max_value)
    codes = graph.Input(tf.TensorSpec([None, *self.encoder.output_shape], tf.float32),
                        "codes, as encode returns them")
    return {
        "serving_default": reconstruct,
        "reconstruct": reconstruct,
        "encode": self.images_signature(lambda images: {"codes": self.encode(images)},
                                        {"codes": "the code of each image"}, max_value),
        "decode": graph.Signature(
            float32(lambda codes: {"reconstruction": self.decode(codes)}), {"codes": codes},
            {"reconstruction": "images for the codes, in the dataset's units"}),
        "score": self.images_signature(
            lambda images: {"score": self.score(images)},
            {"score": f"reconstruction error of each image: {self.loss} of images scaled by "
                      f"{self.scale:.6g}; {LOSSES[self.loss].unit}"}, max_value),
    }

  def feeds(self, images):
    return {"images": images, "codes": self.encode(tf.constant(images)).numpy()}


def check_pair(name, encoder, code_shape, decoder):
  """Raises InputError for a decoder that does not take codes of `code_shape` back to the images,
  or shares kernels of another stack than `encoder`, whose gradients would be lost."""
  if decoder.input_shape != code_shape or decoder.output_shape != encoder.input_shape:
    raise InputError(
        f"{name}: the decoder takes {decoder.input_shape} to {decoder.output_shape}, it must "
        f"take the codes {code_shape} to the images {encoder.input_shape}. "
        "tfae.mirror(encoder) builds one that does.")
  if any(layer.tied for layer in encoder.layers):
    raise InputError(f"{name}: the encoder shares kernels of another stack, whose gradients "
                     "would be lost. Build the encoder first and mirror it as the decoder.")
  own = {v.ref() for v in encoder.own_variables}
  for layer in decoder.layers:
    if layer.tied and layer.kernel.ref() not in own:
      raise InputError(f"{name}: {layer.path} shares {layer.kernel.name.split(':')[0]} of "
                       "another encoder. Mirror the encoder that it is joined with.")
