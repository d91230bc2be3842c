"""From an experiment, or from a run's folder, to the model."""

import pathlib

import numpy as np

from tfae import placement
from tfae import workdir as workdirs
from tfae.checkpoint import restore_model
from tfae.errors import InputError
from tfae.models.autoencoder import Autoencoder
from tfae.network import Stack, mirror


def build(experiment, image_shape, max_value, *, train_images=None, devices=None):
  """Returns the `Autoencoder` of an experiment.

  Args:
    experiment: a `tfae.experiment.Experiment`.
    image_shape: (height, width, channels).
    max_value: largest pixel value; images are scaled by 1 / max_value.
    train_images: what the mean image is computed of; None: zeros, for a checkpoint to fill in.
    devices: a `tfae.placement.Devices`; None: those that the experiment names.

  Raises:
    InputError: layers that don't fit, or a device that does not exist.
  """
  config = experiment.model
  config.check_shapes(image_shape)
  if devices is None:
    where = experiment.placement
    devices = placement.Devices.resolve(where.encoder, where.decoder, where.data)
  common = {"seed": experiment.seed, "compute_dtype": experiment.compute_dtype}
  encoder = Stack(config.encoder, image_shape, device=devices.encoder, name="encoder", **common)
  if config.decoder is None:
    decoder = mirror(encoder, tied=config.tied, output_activation=config.output_activation,
                     use_bias=config.decoder_bias, device=devices.decoder)
  else:
    decoder = Stack(config.decoder, encoder.output_shape, device=devices.decoder, name="decoder",
                    **common)
  mean = None
  if config.subtract_mean:
    mean = (np.zeros(image_shape) if train_images is None
            else train_images.mean(axis=0, dtype=np.float64) / max_value)
  return Autoencoder(encoder, decoder, loss=config.loss, scale=1 / max_value, mean=mean)


def load_model(workdir, checkpoint="latest", device="auto"):
  """Returns (model of a run, its Experiment, config.json as a dict, step).

  Args:
    workdir: the run's folder.
    checkpoint: 'latest', 'best' or a step.
    device: where all its components go: devices are not part of a run.

  Raises:
    InputError: no run, one of `tfae.fit`, or no such checkpoint.
  """
  experiment, config = workdirs.read_config(workdir)
  if experiment is None:
    raise InputError(workdirs.BUILT_BY_HAND.format(workdir=str(workdir)))
  device = placement.canonical(device)
  devices = placement.Devices(device, device, device)
  model = build(experiment, tuple(config["data"]["image_shape"]), config["data"]["max_value"],
                devices=devices)
  step = restore_model(model, pathlib.Path(workdir) / "checkpoints", checkpoint)
  return model, experiment, config, step
