"""Variational autoencoding: the encoder gives a distribution of codes."""

import dataclasses
import typing

from tfae.errors import InputError
from tfae.specs import layers as layer_specs
from tfae.specs.variational import Bound
from tfae.tasks.task import Plan, Task, decoder_plan, encoder_plan


@dataclasses.dataclass(frozen=True)
class Variational(Bound, Task):
  """Minus the evidence lower bound, in nats per image; the fields are those of `Bound`.

  The encoder's output goes into two Dense layers of `model.latent` units, the mean and the log
  variance of the code; the decoder takes a code, as `model.decoder` says or as the mirror image of
  the encoder and one of these Dense layers. With a corruption the encoder sees corrupted images
  and the likelihood is that of the clean ones (Im et al. 2017, "Denoising criterion for
  variational auto-encoding framework", section 3).
  """
  WHERE: typing.ClassVar[str] = "task"
  USES = ("encoder", "decoder", "tied", "output_activation", "decoder_bias", "latent",
          "subtract_mean")

  def check(self, model):
    super().check(model)
    if not model.latent:
      raise InputError("model.latent=0: expected the number of latent variables, at least 1.")
    if model.tied:
      raise InputError(f"model.tied=True: not with task.name={self.name()!r}, whose code is drawn "
                       "at random between encoder and decoder. Use model.tied=False.")
    if self.likelihood == "bernoulli":
      if model.subtract_mean:
        raise InputError("model.subtract_mean=True: not with task.likelihood='bernoulli', whose "
                         "pixels lie in [0, 1]. Use 'gaussian' or subtract_mean=False.")
      if model.decoder_activation != "linear":
        raise InputError(f"task.likelihood='bernoulli': the decoder gives logits, the sigmoid is "
                         f"applied by the task; it ends in {model.decoder_activation!r}. Use "
                         "'linear' there.")

  def plans(self, model, image_shape, classes):
    encoder, head = encoder_plan(model, image_shape), layer_specs.Dense(model.latent)
    shapes = layer_specs.shapes((*model.encoder, head), image_shape, "model.encoder, model.latent")
    heads = {name: Plan([head], shapes[-2:], "latent") for name in ("mean", "log_variance")}
    decoder = decoder_plan(model, image_shape, (model.latent,), (head,))
    return {"encoder": encoder, **heads, "decoder": decoder._replace(copies=self.samples)}

  def build(self, stacks, *, mean=None, **units):
    # Not before the config was checked.
    from tfae.models.variational import VariationalAutoencoder
    return VariationalAutoencoder(*stacks.values(), image_mean=mean, **units,
                                  **dataclasses.asdict(self))
