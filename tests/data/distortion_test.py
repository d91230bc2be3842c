"""What happens to a batch: inputs are corrupted, images are not, and every step has its own noise."""

import numpy as np
import tensorflow as tf

from tfae.data.distortion import Distortion
from tfae.data.pipeline import Batch
from tfae.specs.distortions import Augmentation, Corruption

IMAGES = np.random.default_rng(0).integers(1, 256, (50, 6, 5, 1)).astype(np.uint8)
MASKING = Corruption("masking", 0.4)


def batch():
  images = tf.constant(IMAGES)
  return Batch(images, images, tf.zeros(50, tf.int32), tf.ones(50))


def test_without_sections_a_batch_stays_the_same_tensors():
  found = Distortion()(batch(), 3)
  assert found.images is found.inputs and found.images.dtype == tf.uint8


def test_the_encoder_sees_corrupted_images_and_the_target_is_clean():
  found = Distortion(MASKING, max_value=255)(batch(), 3)
  np.testing.assert_array_equal(found.images, IMAGES)
  masked = found.inputs.numpy() == 0
  np.testing.assert_array_equal(found.inputs.numpy()[~masked], IMAGES[~masked])
  # 1,500 pixels: five standard deviations of a binomial share are .063.
  assert abs(masked.mean() - 0.4) < 0.063


def test_noise_is_a_function_of_seed_and_step():
  noise = lambda seed, step: Distortion(MASKING, seed=seed)(batch(), step).inputs.numpy()
  np.testing.assert_array_equal(noise(1, 2), noise(1, 2))
  assert (noise(1, 2) != noise(1, 3)).any() and (noise(1, 2) != noise(2, 2)).any()


def test_augmented_images_are_the_target_and_what_is_corrupted():
  distortion = Distortion(MASKING, Augmentation(shift=2), max_value=255)
  found = distortion(batch(), 3)
  assert (found.images.numpy() != IMAGES).any()
  kept = found.inputs.numpy() != 0
  np.testing.assert_array_equal(found.inputs.numpy()[kept], found.images.numpy()[kept])
  plain = distortion(batch(), 3, augmented=False)
  np.testing.assert_array_equal(plain.images, IMAGES)
