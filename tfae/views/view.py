"""What a view is, and the reasons why one may not apply to a run."""

import dataclasses
import typing

from tfae.views.material import Material

SECTIONS = ("data", "training", "results", "codes", "inside", "anomaly")


@dataclasses.dataclass(frozen=True)
class View:
  """One picture of a run.

  Attributes:
    name: of its file and of --only: lower case, underscores.
    title: one line, what it shows.
    section: one of SECTIONS.
    draw: from a `Material` to a matplotlib Figure, an image array (floats in [0, 1] `[height,
      width, 1 or 3]`) or the text of an SVG. Raises InputError for what can't be drawn.
    needs: functions from a `Material` to None, or why the view does not apply, in words.
    asked: whether it is drawn only where it is asked for by name.
  """
  name: str
  title: str
  section: str
  draw: typing.Callable[[Material], object]
  needs: tuple
  asked: bool = False

  def reason(self, material):
    """Returns None, or why the view does not apply to a run: a line without a full stop."""
    for need in self.needs:
      reason = need(material)
      if reason:
        return reason.rstrip(".")
    return None


def has(name):
  """Returns the need of an attribute of the material."""
  return lambda material: material.reason(name)


def labels(material):
  """The need of labels."""
  reason = material.reason("labels")
  if reason or material.labels is not None:
    return reason
  if material.without_data:
    return f"there are no labels: {material.without_data}"
  return "the images have no labels"


def reconstructs(material):
  """The need of a task that gives images back; asked before a model is loaded."""
  if material.experiment is None or material.experiment.task.RECONSTRUCTS:
    return material.reason("model")
  return f"task.name={material.task!r} gives no images back"


def classifies(material):
  """The need of a task that gives classes."""
  if material.experiment is None or material.experiment.task.LABELS:
    return material.reason("model")
  return f"task.name={material.task!r} gives no classes"


def variational(material):
  """The need of codes with a distribution."""
  if material.experiment is None or material.task == "variational":
    return material.reason("model")
  return f"task.name={material.task!r}: only variational codes have a distribution and a prior"


def corrupts(material):
  """The need of a run that undoes a corruption."""
  return None if material.corrupts else "nothing is corrupted (corruption.name='none')"


def several(number):
  """Returns the need of at least `number` images."""
  def need(material):
    reason = material.reason("images")
    if not reason and len(material.images) < number:
      reason = f"needs {number} images, there are {len(material.images)}"
    return reason
  return need
