"""Views of how training went: from metrics.jsonl alone."""

import functools

from tfae.errors import InputError
from tfae.figures import curves
from tfae.views.view import View

# Name of a curve: which lines of metrics.jsonl it is made of.
_KINDS = {"training": "train", "training, mean of the epoch": "epoch", "validation": "validation",
          "test": "test"}


def series(lines, value):
  """Returns {name: (steps, values)} of the curves of one value that metrics.jsonl knows.

  Args:
    lines: `tfae.workdir.read_metrics` returns them.
    value: such as "loss".
  """
  found = {}
  for name, kind in _KINDS.items():
    points = [(line["step"], line[value]) for line in lines
              if line["kind"] == kind and value in line]
    if points:
      found[name] = tuple(zip(*points))
  return found


def _draw(value, label, material):
  found = series(material.metrics, value)
  label = material.loss_unit if value == "loss" else label
  return curves.curves(found, "step", label, title=f"{value.replace('_', ' ').capitalize()} over "
                       f"{max(max(steps) for steps, _ in found.values()):,} steps")


def _logged(value, material):
  """The need of more than one step at which a value is known: one point is no curve."""
  try:
    found = series(material.metrics, value)
  except InputError as error:
    return str(error)
  steps = {step for curve, _ in found.values() for step in curve}
  if len(steps) > 1:
    return None
  return f"metrics.jsonl knows {value} at {len(steps)} step{'' if len(steps) == 1 else 's'} only"


def _curve(value, title, label=None):
  return View(value, title, "training", functools.partial(_draw, value, label),
              (functools.partial(_logged, value),))


VIEWS = (
    _curve("loss", "loss of training, validation and test over the steps"),
    _curve("accuracy", "accuracy over the steps", "share of the images"),
    _curve("squared_error", "squared error of reconstructions over the steps",
           "squared error, mean over pixels"),
)
