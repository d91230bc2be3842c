"""The small sections of a config: placement, checkpoints, logging, early stopping, transfer."""

import dataclasses

from tfae.errors import (InputError, check_bool, check_int, check_number, check_string,
                         set_fields, shown)

_MOST_FILMED = 20  # images
_MOST_PROJECTED = 10_000  # images: a sprite of them has less than the 8,192 pixels that browsers take


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
  """What a run writes of itself; none of it changes what is trained.

  steps: a line of metrics.jsonl every so many steps.
  evaluate_epochs: a validation every so many epochs, and at the last step.
  tensorboard: whether TensorBoard's events are written: the numbers of metrics.jsonl, and what
    the fields after `film` say.
  film: so many test images are in the film of a model that gives images back, see `tfae.film`; 0:
    no film. Images of other than 1 or 3 channels have none, here and in TensorBoard.
  image_epochs: test images over their reconstructions, every so many epochs; 0: none.
  histogram_epochs: histograms of the weights, and (on one replica) of the gradients of one batch,
    every so many epochs; 0: none.
  graph: the graph of the served model.
  hparams: the config, beside the final metrics of other runs.
  projector: the codes of so many test images, fewer if they are long, in the embedding projector,
    once the run is complete; 0: none.
  """
  steps: int = 100
  evaluate_epochs: int = 1
  tensorboard: bool = True
  film: int = 10
  image_epochs: int = 5
  histogram_epochs: int = 0
  graph: bool = True
  hparams: bool = True
  projector: int = 1000

  def __post_init__(self):
    set_fields(self, steps=check_int("logging.steps", self.steps, 1),
               evaluate_epochs=check_int("logging.evaluate_epochs", self.evaluate_epochs, 1),
               film=check_int("logging.film", self.film, 0, _MOST_FILMED),
               image_epochs=check_int("logging.image_epochs", self.image_epochs, 0),
               histogram_epochs=check_int("logging.histogram_epochs", self.histogram_epochs, 0),
               projector=check_int("logging.projector", self.projector, 0, _MOST_PROJECTED))
    for name in ("tensorboard", "graph", "hparams"):
      check_bool(f"logging.{name}", getattr(self, name))
    for name in ("image_epochs", "histogram_epochs", "graph", "hparams", "projector"):
      value = getattr(self, name)
      if not self.tensorboard and value and value != getattr(type(self), name):
        raise InputError(f"logging.{name}={value}: has no effect with logging.tensorboard=False.")


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
  """Ends the run once the validation loss has not fallen for `patience` evaluations in a row.

  Like the number of epochs this changes where a run ends and nothing before, so a second start may
  change it. The weights stay those of the last step; the best ones are the checkpoint 'best'.

  patience: evaluations of the validation set; 0: off.
  min_delta: by how much a loss must be lower than the lowest that counted, to count itself.

  Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.1.
  """
  patience: int = 0
  min_delta: float = 0.0

  def __post_init__(self):
    set_fields(self, patience=check_int("early_stopping.patience", self.patience, 0),
               min_delta=check_number("early_stopping.min_delta", self.min_delta, 0))
    if self.min_delta and not self.patience:
      raise InputError(f"early_stopping.min_delta={self.min_delta:g}: has no effect with "
                       "early_stopping.patience=0.")

  def check_data(self, data):
    """Raises InputError for data without the validation set that this looks at."""
    if self.patience and data.validation is None:
      raise InputError(f"early_stopping.patience={self.patience}: needs a validation set, the data "
                       f"{data.name!r} have none. Carve one with data.validation, or use "
                       "patience=0.")


@dataclasses.dataclass(frozen=True)
class Transfer:
  """Where the first weights come from, if not from initializers.

  Variables are moved by their names once, before step 0; the source is not looked at again.

  init_from: the folder of a run or a file NAME.npz (`tfae.save_weights`), and after a colon
    the first parts of the names to move, as in 'runs/s01:encoder'; empty: nothing is moved.
  exclude: patterns of names to leave out, with commas between them: 'head/*,*/bias' (as
    `fnmatch`: a '*' stands for slashes too).
  freeze: whether the components that were moved are left as they are by training.
  checkpoint: of the run: 'latest', 'best' or a step.
  """
  init_from: str = ""
  exclude: str = ""
  freeze: bool = False
  checkpoint: str = "latest"

  def __post_init__(self):
    for name in ("init_from", "exclude", "checkpoint"):
      check_string(f"transfer.{name}", getattr(self, name))
    check_bool("transfer.freeze", self.freeze)
    if self.checkpoint not in ("latest", "best") and not self.checkpoint.isdecimal():
      raise InputError(f"transfer.checkpoint={shown(self.checkpoint)}: expected 'latest', 'best' "
                       "or a step.")
    for field in dataclasses.fields(self):
      if not self.init_from and getattr(self, field.name) != field.default:
        raise InputError(f"transfer.{field.name}={shown(getattr(self, field.name))}: has no effect "
                         "without transfer.init_from.")
