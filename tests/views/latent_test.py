"""Images of codes."""

import numpy as np
import pytest
import tensorflow as tf

from tfae.views import latent


@pytest.mark.parametrize("name", ["conv", "plane"])
def test_decoding_codes_of_images_gives_their_reconstructions(materials, name):
  material = materials[name]
  found = latent.decode(material.model, material.codes[:7])
  np.testing.assert_allclose(found, material.reconstructions[:7], atol=1e-6)
  assert found.shape == (7, 8, 8, 1) and found.min() >= 0 and found.max() <= 1


def test_samples_are_decoded_noise_and_the_seed_decides_which(materials):
  model = materials["variational"].model
  noise = np.random.default_rng(4).standard_normal((6, 5), np.float32)
  expected = tf.sigmoid(model.run("decoder", noise)).numpy()
  np.testing.assert_allclose(latent.samples(model, 6, 4), expected, rtol=1e-5)
  assert np.abs(latent.samples(model, 6, 5) - expected).max() > 1e-3


def test_a_plane_lies_along_the_two_dimensions_of_the_largest_spread():
  spread = [0.1, 3.0, 0.2, 0.7, 0.7]
  assert latent.plane(spread).tolist() == [1, 3]
  codes = latent.on_plane(np.array([[1.0, 2.0], [-3.0, 0.5]]), latent.plane(spread), 5)
  assert codes.tolist() == [[0, 1, 0, 2, 0], [0, -3, 0, 0.5, 0]]
