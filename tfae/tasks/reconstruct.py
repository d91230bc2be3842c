"""Autoencoding: the decoder gives the images back."""

import dataclasses
import typing

from tfae.errors import InputError, check_choice
from tfae.specs.losses import LOSSES
from tfae.specs.penalties import Penalties
from tfae.tasks.task import Task, decoder_plan, encoder_plan


@dataclasses.dataclass(frozen=True)
class Reconstruct(Penalties, Task):
  """The loss between the images and what the decoder makes of their codes.

  With a corruption the encoder sees corrupted images and the loss is against the clean ones.
  Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.

  loss: name of the loss. The other fields are those of `Penalties`.
  """
  WHERE: typing.ClassVar[str] = "task"
  USES = ("encoder", "decoder", "tied", "output_activation", "decoder_bias", "subtract_mean")

  loss: str = "mean_squared_error"

  def __post_init__(self):
    super().__post_init__()
    check_choice("task.loss", self.loss, tuple(LOSSES))

  def check(self, model):
    super().check(model)
    self.check_encoder(model.encoder)
    if LOSSES[self.loss].from_logits:
      if model.subtract_mean:
        raise InputError(f"model.subtract_mean=True: not with task.loss={self.loss!r}, whose "
                         "targets lie in [0, 1]. Use mean_squared_error or subtract_mean=False.")
      if model.decoder_activation != "linear":
        raise InputError(f"task.loss={self.loss!r}: takes logits and applies the sigmoid itself; "
                         f"the decoder ends in {model.decoder_activation!r}. Use "
                         "output_activation='linear'.")

  def plans(self, model, image_shape, classes):
    encoder = encoder_plan(model, image_shape)
    return {"encoder": encoder, "decoder": decoder_plan(model, image_shape, encoder.shapes[-1])}

  def build(self, stacks, **units):
    from tfae.models.autoencoder import Autoencoder  # not before the config was checked
    return Autoencoder(**stacks, loss=self.loss, **self.given, **units)
