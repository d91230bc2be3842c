"""The config at the door: what a run is, every field checked before TensorFlow is imported."""

import dataclasses
import typing

import ml_collections
from ml_collections import config_dict

from tfae.data import datasets
from tfae.errors import InputError, check_choice, check_int, nearest, set_fields, shown
from tfae.specs import layers as layer_specs
from tfae.specs import memory
from tfae.specs.data import Data
from tfae.specs.distortions import Augmentation, Corruption
from tfae.specs.model import Model
from tfae.specs.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from tfae.specs.sections import Checkpoints, EarlyStopping, Logging, Placement, Transfer
from tfae.tasks import tasks
from tfae.tasks.reconstruct import Reconstruct
from tfae.tasks.task import Task

COMPUTE_DTYPES = ("float32", "bfloat16")
JIT_MODES = ("auto", "on", "off")
STRATEGIES = ("none", "mirrored", "multi_worker")

TASKS = tasks()
_EXAMPLES = {Data: "Data('mnist')", Model: "Model((tfae.Flatten(), tfae.Dense(8)))",
             Task: "Reconstruct()", Corruption: "Corruption('masking', 0.3)",
             Augmentation: "Augmentation(shift=2)", Optimizer: "tfae.Adam(1e-3)",
             Transfer: "Transfer('runs/s01:encoder')", EarlyStopping: "EarlyStopping(5)",
             Placement: "Placement('/GPU:0')", Checkpoints: "Checkpoints(seconds=60.0)",
             Logging: "Logging(steps=50)"}


@dataclasses.dataclass(frozen=True)
class Experiment:
  """One run, whole.

  epochs: passes over the training set.
  steps: if not 0, the run ends after this many steps instead.
  steps_per_loop: at most this many steps inside one call of the graph.
  jit_compile: 'on', 'off', or 'auto' (see `tfae.loop.choose_jit`).
  compute_dtype: 'float32', or 'bfloat16' with float32 weights, losses and updates.
  strategy: 'none', 'mirrored' (a replica on every local GPU, or CPU device) or 'multi_worker' (one
    on those of each process of TF_CONFIG), see `tfae.strategy`. Each replica takes a part of every
    batch; a run may go on with another strategy.
  """
  data: Data = Data()
  model: Model = dataclasses.field(default_factory=lambda: Model((layer_specs.Flatten(),
                                                                  layer_specs.Dense(8))))
  task: Task = Reconstruct()
  corruption: Corruption = Corruption()
  augmentation: Augmentation = Augmentation()
  optimizer: Optimizer = Adam()
  transfer: Transfer = Transfer()
  early_stopping: EarlyStopping = EarlyStopping()
  placement: Placement = Placement()
  checkpoints: Checkpoints = Checkpoints()
  logging: Logging = Logging()
  seed: int = 0
  batch_size: int = 100
  epochs: int = 5
  steps: int = 0
  steps_per_loop: int = 100
  jit_compile: str = "auto"
  compute_dtype: str = "float32"
  strategy: str = "none"

  def __post_init__(self):
    for field in dataclasses.fields(self):
      kind = typing.get_type_hints(Experiment)[field.name]
      value = getattr(self, field.name)
      if dataclasses.is_dataclass(kind) and not isinstance(value, kind):
        raise InputError(f"{field.name}={shown(value)}: expected an instance of "
                         f"tfae.experiment.{kind.__name__}, such as {_EXAMPLES[kind]}.")
    set_fields(self, seed=check_int("seed", self.seed, 0, 2**63 - 1),
               batch_size=check_int("batch_size", self.batch_size, 1),
               epochs=check_int("epochs", self.epochs, 1),
               steps=check_int("steps", self.steps, 0),
               steps_per_loop=check_int("steps_per_loop", self.steps_per_loop, 1, 100_000))
    check_choice("jit_compile", self.jit_compile, JIT_MODES)
    check_choice("compute_dtype", self.compute_dtype, COMPUTE_DTYPES)
    check_choice("strategy", self.strategy, STRATEGIES)
    self.task.check(self.model)
    if self.task.FROZEN_ENCODER:
      self._check_frozen_encoder()
    # 'auto' may turn out to be the same device: `tfae.loop.choose_jit` decides that.
    distinct = {name for name in dataclasses.astuple(self.placement) if name != "auto"}
    if self.jit_compile == "on" and len(distinct) > 1:
      raise InputError(f"jit_compile='on': XLA compiles for one device, the placement names "
                       f"{sorted(distinct)}. Use one device, or jit_compile='auto' or 'off'.")
    if self.strategy != "none" and distinct:
      raise InputError(f"strategy={self.strategy!r}: places every component on each of its "
                       f"devices; the placement names {sorted(distinct)}. Leave it 'auto'.")
    if self.strategy != "none" and self.task.FROZEN_ENCODER:
      raise InputError(f"strategy={self.strategy!r}: is not for task.name={self.task.name()!r}, "
                       "which trains a small head on codes. Use strategy='none'.")

  def _check_frozen_encoder(self):
    where = f"task.name={self.task.name()!r}"
    if not self.transfer.init_from:
      raise InputError(f"{where}: needs a trained encoder. Name the run that has one with "
                       "--init_from=WORKDIR:encoder, for a variational model --init_from=WORKDIR.")
    for section in ("corruption", "augmentation"):
      if getattr(self, section) != type(getattr(self, section))():
        raise InputError(f"{section}: has no effect on {where}, whose codes are computed once. "
                         "Leave it out, or use task.name='classify' with transfer.freeze=True.")


def load_data(experiment, data_dir=None):
  """Returns the `tfae.data.datasets.Dataset` of an experiment, which is checked against it.

  Raises:
    InputError: data that can't be had or read, images that the stacks can't take, or a batch
      larger than the training set.
  """
  data = datasets.load_config(experiment.data, data_dir, experiment.seed)
  check_fit(experiment, data)
  return data


def check_fit(experiment, data):
  """Raises InputError if a run of `experiment` on `data` is impossible on this machine.

  That is a batch larger than the training set, images without the labels that the task needs,
  stacks that can't take the images, or that need more memory than there is.
  """
  check_int("batch_size", experiment.batch_size, 1, len(data.train))
  task, where, optimizer = experiment.task, experiment.placement, experiment.optimizer
  if task.LABELS and not data.classes:
    raise InputError(f"task.name={task.name()!r}: needs labels, the data {data.name!r} have none. "
                     "Use data with labels, or task.name='reconstruct'.")
  experiment.early_stopping.check_data(data)
  experiment.augmentation.check_shape(data.train.images.shape[1:])
  plans = task.plans(experiment.model, data.train.images.shape[1:], data.classes)
  used = {plan.place for plan in plans.values()} | {"data"}
  for field in dataclasses.fields(Placement):
    if field.name not in used and getattr(where, field.name) != field.default:
      raise InputError(f"placement.{field.name}={getattr(where, field.name)!r}: there is no such "
                       f"component in task.name={task.name()!r}; there are "
                       f"{', '.join(sorted(used))}.")
  slots = bool(optimizer.momentum) if isinstance(optimizer, SGD) else 2
  itemsize = 2 if experiment.compute_dtype == "bfloat16" else 4
  weights, values, copies = 0, [0], max(plan.copies for plan in plans.values())
  for plan in plans.values():
    if memory.on_host(getattr(where, plan.place)):
      weights += memory.weight_bytes(plan.layers, plan.shapes, plan.shared)
      values.append(memory.value_bytes(plan.layers, plan.shapes,
                                       experiment.batch_size * plan.copies, itemsize))
  memory.check(weights * (1 + slots) + max(values),
               f"model with batch_size={experiment.batch_size}"
               f"{f', task.samples={copies}' if copies > 1 else ''}:",
               f"Use fewer units or filters, larger strides, {'fewer samples, ' * (copies > 1)}or "
               "a smaller batch_size.")


# What a second run in the same workdir may change; everything else is the run's identity.
FREE_FIELDS = ("epochs", "steps", "steps_per_loop", "jit_compile", "placement", "strategy",
               "checkpoints", "logging", "early_stopping")
# Where weights came from is not their identity: `tfae.transfer` compares the weights themselves.
# Nor is where images are: their checksum is compared.
_COMPARED_ELSEWHERE = ("transfer.init_from", "data.memory_map")


# Sections whose field `name` says which class they are, of which there are many.
_NAMED = {"task": (TASKS, Reconstruct.name()), "optimizer": (OPTIMIZERS, "adam")}


def default_config():
  """Returns a ConfigDict with every field and its default, for a config file to fill in.

  The fields of `task` and `optimizer` that stay None take the defaults of what is named there.
  """
  config = ml_collections.ConfigDict(_fields(Experiment(), leave=tuple(_NAMED)))
  for section, (table, default) in _NAMED.items():
    config[section] = ml_collections.ConfigDict({"name": default})
    for kind in table.values():
      types = typing.get_type_hints(kind)
      for field in dataclasses.fields(kind):
        if field.name not in config[section]:
          config[section][field.name] = config_dict.placeholder(types[field.name])
  config.model.encoder = ()
  return config.lock()


def _fields(section, leave=()):
  result = {}
  for field in dataclasses.fields(section):
    if field.name in leave:
      continue
    value = getattr(section, field.name)
    if dataclasses.is_dataclass(value):
      result[field.name] = ml_collections.ConfigDict(_fields(value))
    elif value is None:
      # An optional field, declared `kind | None`.
      kind, _ = typing.get_args(typing.get_type_hints(type(section))[field.name])
      result[field.name] = config_dict.placeholder(kind)
    else:
      result[field.name] = value
  return result


def from_config(config):
  """Returns the Experiment of a config (a ConfigDict or a dict of the same form).

  Raises:
    InputError: an unknown field (with the nearest name), or a value that is not allowed.
  """
  values = config.to_dict() if hasattr(config, "to_dict") else dict(config)
  values = _known("config", values, [f.name for f in dataclasses.fields(Experiment)])
  for field in dataclasses.fields(Experiment):
    kind = typing.get_type_hints(Experiment)[field.name]
    if field.name in values and dataclasses.is_dataclass(kind):
      section = values[field.name]
      if not isinstance(section, dict):
        raise InputError(f"config.{field.name}={shown(section)}: expected a section of fields.")
      values[field.name] = (_named(field.name, section) if field.name in _NAMED else kind(**_known(
          f"config.{field.name}", section, [f.name for f in dataclasses.fields(kind)])))
  return Experiment(**values)


def _known(where, values, names):
  for name in values:
    if name not in names:
      raise InputError(f"{where}.{name}: no such field.{nearest(name, names)}")
  return values


def _named(where, section):
  table, _ = _NAMED[where]
  section = {name: value for name, value in section.items() if value is not None}
  name = check_choice(f"{where}.name", section.pop("name", None), tuple(table))
  known = {field.name for field in dataclasses.fields(table[name])}
  for field in section:
    if field not in known:
      raise InputError(f"{where}.{field}={shown(section[field])}: {name} has no such field; it "
                       f"has {', '.join(sorted(known)) or 'none'}.")
  if name == "sgd" and "learning_rate" not in section:
    raise InputError("optimizer.learning_rate: sgd has no default. Set one, such as 0.01.")
  return table[name](**section)


def to_json(experiment):
  """Returns the experiment as JSON-ready values; `from_json` undoes it."""
  def plain(value):
    for table, _ in _NAMED.values():
      for name, kind in table.items():
        if kind is type(value):
          return {"name": name, **dataclasses.asdict(value)}
    if dataclasses.is_dataclass(value) and not isinstance(
        value, (layer_specs.Layer, layer_specs.Normal)):
      return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return layer_specs.to_json(value)
  return plain(experiment)


def from_json(values):
  """Returns the Experiment that `to_json` wrote; raises InputError for one it did not."""
  model = {name: layer_specs.from_json(value) for name, value in values["model"].items()}
  if "task" not in values:  # a run of tfae before there were tasks
    values = {**values, "task": {"name": "reconstruct", "loss": model.pop("loss")}}
  return from_config({**values, "model": model})


def flat(values, prefix=""):
  """Returns {'section.field': value} of an experiment's JSON values; a layer is one value."""
  if not isinstance(values, dict) or "type" in values:
    return {prefix[:-1]: values}
  return {k: v for name, item in values.items() for k, v in flat(item, f"{prefix}{name}.").items()}


def differences(old, new):
  """Returns 'field: old -> new' for each identity field in which two experiments' JSON differ.

  Fields that an older tfae did not write have their default.
  """
  old, new = flat(old), flat(new)
  defaults = flat(to_json(Experiment()))
  old = {**{name: defaults[name] for name in new if name in defaults}, **old}
  return [f"{name}: {old.get(name)!r} -> {new.get(name)!r}" for name in sorted({*old, *new})
          if name.split(".")[0] not in FREE_FIELDS and name not in _COMPARED_ELSEWHERE
          and old.get(name) != new.get(name)]
