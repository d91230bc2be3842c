"""What layers answer to images, against NumPy."""

import numpy as np
import pytest

from tfae import InputError
from tfae.views import responses


def convolved(images, kernel, bias, stride):
  """The cross-correlation of `[n, h, w, c]`, 'same' as TensorFlow pads, by hand."""
  size, window = images.shape[1], kernel.shape[0]
  count = -(-size // stride)
  pad = max((count - 1) * stride + window - size, 0)
  padded = np.pad(images, ((0, 0), *[(pad // 2, pad - pad // 2)] * 2, (0, 0)))
  return np.array([[[np.tensordot(padded[n, i * stride:i * stride + window,
                                         j * stride:j * stride + window], kernel, 3) + bias
                     for j in range(count)] for i in range(count)] for n in range(len(images))])


def test_the_responses_of_convolutions_are_those_of_numpy(materials):
  material = materials["conv"]
  found = responses.layer_outputs(material.model, material.split.images[:3])
  value = material.images[:3].astype(np.float64)
  for index, layer in enumerate(material.model.encoder.layers):
    value = np.maximum(convolved(value, layer.kernel.numpy(), layer.bias.numpy(), 2), 0)
    assert value.any()
    np.testing.assert_allclose(found[f"encoder/layer_{index}"], value, rtol=1e-4, atol=1e-5)
  assert list(found)[2:] == ["decoder/layer_0", "decoder/layer_1"]


def test_the_last_responses_are_what_the_model_returns(materials):
  for name, last in (("plane", "decoder/layer_2"), ("classifier", "head/layer_1")):
    material = materials[name]
    found = responses.layer_outputs(material.model, material.split.images[:4])[last]
    if name == "plane":
      expected = material.reconstructions[:4]
      found = 1 / (1 + np.exp(-found))  # of logits
    else:
      expected = material.probabilities[:4]
      found = np.exp(found) / np.exp(found).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name, path", [
    ("conv", "encoder/layer_0"), ("conv", "encoder/layer_1"), ("plane", "encoder/layer_1"),
    ("plane", "log_variance/layer_0"), ("plane", "decoder/layer_0"),
    ("classifier", "head/layer_0")])
def test_what_stands_before_the_activation_becomes_the_response(materials, name, path):
  material = materials[name]
  images = material.split.images[:5].astype(np.float32)
  before = responses.before_activation(material.model, path, images).numpy()
  after = responses.output_of(material.model, path, images).numpy()
  relu = responses.layer_of(material.model, path).spec.activation == "relu"
  assert (before < 0).any()
  np.testing.assert_allclose(np.maximum(before, 0) if relu else before, after, rtol=1e-5)


def test_a_layer_that_is_not_there_is_refused_with_the_nearest(materials):
  with pytest.raises(InputError, match="Did you mean 'encoder/layer_1'.*decoder/layer_0"):
    responses.layer_of(materials["conv"].model, "encoder/layr_1")
