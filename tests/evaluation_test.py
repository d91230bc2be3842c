"""tfae.evaluation against NumPy."""

import numpy as np
import pytest

import tfae
from tfae import evaluation
from tfae.data.datasets import Split

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 3, 2, 1), np.uint8)


def model(loss="mean_squared_error", mean=None):
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(2, activation="tanh")), (3, 2, 1), seed=4)
  return tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255, loss=loss, mean=mean)


def by_hand(ae, images):
  """The tied dense autoencoder on scaled images, in float64."""
  x = images.reshape(len(images), -1) / 255.0
  if ae.mean is not None:
    x = x - ae.mean.numpy().reshape(-1)
  (_, dense), (decode, *_) = ae.encoder.layers, ae.decoder.layers
  kernel = dense.kernel.numpy().astype(np.float64)
  codes = np.tanh(x @ kernel + dense.bias.numpy())
  return x, codes @ kernel.T + decode.bias.numpy()


@pytest.mark.parametrize("chunk", [1, 4, 23, 1000])
@pytest.mark.parametrize("mean", [None, np.full((3, 2, 1), 0.25)])
def test_means_over_all_images_are_numpys_whatever_the_chunk(chunk, mean):
  ae = model(mean=mean)
  x, output = by_hand(ae, IMAGES)
  found = evaluation.Evaluator(ae, chunk)(Split(IMAGES, None))
  assert sorted(found) == ["loss", "squared_error"]
  np.testing.assert_allclose(found["loss"], np.mean((output - x) ** 2), rtol=1e-5)
  np.testing.assert_allclose(found["squared_error"], np.mean((output - x) ** 2), rtol=1e-5)


def test_the_loss_is_the_models_and_the_squared_error_that_of_pixels():
  ae = model("binary_cross_entropy")
  z, logits = by_hand(ae, IMAGES)
  pixels = 1 / (1 + np.exp(-logits))
  found = evaluation.Evaluator(ae, 5)(Split(IMAGES, None))
  np.testing.assert_allclose(
      found["loss"], np.mean(-z * np.log(pixels) - (1 - z) * np.log(1 - pixels)), rtol=1e-5)
  np.testing.assert_allclose(found["squared_error"], np.mean((pixels - z) ** 2), rtol=1e-5)


@pytest.mark.parametrize("components", [1, 3, 6, 50])
def test_pca_is_the_singular_value_decomposition_of_centred_training_images(components):
  test = np.random.default_rng(1).integers(0, 256, (7, 3, 2, 1), np.uint8)
  train, held_out = (a.reshape(len(a), -1) / 255.0 for a in (IMAGES, test))
  mean = train.mean(axis=0)
  _, _, axes = np.linalg.svd(train - mean, full_matrices=False)
  axes = axes[:components]
  restored = (held_out - mean) @ axes.T @ axes + mean
  found = evaluation.pca_errors(IMAGES, test, components, 255)
  np.testing.assert_allclose(found["squared_error"], np.mean((restored - held_out) ** 2),
                             rtol=1e-9, atol=1e-20)
  inside = np.minimum(np.maximum(restored, 1e-7), 1 - 1e-7)
  np.testing.assert_allclose(
      found["cross_entropy"],
      -np.mean(np.log(inside) * held_out + np.log(1 - inside) * (1 - held_out)), rtol=1e-9)


def test_pca_with_fewer_images_than_components_uses_what_there_is():
  found = evaluation.pca_errors(IMAGES[:3], IMAGES[:3], 6, 255)["squared_error"]
  np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize("side, images", [(8, 1000), (128, 1000), (256, 256)])
def test_a_chunk_has_at_most_64_mib_of_the_largest_layer(side, images):
  encoder = tfae.Stack((tfae.Conv2D(1, 1), tfae.Flatten(), tfae.Dense(1)), (side, side, 1), seed=0)
  found = evaluation.chunk_size(tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1.0))
  assert found == images and found * side**2 * 4 <= 2**26
