"""Activation maximisation raises the response, and does the same every time."""

import numpy as np
import pytest

from tfae import InputError
from tfae.views import maximisation, responses

LAYERS = [("conv", "encoder/layer_0"), ("conv", "encoder/layer_1"),
          ("plane", "encoder/layer_1"), ("plane", "mean/layer_0"), ("classifier", "head/layer_0"),
          ("classifier", "head/layer_1")]


def units_of(model, path):
  return range(responses.layer_of(model, path).output_shape[-1])


@pytest.mark.parametrize("name, path", LAYERS)
def test_the_response_is_higher_than_at_the_start_and_of_random_images(materials, name, path):
  model = materials[name].model
  units = units_of(model, path)
  images, found = maximisation.maximise(model, path, units, steps=40, seed=3)
  assert images.shape == (len(units), 8, 8, 1) and found.shape == (len(units),)
  begun = maximisation.start(model.input_shape, len(units), 3)
  assert (found > maximisation.responses(model, path, units, begun)).all()
  random = np.random.default_rng(0)
  for _ in range(10):
    noise = random.random(images.shape, np.float32)
    assert (found >= maximisation.responses(model, path, units, noise)).all()


def test_the_response_is_higher_than_of_every_real_image_for_nearly_all_units(materials):
  material = materials["classifier"]
  _, found = maximisation.maximise(material.model, "head/layer_1", range(10))
  real = responses.layer_outputs(material.model, material.split.images)["head/layer_1"]
  assert (found > real.max(axis=0)).mean() >= 0.9


def test_responses_are_the_mean_over_places_of_the_channel(materials):
  material = materials["conv"]
  expected = responses.layer_outputs(material.model, material.split.images[:4])["encoder/layer_0"]
  found = maximisation.responses(material.model, "encoder/layer_0", [3, 1, 1, 0],
                                 material.images[:4])
  by_hand = [expected[row, :, :, unit].mean() for row, unit in enumerate([3, 1, 1, 0])]
  np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_the_same_seed_gives_the_same_images_and_a_unit_does_not_depend_on_its_neighbours(
    materials):
  model = materials["conv"].model
  one, two = (maximisation.maximise(model, "encoder/layer_1", [0, 4], steps=20) for _ in range(2))
  assert one[0].tobytes() == two[0].tobytes() and one[1].tobytes() == two[1].tobytes()
  alone, _ = maximisation.maximise(model, "encoder/layer_1", [0], steps=20)
  np.testing.assert_allclose(alone[0], one[0][0], atol=1e-4)
  other, _ = maximisation.maximise(model, "encoder/layer_1", [0], steps=20, seed=1)
  assert np.abs(other - alone).max() > 0.01


def test_images_stay_in_0_to_1_and_what_the_unit_does_not_see_stays_as_it_was(materials):
  model = materials["plane"].model
  images, _ = maximisation.maximise(model, "mean/layer_0", [0, 1], steps=30)
  assert images.min() == 0 and images.max() == 1
  kernel = model.encoder.layers[1].kernel
  kept = kernel.numpy()
  try:
    kernel.assign(np.where(np.arange(64)[:, None] < 8, 0, kept))  # blind in the first row
    images, _ = maximisation.maximise(model, "mean/layer_0", [0], steps=30)
  finally:
    kernel.assign(kept)
  np.testing.assert_array_equal(images[0, 0], maximisation.start((8, 8, 1), 1, 0)[0, 0])


def test_a_relu_that_is_off_at_the_start_is_switched_on(materials):
  model = materials["plane"].model
  bias = model.encoder.layers[1].bias
  kept = bias.numpy()
  try:
    bias.assign(kept - 1)
    begun = maximisation.start((8, 8, 1), 32, 0)
    off = maximisation.responses(model, "encoder/layer_1", range(32), begun) == 0
    assert off.sum() > 10
    _, found = maximisation.maximise(model, "encoder/layer_1", range(32))
  finally:
    bias.assign(kept)
  assert (found[off] > 0).mean() > 0.9


@pytest.mark.parametrize("path, units, text", [
    ("encoder/layer_9", [0], "no such layer"),
    ("encoder/layer_0", [4], "units=4: expected an integer from 0 to 3"),
])
def test_what_the_model_does_not_have_is_refused(materials, path, units, text):
  with pytest.raises(InputError, match=text):
    maximisation.maximise(materials["conv"].model, path, units)
