"""What a run is trained for: the base of all tasks.

A task is a frozen dataclass, the section `task` of a config. It checks itself and the section
`model` in pure Python, plans the stacks, and makes the TensorFlow model of them. A new task is a
new file beside this one, named as the task; nothing else has to learn of it.
"""

import dataclasses
import typing

from tfae.errors import InputError, shown
from tfae.specs import layers as layer_specs
from tfae.specs import mirror
from tfae.specs.model import Model


class Plan(typing.NamedTuple):
  """A stack that is to be built.

  layers: its specs.
  shapes: the shapes between them, as `tfae.specs.layers.shapes` returns them.
  shared: {index of a layer: index of the encoder's layer whose kernel it shares}.
  place: which field of the section `placement` names its device.
  copies: how many inputs of an image it takes at a time.
  """
  layers: list
  shapes: list
  place: str
  shared: dict = {}
  copies: int = 1


@dataclasses.dataclass(frozen=True)
class Task:
  """Base of all tasks.

  USES: the fields of `tfae.specs.model.Model` that have an effect.
  LABELS: whether the images need labels.
  RECONSTRUCTS: whether the model gives images back.
  FROZEN_ENCODER: whether the encoder is moved from another run, and what it makes of the training
    images is computed once.
  """
  USES: typing.ClassVar[tuple] = ("encoder", "subtract_mean")
  LABELS: typing.ClassVar[bool] = False
  RECONSTRUCTS: typing.ClassVar[bool] = True
  FROZEN_ENCODER: typing.ClassVar[bool] = False

  @classmethod
  def name(cls):
    """Returns what the config calls it: the name of its file."""
    return cls.__module__.rpartition(".")[2]

  def check(self, model):
    """Raises InputError for a section `model` that can't be trained for this."""
    for field in dataclasses.fields(Model):
      value = getattr(model, field.name)
      if field.name not in self.USES and value != field.default:
        raise InputError(f"model.{field.name}={shown(value)}: has no effect on task.name="
                         f"{self.name()!r}. Leave it out, or choose another task.")

  def plans(self, model, image_shape, classes):
    """Returns {component: Plan} in the order of the forward pass.

    Args:
      model: a `tfae.specs.model.Model`.
      image_shape: (height, width, channels).
      classes: number of classes of the data, 0 without labels.

    Raises:
      InputError: layers that don't fit each other or the images.
    """
    raise NotImplementedError

  def build(self, stacks, **units):
    """Returns the `tfae.models.model.Model`.

    Args:
      stacks: {component: `tfae.Stack`}, as planned.
      **units: scale, mean and frozen, see `tfae.models.model.Model`.
    """
    raise NotImplementedError


def encoder_plan(model, image_shape):
  """Returns the Plan of the encoder."""
  return Plan(model.encoder, layer_specs.shapes(model.encoder, image_shape, "model.encoder"),
              "encoder")


def decoder_plan(model, image_shape, code_shape, mirrored=()):
  """Returns the Plan of the decoder: as it is written out, or the mirror image of the encoder.

  Args:
    model: a `tfae.specs.model.Model`.
    image_shape: what it must give.
    code_shape: what it takes.
    mirrored: layers after the encoder, to be undone too.
  """
  layers, name, shared = model.decoder, "model.decoder", {}
  if layers is None:
    undone = mirror.mirror((*model.encoder, *mirrored), image_shape, use_bias=model.decoder_bias,
                           output_activation=model.output_activation)
    layers, name = [pair.layer for pair in undone], "the mirrored model.encoder"
    if model.tied:
      shared = {i: pair.source for i, pair in enumerate(undone) if pair.source is not None
                and "kernel" in pair.layer.weights((1,) * 3)}
  shapes = layer_specs.shapes(layers, code_shape, name)
  if shapes[-1] != tuple(image_shape):
    raise InputError(f"model.decoder: ends in shape {shapes[-1]}, the images have "
                     f"{tuple(image_shape)}.")
  return Plan(layers, shapes, "decoder", shared)
