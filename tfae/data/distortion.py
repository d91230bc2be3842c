"""What is done to a batch on its way to the model: augmentation, then corruption."""

import tensorflow as tf

from tfae import randomness
from tfae.data.augmentation import augment
from tfae.data.corruption import corrupt
from tfae.specs.distortions import Augmentation, Corruption


class Distortion:
  """Changes batches as two sections of a config say; the same ones at the same step of a run."""

  def __init__(self, corruption=Corruption(), augmentation=Augmentation(), *, max_value=1.0,
               seed=0, device="/CPU:0"):
    """Takes the sections.

    Args:
      corruption, augmentation: of `tfae.specs.distortions`.
      max_value: largest pixel value.
      seed: of the run.
      device: full device name, that of the batches.
    """
    self._corruption, self._augmentation = corruption, augmentation
    self._max_value, self._seed, self._device = max_value, seed, device

  def __call__(self, batch, step, augmented=True):
    """Returns the `tfae.data.pipeline.Batch` that the model sees.

    Args:
      batch: as `tfae.data.pipeline.Batches.gather` returns it.
      step: integer scalar, or a number of an evaluation's chunk.
      augmented: whether the images are augmented too; False: only corrupted, as in evaluation.
    """
    with tf.device(self._device):
      def key(purpose):
        return randomness.fold_in(randomness.stream(self._seed, purpose), step)
      images = batch.images
      if augmented:
        images = augment(images, key("augmentation"), self._augmentation)
      inputs = corrupt(images, key("corruption"), self._corruption, self._max_value)
      return batch._replace(images=images, inputs=inputs)

  @property
  def corrupts(self):
    """Whether inputs differ from images."""
    return self._corruption.name != "none"
