"""The config at the door: what a run is, every field checked before TensorFlow is imported."""

import dataclasses
import typing

import ml_collections
from ml_collections import config_dict

from tfae.data import datasets
from tfae.errors import (InputError, check_bool, check_choice, check_int, check_number, nearest,
                         shown)
from tfae.specs import layers as layer_specs
from tfae.specs import memory
from tfae.specs.losses import LOSSES
from tfae.specs.mirror import mirror
from tfae.specs.optimizers import OPTIMIZERS, SGD, Adam, Optimizer

COMPUTE_DTYPES = ("float32", "bfloat16")
JIT_MODES = ("auto", "on", "off")


def _set(section, **fields):
  """Sets fields of a frozen dataclass to what the checks made of them: NumPy's numbers, lists."""
  for name, value in fields.items():
    object.__setattr__(section, name, value)


@dataclasses.dataclass(frozen=True)
class Data:
  """Which images.

  name: 'digits' (embedded), 'mnist', or 'idx' (a folder, --data_dir).
  validation: number of images carved from the training set; 0: none.
  stratify: whether the validation set has the class shares of the training set.
  """
  name: str = "digits"
  validation: int = 0
  stratify: bool = False

  def __post_init__(self):
    check_choice("data.name", self.name, datasets.NAMES)
    _set(self, validation=check_int("data.validation", self.validation, 0))
    check_bool("data.stratify", self.stratify)
    if self.stratify and not self.validation:
      raise InputError("data.stratify=True: has no effect with data.validation=0.")


@dataclasses.dataclass(frozen=True)
class Model:
  """Which autoencoder.

  encoder: layer specs.
  decoder: layer specs, or None: the mirror image of the encoder.
  tied: whether the mirrored decoder shares the encoder's kernels.
  output_activation: of the mirrored decoder.
  decoder_bias: whether mirrored layers have biases; None: where the encoder's layer has one.
  loss: name of the loss.
  subtract_mean: whether the mean training image is subtracted from images and targets.
  """
  encoder: tuple = ()
  decoder: tuple | None = None
  tied: bool = True
  output_activation: str = "linear"
  decoder_bias: bool | None = None
  loss: str = "mean_squared_error"
  subtract_mean: bool = False

  def __post_init__(self):
    for name in ("encoder", "decoder"):
      value = getattr(self, name)
      if value is None and name == "decoder":
        continue
      if not isinstance(value, (tuple, list)) or not value or not all(
          isinstance(layer, layer_specs.Layer) for layer in value):
        raise InputError(f"model.{name}={shown(value)}: expected a non-empty tuple of layers such "
                         "as (tfae.Flatten(), tfae.Dense(64)), set in the config file.")
      _set(self, **{name: tuple(value)})
    check_bool("model.tied", self.tied)
    check_choice("model.output_activation", self.output_activation, layer_specs.ACTIVATIONS)
    if self.decoder_bias is not None:
      check_bool("model.decoder_bias", self.decoder_bias)
    check_choice("model.loss", self.loss, tuple(LOSSES))
    check_bool("model.subtract_mean", self.subtract_mean)
    if self.decoder is not None and (self.tied or self.output_activation != "linear"
                                     or self.decoder_bias is not None):
      raise InputError("model.tied, model.output_activation and model.decoder_bias belong to the "
                       "mirrored decoder. With model.decoder written out set tied=False and leave "
                       "the others at their defaults.")
    if LOSSES[self.loss].from_logits:
      if self.subtract_mean:
        raise InputError(f"model.subtract_mean=True: not with model.loss={self.loss!r}, whose "
                         "targets lie in [0, 1]. Use mean_squared_error or subtract_mean=False.")
      last = (self.output_activation if self.decoder is None
              else layer_specs.output_activation(self.decoder))
      if last != "linear":
        raise InputError(f"model.loss={self.loss!r}: takes logits and applies the sigmoid itself; "
                         f"the decoder ends in {last!r}. Use output_activation='linear'.")

  def check_shapes(self, image_shape):
    """Raises InputError if the stacks can't take images of `image_shape` and give them back.

    Returns:
      (layers, shapes between them, indices of the layers that share a kernel) of the encoder and
      of the decoder.
    """
    encoder = layer_specs.shapes(self.encoder, image_shape, "model.encoder")
    layers, name, shared = self.decoder, "model.decoder", ()
    if layers is None:
      mirrored = mirror(self.encoder, image_shape, output_activation=self.output_activation,
                        use_bias=self.decoder_bias)
      layers, name = [undone.layer for undone in mirrored], "the mirrored model.encoder"
      if self.tied:
        shared = [i for i, undone in enumerate(mirrored) if undone.source is not None]
    decoder = layer_specs.shapes(layers, encoder[-1], name)
    if decoder[-1] != tuple(image_shape):
      raise InputError(f"model.decoder: ends in shape {decoder[-1]}, the images have "
                       f"{tuple(image_shape)}.")
    return (self.encoder, encoder, ()), (layers, decoder, shared)


@dataclasses.dataclass(frozen=True)
class Placement:
  """Which device each component is on: 'auto' (GPU:0 where there is one, else CPU:0) or a name."""
  encoder: str = "auto"
  decoder: str = "auto"
  data: str = "auto"

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
    _set(self, seconds=check_number("checkpoints.seconds", self.seconds, 0),
         keep=check_int("checkpoints.keep", self.keep, 2))


@dataclasses.dataclass(frozen=True)
class Logging:
  """What is written: a line every `steps` steps, a validation every `evaluate_epochs` epochs,
  TensorBoard events."""
  steps: int = 100
  evaluate_epochs: int = 1
  tensorboard: bool = True

  def __post_init__(self):
    _set(self, steps=check_int("logging.steps", self.steps, 1),
         evaluate_epochs=check_int("logging.evaluate_epochs", self.evaluate_epochs, 1))
    check_bool("logging.tensorboard", self.tensorboard)


_EXAMPLES = {Data: "Data('mnist')", Model: "Model((tfae.Flatten(), tfae.Dense(8)))",
             Optimizer: "tfae.Adam(1e-3)", Placement: "Placement('/GPU:0')",
             Checkpoints: "Checkpoints(seconds=60.0)", Logging: "Logging(steps=50)"}


@dataclasses.dataclass(frozen=True)
class Experiment:
  """One run, whole.

  epochs: passes over the training set.
  steps: if not 0, the run ends after this many steps instead.
  steps_per_loop: at most this many steps inside one call of the graph.
  jit_compile: 'on', 'off', or 'auto' (see `tfae.loop.choose_jit`).
  compute_dtype: 'float32', or 'bfloat16' with float32 weights, losses and updates.
  """
  data: Data = Data()
  model: Model = dataclasses.field(default_factory=lambda: Model((layer_specs.Flatten(),
                                                                  layer_specs.Dense(8))))
  optimizer: Optimizer = Adam()
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

  def __post_init__(self):
    for field in dataclasses.fields(self):
      kind = typing.get_type_hints(Experiment)[field.name]
      value = getattr(self, field.name)
      if dataclasses.is_dataclass(kind) and not isinstance(value, kind):
        raise InputError(f"{field.name}={shown(value)}: expected an instance of "
                         f"tfae.experiment.{kind.__name__}, such as {_EXAMPLES[kind]}.")
    _set(self, seed=check_int("seed", self.seed, 0, 2**63 - 1),
         batch_size=check_int("batch_size", self.batch_size, 1),
         epochs=check_int("epochs", self.epochs, 1),
         steps=check_int("steps", self.steps, 0),
         steps_per_loop=check_int("steps_per_loop", self.steps_per_loop, 1, 100_000))
    check_choice("jit_compile", self.jit_compile, JIT_MODES)
    check_choice("compute_dtype", self.compute_dtype, COMPUTE_DTYPES)
    # 'auto' may turn out to be the same device: `tfae.loop.choose_jit` decides that.
    distinct = {name for name in dataclasses.astuple(self.placement) if name != "auto"}
    if self.jit_compile == "on" and len(distinct) > 1:
      raise InputError(f"jit_compile='on': XLA compiles for one device, the placement names "
                       f"{sorted(distinct)}. Use one device, or jit_compile='auto' or 'off'.")


def load_data(experiment, data_dir=None):
  """Returns the `tfae.data.datasets.Dataset` of an experiment, which is checked against it.

  Raises:
    InputError: data that can't be had or read, images that the stacks can't take, or a batch
      larger than the training set.
  """
  config = experiment.data
  data = datasets.load(config.name, data_dir, config.validation, experiment.seed, config.stratify)
  check_fit(experiment, data)
  return data


def check_fit(experiment, data):
  """Raises InputError if a run of `experiment` on `data` is impossible on this machine.

  That is a batch larger than the training set, stacks that can't take the images, or that need
  more memory than there is.
  """
  check_int("batch_size", experiment.batch_size, 1, len(data.train))
  stacks = experiment.model.check_shapes(data.train.images.shape[1:])
  optimizer, where = experiment.optimizer, experiment.placement
  slots = bool(optimizer.momentum) if isinstance(optimizer, SGD) else 2
  weights, values = 0, [0]
  for (layers, shapes, shared), device in zip(stacks, (where.encoder, where.decoder)):
    if memory.on_host(device):
      weights += memory.weight_bytes(layers, shapes, shared)
      values.append(memory.value_bytes(shapes, experiment.batch_size,
                                       2 if experiment.compute_dtype == "bfloat16" else 4))
  memory.check(weights * (1 + slots) + max(values),
               f"model with batch_size={experiment.batch_size}:",
               "Use fewer units or filters, larger strides, or a smaller batch_size.")


# What a second run in the same workdir may change; everything else is the run's identity.
FREE_FIELDS = ("epochs", "steps", "steps_per_loop", "jit_compile", "placement", "checkpoints",
               "logging")


def default_config():
  """Returns a ConfigDict with every field and its default, for a config file to fill in.

  The fields of `optimizer` that stay None take the defaults of the optimizer that is named.
  """
  config = ml_collections.ConfigDict(_fields(Experiment(), leave=("optimizer",)))
  config.optimizer = ml_collections.ConfigDict({"name": "adam"})
  for optimizer in OPTIMIZERS.values():
    for name, kind in typing.get_type_hints(optimizer).items():
      if name not in config.optimizer:
        config.optimizer[name] = config_dict.placeholder(kind)
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
      values[field.name] = (_optimizer(section) if kind is Optimizer else kind(**_known(
          f"config.{field.name}", section, [f.name for f in dataclasses.fields(kind)])))
  return Experiment(**values)


def _known(where, values, names):
  for name in values:
    if name not in names:
      raise InputError(f"{where}.{name}: no such field.{nearest(name, names)}")
  return values


def _optimizer(section):
  section = {name: value for name, value in section.items() if value is not None}
  name = check_choice("optimizer.name", section.pop("name", None), tuple(OPTIMIZERS))
  known = {field.name for field in dataclasses.fields(OPTIMIZERS[name])}
  for field in section:
    if field not in known:
      raise InputError(f"optimizer.{field}={shown(section[field])}: {name} has no such field; it "
                       f"has {', '.join(sorted(known))}.")
  if "learning_rate" not in section and name == "sgd":
    raise InputError("optimizer.learning_rate: sgd has no default. Set one, such as 0.01.")
  return OPTIMIZERS[name](**section)


def to_json(experiment):
  """Returns the experiment as JSON-ready values; `from_json` undoes it."""
  def plain(value):
    if isinstance(value, Optimizer):
      name = next(name for name, kind in OPTIMIZERS.items() if kind is type(value))
      return {"name": name, **dataclasses.asdict(value)}
    if isinstance(value, (Data, Model, Placement, Checkpoints, Logging, Experiment)):
      return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return layer_specs.to_json(value)
  return plain(experiment)


def from_json(values):
  """Returns the Experiment that `to_json` wrote; raises InputError for one it did not."""
  model = {name: layer_specs.from_json(value) for name, value in values["model"].items()}
  return from_config({**values, "model": model})


def differences(old, new):
  """Returns 'field: old -> new' for each identity field in which two experiments' JSON differ."""
  def flat(value, prefix=""):
    if not isinstance(value, dict) or "type" in value:
      return {prefix[:-1]: value}
    return {k: v for name, item in value.items() for k, v in flat(item, f"{prefix}{name}.").items()}
  old, new = flat(old), flat(new)
  return [f"{name}: {old.get(name)!r} -> {new.get(name)!r}" for name in sorted({*old, *new})
          if name.split(".")[0] not in FREE_FIELDS and old.get(name) != new.get(name)]
