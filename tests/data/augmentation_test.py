"""Augmentation against NumPy and SciPy, and that the key alone decides it."""

import math

import numpy as np
import pytest
from scipy import ndimage
import tensorflow as tf

from tfae import errors, randomness
from tfae.data import augmentation
from tfae.data.augmentation import augment
from tfae.specs.distortions import Augmentation

KEY = randomness.stream(3, "augmentation")
KINDS = {
    "shift": Augmentation(shift=2),
    "rotate": Augmentation(rotate=30.0),
    "elastic": Augmentation(elastic_alpha=10.0, elastic_sigma=2.0),
    "flip": Augmentation(flip=True),
    "all": Augmentation(2, 30.0, 10.0, 2.0, True),
}


def images(shape=(6, 9, 8, 2), seed=0):
  return np.random.default_rng(seed).integers(1, 256, shape, np.uint8)


def moved(image, down, right):
  """NumPy's shifted image, zeros coming in."""
  height, width = image.shape[:2]
  result = np.zeros_like(image)
  result[max(down, 0):height + min(down, 0), max(right, 0):width + min(right, 0)] = \
      image[max(-down, 0):height - max(down, 0), max(-right, 0):width - max(right, 0)]
  return result


def look_up(image, rows, columns):
  """SciPy's bilinear interpolation of one image, zeros outside, channel by channel."""
  return np.stack([ndimage.map_coordinates(image[..., c].astype(np.float64), [rows, columns],
                                           order=1, mode="grid-constant", cval=0)
                   for c in range(image.shape[2])], -1)


def test_no_augmentation_gives_back_the_very_tensor():
  clean = tf.constant(images())
  assert augment(clean, KEY, Augmentation()) is clean


@pytest.mark.parametrize("name", KINDS)
def test_augmented_images_are_float32_of_the_same_shape_and_within_their_range(name):
  for dtype in (np.uint8, np.float64):
    result = augment(tf.constant(images().astype(dtype)), KEY, KINDS[name])
    assert result.dtype == tf.float32 and result.shape == (6, 9, 8, 2)
    assert result.numpy().min() >= 0 and result.numpy().max() <= 255.001


def test_a_shift_is_numpys_shifted_image_with_zeros_coming_in():
  clean = images((7, 9, 8, 2))
  offsets = np.array([[0, 0], [1, 0], [0, -1], [3, -2], [-8, 7], [8, -7], [20, 0]], np.int32)
  result = augmentation.shift(tf.cast(clean, tf.float32), offsets)
  expected = [moved(image, *offset) for image, offset in zip(clean, offsets)]
  np.testing.assert_array_equal(result, expected)
  assert not expected[-1].any() and expected[-2].any()


def test_every_shift_up_to_the_limit_occurs_equally_often_and_is_drawn_an_image():
  clean = np.zeros((2000, 7, 7, 1), np.uint8)
  clean[:, 3, 3] = 1
  result = augment(tf.constant(clean), KEY, Augmentation(shift=2)).numpy()[..., 0]
  assert (result.sum((1, 2)) == 1).all()
  counts = result.sum(0)
  assert counts[1:6, 1:6].sum() == 2000
  # 80 each; five standard deviations.
  assert np.abs(counts[1:6, 1:6] - 80).max() < 5 * math.sqrt(80)


@pytest.mark.parametrize("size", [8, 9])
def test_a_rotation_by_90_degrees_is_rot90_and_by_0_the_image(size):
  clean = images((4, size, size, 2))
  axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
  turned = augmentation.rotated(axis[:, None], axis[None], tf.constant(
      [0, math.pi / 2, math.pi, -math.pi / 2]))
  result = augmentation.sample(tf.cast(clean, tf.float32), *(c + (size - 1) / 2 for c in turned))
  np.testing.assert_array_equal(result[0], clean[0])
  for image, quarters in ((1, 1), (2, 2), (3, -1)):
    np.testing.assert_allclose(result[image], np.rot90(clean[image], quarters), atol=1e-3)


def test_angles_are_uniform_up_to_the_limit_on_both_sides():
  # A single pixel, far from the centre, shows the angle.
  clean = np.zeros((3000, 21, 21, 1), np.uint8)
  clean[:, 10, 18] = 255
  result = augment(tf.constant(clean), KEY, Augmentation(rotate=40.0)).numpy()[..., 0]
  rows, columns = np.mgrid[:21, :21] - 10
  mass = result.sum((1, 2))
  angles = np.degrees(np.arctan2(-(result * rows).sum((1, 2)) / mass,
                                 (result * columns).sum((1, 2)) / mass))
  assert np.abs(angles).max() < 41.5 and np.abs(angles).max() > 38
  # Uniform on [-40, 40]: standard deviation 80 / sqrt(12) = 23.09; five standard errors.
  assert abs(angles.mean()) < 5 * 23.09 / math.sqrt(3000)
  assert abs(angles.std() - 23.09) < 1


def test_sampling_is_scipys_bilinear_interpolation_with_zeros_outside():
  clean, random = images((3, 9, 8, 2)), np.random.default_rng(1)
  rows = random.uniform(-3, 12, (3, 5, 7)).astype(np.float32)
  columns = random.uniform(-3, 11, (3, 5, 7)).astype(np.float32)
  result = augmentation.sample(tf.cast(clean, tf.float32), rows, columns)
  assert result.shape == (3, 5, 7, 2)
  for image in range(3):
    np.testing.assert_allclose(result[image], look_up(clean[image], rows[image], columns[image]),
                               rtol=1e-4, atol=1e-3)


def test_displacements_that_are_not_finite_or_far_outside_give_zeros():
  clean = tf.ones([1, 4, 4, 1])
  for far in (1e30, -1e30, np.inf, -np.inf):
    grid = np.full((1, 4, 4), far, np.float32)
    assert not augmentation.sample(clean, grid, np.zeros_like(grid)).numpy().any()


@pytest.mark.parametrize("sigma", [0.01, 0.7, 2.0, 4.0, 50.0])
def test_the_field_is_noise_smoothed_by_scipys_gaussian(sigma):
  noise = 2 * randomness.halves([9, 3 * 8], KEY).numpy() - 1
  result = augmentation.smooth_field(3, 9, 8, KEY, sigma)
  assert result.shape == (2, 3, 9, 8)
  for axis in range(2):
    for image in range(3):
      expected = ndimage.gaussian_filter(noise[axis].reshape(9, 3, 8)[:, image].astype(np.float64),
                                         sigma, mode="constant", truncate=4)
      np.testing.assert_allclose(result[axis, image], expected, rtol=1e-4, atol=1e-6)


def test_an_elastic_deformation_is_scipys_at_the_same_field():
  clean, spec = images((3, 9, 8, 2)), KINDS["elastic"]
  field = augmentation.smooth_field(3, 9, 8, randomness.fold_in(KEY, 3), 2.0).numpy() * 10
  result = augment(tf.constant(clean), KEY, spec)
  rows, columns = np.mgrid[:9, :8]
  for image in range(3):
    np.testing.assert_allclose(result[image], look_up(
        clean[image], rows + field[0, image], columns + field[1, image]), rtol=1e-4, atol=2e-2)


def test_a_displacement_has_the_standard_deviation_that_the_docstring_names():
  field = augmentation.smooth_field(200, 41, 41, KEY, 4.0).numpy()[:, :, 20, 20]
  assert abs(field.std() * 4 * math.sqrt(12 * math.pi) - 1) < 5 / math.sqrt(2 * field.size)
  assert abs(field.mean()) < 5 * field.std() / math.sqrt(field.size)


def test_half_of_the_images_are_mirrored_left_to_right():
  clean = images((1000, 3, 4, 1))
  result = augment(tf.constant(clean), KEY, KINDS["flip"]).numpy()
  mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(result, clean)])
  same = np.array([np.array_equal(a, b) for a, b in zip(result, clean)])
  assert (mirrored ^ same).all()
  assert abs(mirrored.sum() - 500) < 5 * math.sqrt(250)


def test_flip_rotation_shift_and_field_go_together_as_the_docstring_says():
  clean = images((5, 9, 8, 1))
  result = augment(tf.constant(clean), KEY, KINDS["all"]).numpy()
  keys = [randomness.fold_in(KEY, number) for number in range(4)]
  mirrored = randomness.uniform([5], keys[0]).numpy() < 0.5
  angles = np.radians(randomness.uniform([5], keys[1], -30.0, 30.0).numpy())
  shifts = np.floor(randomness.uniform([5, 2], keys[2]).numpy() * 5) - 2
  field = augmentation.smooth_field(5, 9, 8, keys[3], 2.0).numpy() * 10
  for n, image in enumerate(clean):
    image = image[:, ::-1] if mirrored[n] else image
    r, c = np.arange(9)[:, None] - 4 - shifts[n, 0], np.arange(8)[None] - 3.5 - shifts[n, 1]
    rows = np.cos(angles[n]) * r + np.sin(angles[n]) * c + field[0, n] + 4
    columns = np.cos(angles[n]) * c - np.sin(angles[n]) * r + field[1, n] + 3.5
    np.testing.assert_allclose(result[n], look_up(image, rows, columns), rtol=1e-4, atol=2e-2)
  assert mirrored.any() and not mirrored.all()


def test_turning_one_change_on_leaves_the_draws_of_the_others():
  clean = tf.constant(images((5, 9, 8, 1)))
  both = augment(clean, KEY, Augmentation(shift=2, flip=True))
  alone = augment(augment(clean, KEY, Augmentation(flip=True)), KEY, Augmentation(shift=2))
  np.testing.assert_array_equal(both, alone)


@pytest.mark.parametrize("name", KINDS)
def test_changes_are_others_at_each_step_and_the_same_at_the_same_step(name):
  clean = tf.constant(images((40, 9, 8, 2)))
  draw = lambda step: augment(clean, randomness.fold_in(KEY, step), KINDS[name]).numpy()
  steps = [draw(step) for step in range(6)]
  assert len({step.tobytes() for step in steps}) == 6
  np.testing.assert_array_equal(draw(4), steps[4])


@pytest.mark.parametrize("name", KINDS)
def test_a_loop_of_steps_gives_the_same_images_with_xla_and_without(name):
  clean = tf.constant(images())

  def steps():
    return tf.while_loop(
        lambda step, _: step < 3,
        lambda step, total: (step + 1, total + augment(
            clean, randomness.fold_in(KEY, step), KINDS[name])),
        (0, tf.zeros(clean.shape)))[1]
  plain, compiled = (tf.function(steps, jit_compile=jit, autograph=False)().numpy()
                     for jit in (False, True))
  expected = sum(augment(clean, randomness.fold_in(KEY, step), KINDS[name]) for step in range(3))
  exact = name in ("shift", "flip")
  for found in (plain, compiled):
    np.testing.assert_allclose(found, expected, rtol=0 if exact else 1e-5,
                               atol=0 if exact else 1e-2)


def test_an_unknown_batch_size_is_taken():
  graph = tf.function(lambda x: augment(x, KEY, KINDS["all"]), autograph=False,
                      input_signature=[tf.TensorSpec([None, 9, 8, 2], tf.uint8)])
  np.testing.assert_allclose(graph(images()), augment(tf.constant(images()), KEY, KINDS["all"]),
                             rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("shape", [(5, 28), (5, 28, 28), (5, None, 28, 1)])
def test_images_of_another_rank_or_of_unknown_size_are_refused(shape):
  with pytest.raises(errors.InputError, match="augment: images have shape"):
    tf.function(lambda x: augment(x, KEY, KINDS["shift"]), autograph=False,
                input_signature=[tf.TensorSpec(shape)]).get_concrete_function()


def test_a_shift_that_could_leave_nothing_of_the_images_is_refused():
  with pytest.raises(errors.InputError, match="augmentation.shift=8"):
    augment(tf.constant(images()), KEY, Augmentation(shift=8))
