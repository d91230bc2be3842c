"""The small sections of a config: placement, checkpoints, logging."""

import dataclasses

from tfae.errors import InputError, check_bool, check_int, check_number, set_fields, shown


@dataclasses.dataclass(frozen=True)
class Placement:
  """Which device each component is on: 'auto' (GPU:0 where there is one, else CPU:0) or a name."""
  encoder: str = "auto"
  decoder: str = "auto"
  data: str = "auto"
  latent: str = "auto"
  head: str = "auto"

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if not isinstance(value, str) or not value:
        raise InputError(f"placement.{field.name}={shown(value)}: expected 'auto' or a device name "
                         "such as '/GPU:0'.")


@dataclasses.dataclass(frozen=True)
class Checkpoints:
  """How often the run is saved: every `seconds`, at a new best, at the end.

  The newest `keep` stay, at least 2: one to fall back on if the newest is damaged.
  """
  seconds: float = 15.0
  keep: int = 3

  def __post_init__(self):
    set_fields(self, seconds=check_number("checkpoints.seconds", self.seconds, 0),
               keep=check_int("checkpoints.keep", self.keep, 2))


@dataclasses.dataclass(frozen=True)
class Logging:
  """What is written: a line every `steps` steps, a validation every `evaluate_epochs` epochs,
  TensorBoard events."""
  steps: int = 100
  evaluate_epochs: int = 1
  tensorboard: bool = True

  def __post_init__(self):
    set_fields(self, steps=check_int("logging.steps", self.steps, 1),
               evaluate_epochs=check_int("logging.evaluate_epochs", self.evaluate_epochs, 1))
    check_bool("logging.tensorboard", self.tensorboard)
