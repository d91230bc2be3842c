"""The curves of a run that the catalogue of views does not have: how fast, how far, how steep."""

from tfae.errors import InputError
from tfae.report.pictures import Picture, encoded

# Field of the train lines: title, the y axis.
_FIELDS = {
    "learning_rate": ("learning rate over the steps", "learning rate"),
    "gradient_norm": ("norm of the gradient over the steps, of every last step before a line",
                      "Euclidean norm over all variables"),
    "images_per_second": ("speed of training over the steps", "images a second"),
    "input_wait": ("waiting for input over the steps", "share of the time"),
}


def draw(facts):
  """Returns the `tfae.report.pictures.Picture`s of what `tfae.report.facts.Facts` have lines of."""
  from tfae.figures import curves
  found = []
  for name, (title, label) in _FIELDS.items():
    steps, values = facts.series("train", name)
    if not steps:
      continue
    try:
      figure = curves.curves({name.replace("_", " "): (steps, values)}, "step", label)
      found.append(Picture(name, title, "training", encoded(figure)))
    except InputError as error:  # no finite value
      found.append(Picture(name, title, "training", error=str(error)))
  return tuple(found)
