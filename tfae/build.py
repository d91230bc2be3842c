"""From an experiment, or from a run's folder, to the model."""

import collections
import pathlib

import numpy as np

from tfae import placement
from tfae import workdir as workdirs
from tfae.checkpoint import restore_model
from tfae.data.distortion import Distortion
from tfae.errors import InputError
from tfae.network import Stack


def build(experiment, image_shape, max_value, *, classes=0, train_images=None, devices=None):
  """Returns the `tfae.models.model.Model` of an experiment.

  Args:
    experiment: a `tfae.experiment.Experiment`.
    image_shape: (height, width, channels).
    max_value: largest pixel value; images are scaled by 1 / max_value.
    classes: number of classes of the data, 0 without labels.
    train_images: what the mean image is computed of; None: zeros, for a checkpoint to fill in.
    devices: {place: full device name}; None: those that the experiment names.

  Raises:
    InputError: layers that don't fit, or a device that does not exist.
  """
  config = experiment.model
  if devices is None:
    devices = placement.resolve(experiment.placement)
  stacks = {}
  for name, plan in experiment.task.plans(config, image_shape, classes).items():
    stacks[name] = Stack(
        plan.layers, plan.shapes[0], device=devices[plan.place], name=name, seed=experiment.seed,
        compute_dtype=experiment.compute_dtype,
        kernels={i: stacks["encoder"].layers[source].kernel for i, source in plan.shared.items()})
  mean = None
  if config.subtract_mean:
    mean = (np.zeros(image_shape) if train_images is None
            else train_images.mean(axis=0, dtype=np.float64) / max_value)
  return experiment.task.build(stacks, scale=1 / max_value, mean=mean)


def distortion(experiment, max_value, device):
  """Returns the `Distortion` that an experiment's batches, which lie on `device`, go through."""
  return Distortion(experiment.corruption, experiment.augmentation, seed=experiment.seed,
                    max_value=max_value, device=device)


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
  device, data = placement.canonical(device), config["data"]
  model = build(experiment, tuple(data["image_shape"]), data["max_value"],
                classes=data.get("classes", 0), devices=collections.defaultdict(lambda: device))
  model.frozen |= frozenset(config.get("transfer", {}).get("frozen", ()))
  step = restore_model(model, pathlib.Path(workdir) / "checkpoints", checkpoint)
  return model, experiment, config, step
