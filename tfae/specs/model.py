"""The section `model` of a config: the stacks of layers."""

import dataclasses

from tfae.errors import InputError, check_bool, check_choice, set_fields, shown
from tfae.specs import layers as layer_specs
from tfae.specs.losses import LOSSES
from tfae.specs.mirror import mirror


@dataclasses.dataclass(frozen=True)
class Model:
  """Which autoencoder.

  encoder: layer specs.
  decoder: layer specs, or None: the mirror image of the encoder.
  tied: whether the mirrored decoder shares the encoder's kernels.
  output_activation: of the mirrored decoder.
  decoder_bias: whether mirrored layers have biases; None: where the encoder's layer has one.
  loss: name of the loss.
  subtract_mean: whether the mean training image is subtracted from images and targets.
  """
  encoder: tuple = ()
  decoder: tuple | None = None
  tied: bool = True
  output_activation: str = "linear"
  decoder_bias: bool | None = None
  loss: str = "mean_squared_error"
  subtract_mean: bool = False

  def __post_init__(self):
    for name in ("encoder", "decoder"):
      value = getattr(self, name)
      if value is None and name == "decoder":
        continue
      if not isinstance(value, (tuple, list)) or not value or not all(
          isinstance(layer, layer_specs.Layer) for layer in value):
        raise InputError(f"model.{name}={shown(value)}: expected a non-empty tuple of layers such "
                         "as (tfae.Flatten(), tfae.Dense(64)), set in the config file.")
      set_fields(self, **{name: tuple(value)})
    check_bool("model.tied", self.tied)
    check_choice("model.output_activation", self.output_activation, layer_specs.ACTIVATIONS)
    if self.decoder_bias is not None:
      check_bool("model.decoder_bias", self.decoder_bias)
    check_choice("model.loss", self.loss, tuple(LOSSES))
    check_bool("model.subtract_mean", self.subtract_mean)
    if self.decoder is not None and (self.tied or self.output_activation != "linear"
                                     or self.decoder_bias is not None):
      raise InputError("model.tied, model.output_activation and model.decoder_bias belong to the "
                       "mirrored decoder. With model.decoder written out set tied=False and leave "
                       "the others at their defaults.")
    if LOSSES[self.loss].from_logits:
      if self.subtract_mean:
        raise InputError(f"model.subtract_mean=True: not with model.loss={self.loss!r}, whose "
                         "targets lie in [0, 1]. Use mean_squared_error or subtract_mean=False.")
      last = (self.output_activation if self.decoder is None
              else layer_specs.output_activation(self.decoder))
      if last != "linear":
        raise InputError(f"model.loss={self.loss!r}: takes logits and applies the sigmoid itself; "
                         f"the decoder ends in {last!r}. Use output_activation='linear'.")

  def check_shapes(self, image_shape):
    """Raises InputError if the stacks can't take images of `image_shape` and give them back.

    Returns:
      (layers, shapes between them, indices of the layers that share a kernel) of the encoder and
      of the decoder.
    """
    encoder = layer_specs.shapes(self.encoder, image_shape, "model.encoder")
    layers, name, shared = self.decoder, "model.decoder", ()
    if layers is None:
      mirrored = mirror(self.encoder, image_shape, output_activation=self.output_activation,
                        use_bias=self.decoder_bias)
      layers, name = [undone.layer for undone in mirrored], "the mirrored model.encoder"
      if self.tied:
        shared = [i for i, undone in enumerate(mirrored) if undone.source is not None]
    decoder = layer_specs.shapes(layers, encoder[-1], name)
    if decoder[-1] != tuple(image_shape):
      raise InputError(f"model.decoder: ends in shape {decoder[-1]}, the images have "
                       f"{tuple(image_shape)}.")
    return (self.encoder, encoder, ()), (layers, decoder, shared)
