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
  try:
    lines = material.metrics
  except InputError as error:
    return str(error)
  return None if series(lines, value) else f"metrics.jsonl has no {value} yet" if value == "loss" \
      else f"metrics.jsonl has no {value}"


def _curve(value, title, label=None):
  return View(value, title, "training", functools.partial(_draw, value, label),
              (functools.partial(_logged, value),))


VIEWS = (
    _curve("loss", "loss of training, validation and test over the steps"),
    _curve("accuracy", "accuracy over the steps", "share of the images"),
    _curve("squared_error", "squared error of reconstructions over the steps",
           "squared error, mean over pixels"),
)
