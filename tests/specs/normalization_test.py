"""Normalisation as specs: the shapes of its weights, and what it can't be given."""

import pytest

from tfae import errors
from tfae.specs.normalization import BatchNorm, LayerNorm


@pytest.mark.parametrize("make", [BatchNorm, LayerNorm])
@pytest.mark.parametrize("shape", [(7,), (5, 4, 3), (2, 3)])
def test_it_keeps_the_shape_and_scales_and_shifts_each_channel(make, shape):
  channels = shape[-1:]
  assert make().output_shape(shape) == shape
  assert make().weights(shape) == {"gamma": channels, "beta": channels}
  assert make(center=False).weights(shape) == {"gamma": channels}
  assert make(scale=False).weights(shape) == {"beta": channels}
  assert make(scale=False, center=False).weights(shape) == {}


def test_the_defaults_are_those_of_the_docstring():
  assert BatchNorm() == BatchNorm(0.99, epsilon=1e-3, center=True, scale=True)
  assert LayerNorm() == LayerNorm(epsilon=1e-3, center=True, scale=True)


@pytest.mark.parametrize("shape", [(1,), (28, 28, 1)])
def test_a_layer_norm_of_one_value_is_refused_and_a_batch_norm_of_one_is_not(shape):
  with pytest.raises(errors.InputError, match="one value along its last axis.*use BatchNorm"):
    LayerNorm().output_shape(shape)
  assert BatchNorm().output_shape(shape) == shape
