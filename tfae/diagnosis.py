"""What went wrong in a run, by name: which images, which layer, which variable. Looked for once,
after the fact: the steps of training carry nothing for it."""

import logging
import typing

import numpy as np
import tensorflow as tf

from tfae import randomness
from tfae.evaluation import chunk_size, chunks
from tfae.specs import layers as specs

_LISTED = 5  # images named in a message
_MOST = 0.5  # share of a layer's units from which on they are worth a warning
_ENDS = {"relu": (0.0, np.inf), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # of the ranges
_APART = 0.1  # mean distance, in scaled units, of an output pixel that is stuck wrongly
_LIMIT = 1e-3  # a sigmoid or tanh unit this close to an end of its range passes next to no gradient
_LOSS_ALONE = "every layer's output is finite, the loss of the reconstruction is not"
_DIVERGED = 10  # times the first loss that an epoch's mean loss may be

_LOG = logging.getLogger(__name__)


class Fault(typing.NamedTuple):
  """text: what is not finite, in words; of_data: whether the images are to blame."""
  text: str
  of_data: bool = False


def of_images(images, rows, split):
  """Returns the Fault of images that hold NaN or infinite pixels, or None.

  Args:
    images: array `[n, ...]`, all of a split.
    rows: which of them to look at, integers.
    split: its name.
  """
  if not np.issubdtype(images.dtype, np.floating):
    return None
  bad = [int(row) for row in rows if not np.isfinite(images[row]).all()]
  if not bad:
    return None
  more = f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
  return Fault(f"the data are at fault: pixels that are not finite in {split} image "
               f"{', '.join(map(str, sorted(bad)[:_LISTED]))}{more} (counted from 0)", True)


def of_evaluation(model, split, name):
  """Returns the first Fault of an evaluation of `split`, called `name`, that was not finite.

  Looked for in the pixels, then in the weights as they are, then in each layer's output.
  """
  fault = of_images(split.images, range(len(split)), name) or of_variables(model)
  if not fault:
    found = (of_forward_pass(model, batch) for batch in chunks(split, chunk_size(model)))
    fault = next(filter(None, found), None)
  return fault or Fault(_LOSS_ALONE)


def of_variables(model):
  """Returns the Fault of the first trainable variable that is not finite, or None."""
  for variable in model.trainable:
    if not np.isfinite(variable.numpy()).all():
      return Fault(f"the first variable that is not finite is {_name(variable)}")
  return None


def of_forward_pass(model, batch, key=None):
  """Returns the Fault of the first layer whose output for a batch is not finite, or None.

  Args:
    model: a `tfae.models.model.Model`.
    batch: a `tfae.data.pipeline.Batch`.
    key: of the step, as `loss_and_gradients` takes it; None: no dropout.
  """
  for layer, output in model.outputs(batch, key):
    if not _finite(output):
      return Fault(f"the first output that is not finite is that of {layer.path} "
                   f"({type(layer.spec).__name__})")
  return None


def of_step(model, batch, seed, number):
  """Returns the first Fault of training step `number`, taken with the weights as they are.

  Args:
    model: a `tfae.models.model.Model`, as it was before the step.
    batch: the `tfae.data.pipeline.Batch`.
    seed: of the run.
    number: of the step, counted from 0.

  Returns:
    The first layer, in the order of the forward pass, whose output is not finite; else the loss;
    else the first variable, in the order of the backward pass, whose gradient is not; else the
    largest gradient. A kernel that the decoder shares counts as the encoder's.
  """
  key = randomness.fold_in(randomness.stream(seed, "training"), number)  # as `tfae.loop.Loop`
  with model.unmoved():
    fault = of_forward_pass(model, batch, key)
    if fault:
      return fault
    loss, gradients = model.loss_and_gradients(batch, key)
  if not _finite(loss):
    return Fault(_LOSS_ALONE)
  for variable, gradient in reversed(list(zip(model.trainable, gradients))):
    if not _finite(gradient):
      return Fault(f"every layer's output is finite; the first gradient that is not is that of "
                   f"{_name(variable)}")
  largest = [float(tf.reduce_max(tf.abs(gradient))) for gradient in gradients]
  at = int(np.argmax(largest))
  return Fault(f"every output and gradient is finite; the largest gradient, {largest[at]:.3g}, is "
               f"that of {_name(model.trainable[at])}")


class Stuck(typing.NamedTuple):
  """Units (indices of the last axis) of one layer that give the same extreme for every image."""
  path: str
  function: str
  stuck: int
  units: int


def stuck_units(model, split):
  """Returns a `Stuck` for every layer that ends in relu, sigmoid or tanh, in forward order.

  A relu unit is stuck (dead) if it is 0 at every position for every image; a sigmoid or tanh unit
  if it stays within .001 of one end of its range: next to no gradient passes either. Pixels may
  well be black in every image, so in the layer that makes the reconstruction a relu unit counts
  only where some target is positive, and with sigmoid or tanh a unit is a pixel, stuck only if the
  mean target is more than .1 away from where it stays.

  Args:
    model: a `tfae.models.model.Model`.
    split: a `tfae.data.datasets.Split`.
  """
  last = _last(model)
  low, high, positive, total = {}, {}, False, 0.0
  for batch in chunks(split, chunk_size(model)):
    for layer, output in model.outputs(batch):
      if _function(layer) in _ENDS:
        units = (len(batch.images), -1) if _makes_pixels(layer, last) else (-1, output.shape[-1])
        values = output.numpy().astype(np.float32).reshape(units)
        low[layer] = np.minimum(low.get(layer, np.inf), values.min(axis=0))
        high[layer] = np.maximum(high.get(layer, -np.inf), values.max(axis=0))
    target = model.normalised(batch.images).numpy().reshape(len(batch.images), -1)
    positive = positive | (target > 0).any(axis=0)
    total = total + target.sum(axis=0)
  result = []
  for layer in low:
    function = _function(layer)
    bottom, top = _ENDS[function]
    stuck = (high[layer] <= bottom + _LIMIT * (function != "relu")) | (low[layer] >= top - _LIMIT)
    if _makes_pixels(layer, last):
      stuck &= np.abs(np.where(low[layer] >= top - _LIMIT, top, bottom)
                      - total / len(split)) > _APART
    elif layer is last:
      stuck = stuck[positive.reshape(-1, len(stuck)).any(axis=0)]
    if len(stuck):
      result.append(Stuck(layer.path, function, int(stuck.sum()), len(stuck)))
  return result


def warn_of_stuck_units(model, split, name):
  """Logs a warning for each layer most of whose units are stuck for all of `split`, called `name`.
  """
  for found in stuck_units(model, split):
    share = found.stuck / found.units
    if share <= _MOST:
      continue
    state = "are zero" if found.function == "relu" else "are at one end of their range"
    _LOG.warning("%s: %d of %d %s units (%.0f%%) %s for every %s image and learn nothing more. A "
                 "lower learning rate, another initializer or %s may help.", found.path,
                 found.stuck, found.units, found.function, 100 * share, state, name,
                 "leaky_relu" if found.function == "relu" else "elu")


def warn_of_loss(step, first, epoch, worst, last):
  """Logs a warning if the loss grew, or did not fall from the first step of a run to its end.

  Args:
    step, first: the first step that was looked at, and the loss of its batch.
    epoch, worst: the epoch of the highest mean loss, and that.
    last: the mean loss of the last epoch.
  """
  if worst >= _DIVERGED * first > 0:
    _LOG.warning("the loss grew: %.3g at step %d, %.3g on average in epoch %d. A lower learning "
                 "rate or clip_norm=1 may help.", first, step, worst, epoch)
  elif step <= 1 and last >= first > 0:  # a resumed run may have nothing left to gain
    _LOG.warning("the loss did not fall: %.3g at step %d, %.3g on average in the last epoch. A "
                 "lower learning rate or clip_norm=1 may help.", first, step, last)


def _name(variable):
  return variable.name.removesuffix(":0")


def _finite(x):
  return bool(tf.reduce_all(tf.math.is_finite(x)))


def _makes_pixels(layer, last):
  return layer is last and _function(layer) != "relu"


def _function(layer):
  """Returns the name of the function that a layer ends with, None for one that has none."""
  return getattr(layer.spec, "activation", getattr(layer.spec, "function", None))


def _last(model):
  """Returns the layer whose values are the reconstruction, reshaped or not; None if none is."""
  if not model.makes_images:
    return None
  *_, stack = model.components.values()
  for layer in reversed(stack.layers):
    if not isinstance(layer.spec, (specs.Flatten, specs.Reshape)):
      return layer
  return None
