"""Corruption: which values are hit, how often, by what, and that the key alone decides."""

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, randomness
from tfae.data.corruption import corrupt
from tfae.specs.distortions import Corruption

SHAPE = (50, 20, 20, 2)
SIZE = int(np.prod(SHAPE))
KEY = randomness.stream(3, "corruption")
KINDS = {
    "masking": Corruption("masking", 0.3),
    "rescaled masking": Corruption("masking", 0.25, rescale=True),
    "gaussian": Corruption("gaussian", stddev=0.2),
    "salt and pepper": Corruption("salt_and_pepper", 0.4),
}


def images(shape=SHAPE):
  """uint8, none of them 0 or 255."""
  return np.random.default_rng(0).integers(1, 255, shape, np.uint8)


def within_binomial_bounds(count, size, rate):
  """Five standard deviations: a true rate fails once in two million draws."""
  return abs(count - size * rate) < 5 * np.sqrt(size * rate * (1 - rate))


def test_no_corruption_gives_back_the_very_tensor():
  clean = tf.constant(images())
  assert corrupt(clean, KEY, Corruption(), 255) is clean


@pytest.mark.parametrize("name", KINDS)
def test_corrupted_images_are_float32_of_the_same_shape(name):
  clean = images((4, 3, 5, 2))
  for dtype in (np.uint8, np.float32, np.float64):
    corrupted = corrupt(clean.astype(dtype), KEY, KINDS[name], 255)
    assert corrupted.dtype == tf.float32 and corrupted.shape == (4, 3, 5, 2)


def test_masking_makes_a_share_of_values_0_and_leaves_the_others():
  clean = images()
  corrupted = corrupt(clean, KEY, KINDS["masking"], 255).numpy()
  hit = corrupted != clean
  assert within_binomial_bounds(hit.sum(), SIZE, 0.3) and not corrupted[hit].any()


def test_rescaled_masking_keeps_the_mean_of_the_values():
  clean = images()
  corrupted = corrupt(clean, KEY, KINDS["rescaled masking"], 255).numpy()
  hit = corrupted == 0
  assert within_binomial_bounds(hit.sum(), SIZE, 0.25)
  np.testing.assert_allclose(corrupted[~hit], clean[~hit] / 0.75, rtol=1e-6)


def test_salt_and_pepper_are_half_each_and_leave_the_others():
  clean = images() // 16 + 1
  corrupted = corrupt(clean, KEY, KINDS["salt and pepper"], 20).numpy()
  hit = corrupted != clean
  assert within_binomial_bounds(hit.sum(), SIZE, 0.4)
  assert set(np.unique(corrupted[hit])) == {0, 20}
  for value in (0, 20):
    assert within_binomial_bounds((corrupted[hit] == value).sum(), SIZE, 0.2)


@pytest.mark.parametrize("max_value", [1, 255])
def test_gaussian_noise_has_mean_0_and_the_standard_deviation_on_images_scaled_to_1(max_value):
  clean = images() / 255 * max_value
  noise = (corrupt(clean, KEY, KINDS["gaussian"], max_value).numpy() - clean) / max_value
  assert abs(noise.mean()) < 5 * 0.2 / np.sqrt(SIZE)
  # The standard error of a variance is sqrt(2 / n) of it.
  assert abs(noise.var() / 0.04 - 1) < 5 * np.sqrt(2 / SIZE)
  # Not clipped: with values all over [0, 1] some leave it.
  assert (noise + clean / max_value).max() > 1.2 and (noise + clean / max_value).min() < -0.2


@pytest.mark.parametrize("name", ["masking", "salt and pepper"])
def test_channels_of_a_pixel_and_pixels_of_an_image_are_hit_independently(name):
  clean, rate = images(), KINDS[name].rate
  hit = corrupt(clean, KEY, KINDS[name], 255).numpy() != clean
  assert within_binomial_bounds((hit[..., 0] & hit[..., 1]).sum(), SIZE / 2, rate**2)
  assert within_binomial_bounds((hit[:, 1:] & hit[:, :-1]).sum(), SIZE * 19 / 20, rate**2)
  assert within_binomial_bounds((hit[1:] & hit[:-1]).sum(), SIZE * 49 / 50, rate**2)


@pytest.mark.parametrize("name", KINDS)
def test_noise_is_another_one_at_each_step_and_the_same_at_the_same_step(name):
  clean = images((6, 5, 4, 1))
  draw = lambda step: corrupt(clean, randomness.fold_in(KEY, step), KINDS[name], 255).numpy()
  steps = [draw(step) for step in range(10)]
  assert len({step.tobytes() for step in steps}) == 10
  for step in (3, 9):
    np.testing.assert_array_equal(draw(step), steps[step])


@pytest.mark.parametrize("name", KINDS)
def test_a_loop_of_steps_gives_the_same_noise_with_xla_and_without(name):
  clean = tf.constant(images((6, 5, 4, 1)))

  def steps():
    return tf.while_loop(
        lambda step, _: step < 3,
        lambda step, total: (step + 1, total + corrupt(
            clean, randomness.fold_in(KEY, step), KINDS[name], 255)),
        (0, tf.zeros(clean.shape)))[1]
  plain, compiled = (tf.function(steps, jit_compile=jit, autograph=False)().numpy()
                     for jit in (False, True))
  expected = sum(corrupt(clean, randomness.fold_in(KEY, step), KINDS[name], 255)
                 for step in range(3))
  np.testing.assert_allclose(plain, expected, rtol=1e-6)
  np.testing.assert_allclose(compiled, expected, rtol=1e-5, atol=1e-3)


def test_an_unknown_batch_size_is_taken():
  graph = tf.function(lambda x: corrupt(x, KEY, KINDS["masking"], 255), autograph=False,
                      input_signature=[tf.TensorSpec([None, 3, 2, 1], tf.uint8)])
  clean = images((7, 3, 2, 1))
  np.testing.assert_array_equal(graph(clean), corrupt(clean, KEY, KINDS["masking"], 255))


@pytest.mark.parametrize("max_value", [0, -1, np.nan, "255"])
def test_a_largest_value_that_is_none_is_refused(max_value):
  with pytest.raises(errors.InputError, match="corrupt: max_value="):
    corrupt(images(), KEY, KINDS["gaussian"], max_value)
