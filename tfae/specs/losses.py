"""The losses by name: what they take and in what unit they answer; `tfae.losses` computes them."""

import types
import typing


class Loss(typing.NamedTuple):
  """from_logits: whether the prediction is logits, not values; unit: of one example's loss."""
  from_logits: bool
  unit: str


LOSSES = types.MappingProxyType({
    "mean_squared_error": Loss(False, "squared pixel units, mean over pixels"),
    "sum_squared_error": Loss(False, "squared pixel units, sum over pixels"),
    "binary_cross_entropy": Loss(True, "nats, mean over pixels"),
    "cosine_distance": Loss(False, "1 - cosine of the angle, 0 to 2"),
})
LOSS_NAMES = tuple(LOSSES)
