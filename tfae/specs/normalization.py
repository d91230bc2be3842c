"""The layers that normalise: their statistics, trainable scale and shift, as specs."""

import dataclasses

from tfae.errors import InputError, check_bool, check_float32
from tfae.specs.basic import Layer


@dataclasses.dataclass(frozen=True)
class _Normalization(Layer):
  """What BatchNorm and LayerNorm share: gamma (scale) and beta (center), `[channels]` each."""
  epsilon: float = dataclasses.field(default=1e-3, kw_only=True)
  center: bool = dataclasses.field(default=True, kw_only=True)
  scale: bool = dataclasses.field(default=True, kw_only=True)

  def __post_init__(self):
    layer = type(self).__name__
    self._set(epsilon=check_float32(f"{layer}.epsilon", self.epsilon, above=True))
    check_bool(f"{layer}.center", self.center)
    check_bool(f"{layer}.scale", self.scale)

  def output_shape(self, input_shape):
    return input_shape

  def weights(self, input_shape):
    present = {"gamma": self.scale, "beta": self.center}
    return {name: input_shape[-1:] for name, wanted in present.items() if wanted}


@dataclasses.dataclass(frozen=True)
class BatchNorm(_Normalization):
  """gamma (x - mean) / sqrt(variance + epsilon) + beta, a mean and variance a channel.

  In training they are those of the batch, over all axes but the last, without its padding, and
  the moving averages go on: moving = momentum * moving + (1 - momentum) * that of the batch.
  Outside training the moving averages, which start at 0 and 1, take their place. They are
  `moving_mean` and `moving_variance`, `[channels]`, not trainable. The variance of the batch is
  that of its values divided by their number n; the moving one by n - 1.

  A bias of the layer before is undone by it: use_bias=False there. A batch of one vector is its
  own mean: nothing is learned of it.

  Source: Ioffe and Szegedy 2015, "Batch normalization", algorithms 1 and 2.
  """
  momentum: float = 0.99

  def __post_init__(self):
    super().__post_init__()
    self._set(momentum=check_float32("BatchNorm.momentum", self.momentum, 0, 1, below=True))


@dataclasses.dataclass(frozen=True)
class LayerNorm(_Normalization):
  """gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis of each example.

  For images that is each pixel by itself, over its channels; the same in and outside training.

  Source: Ba, Kiros and Hinton 2016, "Layer normalization", equation 3.
  """

  def output_shape(self, input_shape):
    if input_shape[-1] == 1:
      raise InputError(f"LayerNorm: the input {input_shape} has one value along its last axis, "
                       "which is its own mean: every output would be beta. Put Flatten() before "
                       "it, or use BatchNorm().")
    return input_shape
