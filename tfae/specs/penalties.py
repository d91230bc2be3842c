"""What an autoencoder's training loss asks of its codes besides the reconstruction."""

import dataclasses
import typing

from tfae.errors import InputError, check_float32, set_fields
from tfae.specs import layers as layer_specs

_KEEP_RANGE = (layer_specs.Flatten, layer_specs.Reshape, layer_specs.MaxPool, layer_specs.Upsample)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalties:
  """Terms that are added to the training loss; evaluation does not count them.

  sparsity: factor of the KL between Bernoulli(sparsity_target) and the mean activation of each
    unit of the code over the batch, summed over units (Ng 2011, "Sparse autoencoder", CS294A
    lecture notes, section 3). Codes must lie in (0, 1): the encoder ends in a sigmoid.
  sparsity_target: mean activation that is wanted of a unit.
  code_l1: factor of the sum of the code's absolute values, mean over the batch.
  contractive: factor of the squared Frobenius norm of the Jacobian of the code by what the encoder
    sees (scaled images), mean over the batch (Rifai et al. 2011, "Contractive auto-encoders",
    equation 1). Each step estimates it, without bias, by one random projection an example.
  """
  WHERE: typing.ClassVar[str] = "Autoencoder"  # how errors name the fields

  sparsity: float = 0.0
  sparsity_target: float = 0.05
  code_l1: float = 0.0
  contractive: float = 0.0

  def __post_init__(self):
    for name in ("sparsity", "code_l1", "contractive"):
      set_fields(self, **{name: check_float32(f"{self.WHERE}.{name}", getattr(self, name))})
    set_fields(self, sparsity_target=check_float32(f"{self.WHERE}.sparsity_target",
                                                   self.sparsity_target, 0, 1, above=True,
                                                   below=True))
    default = Penalties.__dataclass_fields__["sparsity_target"].default
    if not self.sparsity and self.sparsity_target != default:
      raise InputError(f"{self.WHERE}.sparsity_target={self.sparsity_target:g}: has no effect with "
                       f"{self.WHERE}.sparsity=0.")

  @property
  def given(self):
    """{field: value} of the terms that have an effect."""
    found = {name: getattr(self, name) for name in ("sparsity", "code_l1", "contractive")
             if getattr(self, name)}
    return {**found, "sparsity_target": self.sparsity_target} if self.sparsity else found

  def check_encoder(self, layers):
    """Raises InputError for an encoder, as specs, whose codes these terms have no meaning for."""
    if self.sparsity:
      last = next((layer for layer in reversed(layers) if not isinstance(layer, _KEEP_RANGE)), None)
      function = getattr(last, "activation", getattr(last, "function", None))
      if function != "sigmoid":
        raise InputError(f"{self.WHERE}.sparsity={self.sparsity:g}: the mean activation of a unit "
                         "is a probability, so the encoder must end in a layer with activation="
                         f"'sigmoid'; it ends in "
                         f"{type(last).__name__ if last else 'none that has one'}"
                         f"{f' with {function!r}' if function else ''}. code_l1 takes any code.")
    if self.contractive and any(isinstance(layer, layer_specs.BatchNorm)
                                for layer in layer_specs.walk(layers)):
      raise InputError(f"{self.WHERE}.contractive={self.contractive:g}: not with BatchNorm in the "
                       "encoder, where a code depends on the other images of the batch. Use "
                       "LayerNorm.")
