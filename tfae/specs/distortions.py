"""The sections `corruption` and `augmentation` of a config: what is done to training images.

Augmented images are what a model is to give back; corrupted ones are what its encoder sees.
"""

import dataclasses

from tfae.errors import InputError, check_bool, check_choice, check_float32, check_int, set_fields

CORRUPTIONS = ("none", "masking", "gaussian", "salt_and_pepper")
LARGEST_SIGMA = 10_000  # pixels; a window of 8 of them is computed


@dataclasses.dataclass(frozen=True)
class Corruption:
  """Noise on the encoder's input; the loss looks at the clean image.

  Source: Vincent et al. 2010, "Stacked denoising autoencoders", section 3.3. As there the noise is
  drawn for each value by itself, so the channels of a pixel are corrupted independently, and
  Gaussian noise is not clipped: inputs may leave the range of the images. Unlike there a value is
  hit independently of the others, so that the share of corrupted values varies with the image.

  name: 'none'; 'masking': a value becomes 0; 'salt_and_pepper': it becomes 0 or the dataset's
    largest value, half each; 'gaussian': a normal number is added to every value.
  rate: probability that a value is hit, between 0 and 1; of masking and salt_and_pepper.
  stddev: standard deviation where images are scaled to [0, 1]; of gaussian.
  rescale: whether the values that masking left are multiplied by 1 / (1 - rate), which keeps
    their mean (dropout on the input: Srivastava et al. 2014, section 10).

  Raises:
    InputError: a field that is not allowed, is missing, or has no effect with `name`.
  """
  name: str = "none"
  rate: float = 0.0
  stddev: float = 0.0
  rescale: bool = False

  def __post_init__(self):
    check_choice("corruption.name", self.name, CORRUPTIONS)
    set_fields(self, rate=check_float32("corruption.rate", self.rate, 0, 1, below=True),
               stddev=check_float32("corruption.stddev", self.stddev))
    check_bool("corruption.rescale", self.rescale)
    uses = {"none": (), "masking": ("rate", "rescale"), "gaussian": ("stddev",),
            "salt_and_pepper": ("rate",)}[self.name]
    for field in ("rate", "stddev", "rescale"):
      if getattr(self, field) and field not in uses:
        names = {"rate": "'masking' or 'salt_and_pepper'", "stddev": "'gaussian'",
                 "rescale": "'masking'"}[field]
        raise InputError(f"corruption.{field}={getattr(self, field)!r}: has no effect with "
                         f"corruption.name={self.name!r}. Use name={names}, or leave it out.")
    if uses and not getattr(self, uses[0]):
      raise InputError(f"corruption.name={self.name!r}: changes nothing with {uses[0]}=0.0. Give "
                       f"corruption.{uses[0]}, such as 0.3, or use name='none'.")


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Random changes of training images that leave what they show: another one at each step.

  They are done in this order, and what comes in from outside an image is 0.

  flip: whether an image is mirrored, left to right, with probability 1/2.
  rotate: degrees; the angle is uniform in [-rotate, rotate], about the centre.
  shift: pixels; down and to the right by whole numbers that are uniform in [-shift, shift].
  elastic_alpha: pixels; scales a field of displacements, each uniform in [-1, 1) and then smoothed
    by a Gaussian (Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural
    networks", section 2). Away from the edges a displacement has standard deviation
    elastic_alpha / (elastic_sigma * sqrt(12 pi)). Their values for digits: 34 and 4.
  elastic_sigma: pixels; standard deviation of that Gaussian.

  Raises:
    InputError: a field that is not allowed or has no effect.
  """
  shift: int = 0
  rotate: float = 0.0
  elastic_alpha: float = 0.0
  elastic_sigma: float = 4.0
  flip: bool = False

  def __post_init__(self):
    set_fields(self, shift=check_int("augmentation.shift", self.shift, 0),
               rotate=check_float32("augmentation.rotate", self.rotate, 0, 180),
               elastic_alpha=check_float32("augmentation.elastic_alpha", self.elastic_alpha),
               elastic_sigma=check_float32("augmentation.elastic_sigma", self.elastic_sigma, 0,
                                           LARGEST_SIGMA, above=True))
    check_bool("augmentation.flip", self.flip)
    if self.elastic_sigma != Augmentation.elastic_sigma and not self.elastic_alpha:
      raise InputError(f"augmentation.elastic_sigma={self.elastic_sigma!r}: has no effect with "
                       "elastic_alpha=0.0. Give an elastic_alpha, such as 34.0, or leave it out.")

  def check_shape(self, image_shape):
    """Raises InputError if a shift could leave nothing of an image `(height, width, channels)`."""
    smallest = min(image_shape[:2])
    if self.shift >= smallest:
      raise InputError(f"augmentation.shift={self.shift}: could move all of an image of "
                       f"{image_shape[0]} x {image_shape[1]} pixels out of sight. Use at most "
                       f"{smallest - 1}.")
