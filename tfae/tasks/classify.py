"""Classification: the head gives the logits of the classes."""

import dataclasses

from tfae.errors import InputError
from tfae.specs import layers as layer_specs
from tfae.tasks.task import Plan, Task, encoder_plan


@dataclasses.dataclass(frozen=True)
class Classify(Task):
  """Cross-entropy between the labels and the softmax of the head's output, in nats.

  With `model.latent` the encoder is that of a variational model: a Dense layer of so many units,
  the component `mean`, stands between it and the head.
  """
  USES = ("encoder", "latent", "head", "subtract_mean")
  LABELS = True
  RECONSTRUCTS = False

  def check(self, model):
    super().check(model)
    if not model.head:
      raise InputError("model.head=(): expected the layers from the code to one logit a class, "
                       "such as (tfae.Dense(10),), set in the config file.")
    if layer_specs.output_activation(model.head) != "linear":
      raise InputError(f"model.head: ends in {layer_specs.output_activation(model.head)!r}; the "
                       "softmax is applied by the task. Use activation='linear' in its last "
                       "layer.")

  def plans(self, model, image_shape, classes):
    plans = {"encoder": encoder_plan(model, image_shape)}
    if model.latent:
      layer = layer_specs.Dense(model.latent)
      shapes = layer_specs.shapes((*model.encoder, layer), image_shape,
                                  "model.encoder, model.latent")
      plans["mean"] = Plan([layer], shapes[-2:], "latent")
    *_, last = plans.values()
    return {**plans, "head": head_plan(model, last.shapes[-1], classes)}

  def build(self, stacks, **units):
    from tfae.models.classifier import Classifier  # not before the config was checked
    return self._joined(Classifier, stacks, units)

  @staticmethod
  def _joined(kind, stacks, units):
    # `mean` in the units is the mean image.
    return kind(stacks["encoder"], stacks["head"], mean_head=stacks.get("mean"), **units)


def head_plan(model, code_shape, classes):
  """Returns the Plan of the head; raises InputError if it does not end in one logit a class."""
  shapes = layer_specs.shapes(model.head, code_shape, "model.head")
  if shapes[-1] != (classes,):
    raise InputError(f"model.head: ends in shape {shapes[-1]}, the data have {classes} classes. "
                     f"Let it end in Dense({classes}).")
  return Plan(model.head, shapes, "head")
