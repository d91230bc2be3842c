"""The section `model` of a config: the stacks of layers."""

import dataclasses

from tfae.errors import InputError, check_bool, check_choice, check_int, set_fields, shown
from tfae.specs import layers as layer_specs


@dataclasses.dataclass(frozen=True)
class Model:
  """Which stacks; a task (`tfae.tasks`) says which of these fields it uses.

  encoder: layer specs.
  decoder: layer specs, or None: the mirror image of the encoder.
  tied: whether the mirrored decoder shares the encoder's kernels.
  output_activation: of the mirrored decoder.
  decoder_bias: whether mirrored layers have biases; None: where the encoder's layer has one.
  latent: number of latent variables, of a variational model or of the encoder of one.
  head: layer specs from the code to the logits of the classes.
  subtract_mean: whether the mean training image is subtracted from images and targets.
  """
  encoder: tuple = ()
  decoder: tuple | None = None
  tied: bool = True
  output_activation: str = "linear"
  decoder_bias: bool | None = None
  latent: int = 0
  head: tuple = ()
  subtract_mean: bool = False

  def __post_init__(self):
    for name in ("encoder", "decoder", "head"):
      value = getattr(self, name)
      if value is None and name == "decoder":
        continue
      if not isinstance(value, (tuple, list)) or not value and name != "head" or not all(
          isinstance(layer, layer_specs.Layer) for layer in value):
        raise InputError(f"model.{name}={shown(value)}: expected a non-empty tuple of layers such "
                         "as (tfae.Flatten(), tfae.Dense(64)), set in the config file.")
      set_fields(self, **{name: tuple(value)})
    check_bool("model.tied", self.tied)
    check_choice("model.output_activation", self.output_activation, layer_specs.ACTIVATIONS)
    if self.decoder_bias is not None:
      check_bool("model.decoder_bias", self.decoder_bias)
    set_fields(self, latent=check_int("model.latent", self.latent, 0))
    check_bool("model.subtract_mean", self.subtract_mean)
    if self.decoder is not None and (self.tied or self.output_activation != "linear"
                                     or self.decoder_bias is not None):
      raise InputError("model.tied, model.output_activation and model.decoder_bias belong to the "
                       "mirrored decoder. With model.decoder written out set tied=False and leave "
                       "the others at their defaults.")

  @property
  def decoder_activation(self):
    """Name of the function that the reconstruction comes out of."""
    return (self.output_activation if self.decoder is None
            else layer_specs.output_activation(self.decoder))
