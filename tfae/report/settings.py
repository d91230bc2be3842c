"""A config as its owner would write it: its fields, what differs from the default, a whole file."""

import dataclasses

from tfae import experiment as experiments
from tfae.specs.layers import Layer, Normal
from tfae.specs.optimizers import Optimizer
from tfae.tasks.task import Task

_MISSING = dataclasses.MISSING
_WITHOUT_DEFAULT = ("model.encoder",)  # a config starts with an empty one


@dataclasses.dataclass(frozen=True)
class Setting:
  """One field of a config: its dotted name, its value and its default as Python source.

  default: None where there is none, as for the learning rate of SGD.
  """
  name: str
  value: str
  default: str | None

  @property
  def changed(self):
    return self.value != self.default


def of(experiment, leave=()):
  """Returns the Settings of a `tfae.experiment.Experiment`, in its order.

  Args:
    experiment: the experiment.
    leave: sections that are left out.
  """
  found = []
  for field in dataclasses.fields(experiment):
    value, standard = getattr(experiment, field.name), _default(field)
    if field.name in leave:
      continue
    if not dataclasses.is_dataclass(value):
      found.append(Setting(field.name, source(value), source(standard)))
      continue
    if isinstance(value, (Task, Optimizer)):  # one class of several
      names = (experiments.to_json(section)["name"] for section in (value, standard))
      found.append(Setting(f"{field.name}.name", *map(source, names)))
    for inner in dataclasses.fields(value):
      name = f"{field.name}.{inner.name}"
      default = (getattr(standard, inner.name) if type(value) is type(standard)
                 else _default(inner))
      without = default is _MISSING or name in _WITHOUT_DEFAULT
      found.append(Setting(name, source(getattr(value, inner.name)),
                           None if without else source(default)))
  return found


def _default(field):
  return field.default if field.default_factory is _MISSING else field.default_factory()


def source(value):
  """Returns Python source that makes a value of a config: `tfae.Dense(8, activation='elu')`."""
  if isinstance(value, (Layer, Normal)):
    fields = dataclasses.fields(value)
    required = [getattr(value, f.name) for f in fields if _default(f) is _MISSING]
    # With what must be given alone: a layer makes (1, 1) of a stride of 1.
    standard = type(value)(*required)
    optional = [f"{f.name}={source(getattr(value, f.name))}" for f in fields
                if getattr(value, f.name) != getattr(standard, f.name)]
    return f"tfae.{type(value).__name__}({', '.join([*map(source, required), *optional])})"
  if isinstance(value, (tuple, list)):
    inner = [source(item) for item in value]
    return f"({', '.join(inner)}{',' * (len(inner) == 1)})"
  return repr(value)


def config_file(settings):
  """Returns the text of a config file for `tfae-train --config=` that equals the Settings."""
  lines = [f"  config.{setting.name} = {setting.value}" for setting in settings if setting.changed]
  return "\n".join(["import tfae", "", "", "def get_config():", "  config = tfae.default_config()",
                    *lines, "  return config", ""])
