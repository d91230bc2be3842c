"""The table of a model's layers from config.json alone: without TensorFlow, also of `tfae.fit`."""

import dataclasses
import math

from tfae.specs import layers as specs


@dataclasses.dataclass(frozen=True)
class Layer:
  """A row of the table.

  name: 'encoder/layer_1', as its variables are called.
  kind: 'Dense', or 'Branch (sum of 2)', whose layers follow it.
  activation: '' for none.
  shape: of its output, without the batch.
  parameters: of its own, trained or frozen; a shared kernel is its maker's.
  tied_to: name of the kernel that it shares, or ''.
  """
  name: str
  kind: str
  activation: str
  shape: tuple
  parameters: int
  tied_to: str


def of_experiment(experiment, data):
  """Returns the Layers of a `tfae.experiment.Experiment`; `data`: that section of config.json."""
  plans = experiment.task.plans(experiment.model, tuple(data["image_shape"]),
                                data.get("classes", 0))
  return [layer for name, plan in plans.items() for layer in _rows(
      name, plan.layers, plan.shapes,
      {i: f"encoder/layer_{source}/kernel" for i, source in plan.shared.items()})]


def of_description(description, image_shape):
  """Returns the Layers of a `tfae.models.model.Model.description`, as config.json has it.

  Raises:
    InputError: components that don't follow each other as those of tfae's own models do.
  """
  ends, before, found = {}, tuple(image_shape), []
  for name, value in description.items():
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value) or not value:
      continue  # another setting
    if name == "log_variance":  # of the same codes as the mean
      before = ends.get("encoder", before)
    layers = [specs.from_json(item) for item in value]
    shapes = specs.shapes(layers, before, name)
    tied = description.get("tied", {}).get(name, [])
    found += _rows(name, layers, shapes,
                   {i: kernel.split(":")[0] for i, kernel in enumerate(tied) if kernel})
    before = ends[name] = shapes[-1]
  return found


def _rows(path, layers, along, shared):
  for index, (layer, before, after) in enumerate(zip(layers, along, along[1:])):
    name, kind = f"{path}/layer_{index}", type(layer).__name__
    weights = {} if layer.branches else layer.weights(before)
    if index in shared:
      del weights["kernel"]
    if layer.branches:
      kind = f"{kind} ({layer.merge} of {len(layer.branches)})"
    function = getattr(layer, "activation", getattr(layer, "function", "linear"))
    yield Layer(name, kind, "" if function == "linear" else function, after,
                sum(map(math.prod, weights.values())), shared.get(index, ""))
    for number, (branch, inner) in enumerate(zip(layer.branches,
                                                 layer.paths(before) if layer.branches else ())):
      yield from _rows(f"{name}/branch_{number}", branch, inner, {})
