"""The deterministic autoencoder: an encoder, a decoder, and the units of the images."""

import numpy as np
import tensorflow as tf

from tfae import losses, randomness
from tfae.errors import InputError, check_choice, check_float32
from tfae.network import print_table
from tfae.specs import layers as specs
from tfae.specs.losses import LOSSES


class Autoencoder(tf.Module):
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
  """

  def __init__(self, encoder, decoder, *, loss="mean_squared_error", scale=1.0, mean=None):
    """Joins two stacks.

    Raises:
      InputError: the decoder does not take the codes back to the image shape, both stacks have
        one name, a stack shares a kernel of a third, a decoder of probabilities for a loss of
        logits, a bad loss, scale or mean, or
        binary cross-entropy with a mean (its targets would leave [0, 1]).
    """
    super().__init__()
    check_choice("Autoencoder.loss", loss, tuple(LOSSES))
    if decoder.input_shape != encoder.output_shape or decoder.output_shape != encoder.input_shape:
      raise InputError(
          f"Autoencoder: the decoder takes {decoder.input_shape} to {decoder.output_shape}, it must "
          f"take the codes {encoder.output_shape} to the images {encoder.input_shape}. "
          "tfae.mirror(encoder) builds one that does.")
    if decoder.path == encoder.path:
      raise InputError(f"Autoencoder: encoder and decoder are both named {encoder.path!r}, and so "
                       "would their variables be. Give the decoder name='decoder'.")
    if any(layer.tied for layer in encoder.layers):
      raise InputError("Autoencoder: the encoder shares kernels of another stack, whose gradients "
                       "would be lost. Build the encoder first and mirror it as the decoder.")
    # Its gradient would be lost: `trainable` has the encoder's kernels only.
    own = {v.ref() for v in encoder.own_variables}
    for layer in decoder.layers:
      if layer.tied and layer.kernel.ref() not in own:
        raise InputError(f"Autoencoder: {layer.path} shares {layer.kernel.name.split(':')[0]} of "
                         "another encoder. Mirror the encoder that it is joined with.")
    last = specs.output_activation([layer.spec for layer in decoder.layers])
    if LOSSES[loss].from_logits and last != "linear":
      raise InputError(f"Autoencoder.loss={loss!r}: takes logits and applies the sigmoid itself; "
                       f"the decoder ends in {last!r}. Use 'linear' there.")
    if mean is not None and LOSSES[loss].from_logits:
      raise InputError(f"Autoencoder.mean: not with loss={loss!r}, whose targets lie in [0, 1]. "
                       "Use mean=None or mean_squared_error.")
    self.encoder, self.decoder, self.loss = encoder, decoder, loss
    self.scale = check_float32("Autoencoder.scale", scale, above=True)
    self.mean = None
    if mean is not None:
      if not np.isfinite(mean).all():
        raise InputError("Autoencoder.mean: holds values that are not finite. Compute it of finite "
                         "images, or use mean=None.")
      with tf.device(encoder.device):
        self.mean = tf.Variable(tf.cast(mean, self._dtype), trainable=False, name="mean")
      if tuple(self.mean.shape) != encoder.input_shape:
        raise InputError(f"Autoencoder.mean: expected shape {encoder.input_shape}, found "
                         f"{tuple(self.mean.shape)}.")

  @property
  def _dtype(self):
    """Of inputs, losses and outputs: float32 also where the stacks compute in bfloat16."""
    return tf.float64 if self.encoder.compute_dtype == tf.float64 else tf.float32

  @property
  def trainable(self):
    """The trainable variables, each once: the encoder's, then the decoder's own."""
    return self.encoder.own_variables + self.decoder.own_variables

  def _normalised(self, images):
    with tf.device(self.encoder.device):
      x = tf.cast(images, self._dtype) * tf.constant(self.scale, self._dtype)
      return x if self.mean is None else x - self.mean

  def _losses(self, target, output):
    return getattr(losses, self.loss)(target, tf.cast(output, self._dtype))

  def encode(self, images):
    """Returns codes `[batch, *code shape]` for images in the dataset's units."""
    return tf.cast(self.encoder(self._normalised(images)), self._dtype)

  def decode(self, codes):
    """Returns images in the dataset's units for codes `[batch, *code shape]`."""
    return self._denormalised(self.decoder(codes))

  def _denormalised(self, output):
    with tf.device(self.decoder.device):
      output = tf.cast(output, self._dtype)
      if LOSSES[self.loss].from_logits:
        output = tf.sigmoid(output)
      elif self.mean is not None:
        output += self.mean
      return output / tf.constant(self.scale, self._dtype)

  def reconstruct(self, images):
    """Returns `decode(encode(images))`."""
    return self.decode(self.encode(images))

  def score(self, images):
    """Returns the loss of each image, `[batch]`, in the unit of the loss on scaled images."""
    target = self._normalised(images)
    output = self.decoder(self.encoder(target))
    with tf.device(self.decoder.device):
      return self._losses(target, output)

  def metrics(self, images):
    """Returns {name: per-example values `[batch]`}.

    `loss`: as `score`; `squared_error`: mean over pixels of the squared difference between the
    reconstruction and the image, both scaled.
    """
    target = self._normalised(images)
    output = self.decoder(self.encoder(target))
    with tf.device(self.decoder.device):
      scale = tf.constant(self.scale, self._dtype)
      return {"loss": self._losses(target, output),
              "squared_error": losses.mean_squared_error(
                  tf.cast(images, self._dtype) * scale, self._denormalised(output) * scale)}

  def loss_and_gradients(self, images, weights, key):
    """Returns the training loss of a batch and its gradients.

    One tape a component, and `gradient` called under the component's device: a single tape
    would leave every gradient op on the default device.

    Args:
      images: `[batch, *image shape]`, in the dataset's units.
      weights: `[batch]`, 1 for an example, 0 for padding; at least one is 1.
      key: int64 [2], of this step, for dropout.

    Returns:
      loss: scalar, the mean over the examples; gradients: a list parallel to `trainable`. A
      shared kernel's gradient is the sum over its uses.
    """
    target = self._normalised(images)
    encoder_variables = self.encoder.own_variables
    shared = [layer.kernel for layer in self.decoder.layers if layer.tied]
    decoder_variables = self.decoder.own_variables
    with tf.GradientTape(watch_accessed_variables=False) as encoder_tape:
      encoder_tape.watch(encoder_variables)
      with tf.device(self.encoder.device):
        encoder_key = randomness.fold_in(key, 0)
      codes = self.encoder(target, encoder_key, weights)
    with tf.device(self.decoder.device):
      with tf.GradientTape(watch_accessed_variables=False) as decoder_tape:
        decoder_tape.watch([codes, *decoder_variables, *shared])
        output = self.decoder(codes, randomness.fold_in(key, 1), weights)
        values = self._losses(target, output)
        weights = tf.cast(weights, values.dtype)
        loss = tf.reduce_sum(values * weights) / tf.reduce_sum(weights)
      from_decoder = decoder_tape.gradient(loss, [codes, *decoder_variables, *shared])
    with tf.device(self.encoder.device):
      gradients = encoder_tape.gradient(codes, encoder_variables,
                                        output_gradients=from_decoder[0])
      use = {v.ref(): g for v, g in zip(shared, from_decoder[1 + len(decoder_variables):])}
      gradients = [g if v.ref() not in use else g + use[v.ref()]
                   for v, g in zip(encoder_variables, gradients)]
    return loss, gradients + from_decoder[1:1 + len(decoder_variables)]

  def summary(self, print_fn=print):
    """Prints a line a layer: output shape, parameters, device, what its kernel is tied to."""
    rows = self.encoder.summary_rows() + self.decoder.summary_rows()
    print_table(rows, self.trainable, print_fn)
