"""What the door lets through runs; what it refuses leaves nothing behind; nothing hangs."""

import collections
import contextlib
import math
import pathlib
import signal
import sys
import typing

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, training
from tfae import experiment as ex
from tfae.errors import InputError, LARGEST_FLOAT32, SMALLEST_FLOAT32
from tfae.specs import layers as layer_specs
from tfae.specs.optimizers import OPTIMIZERS

DATA = runs.dataset()
LAYERS = (tfae.Flatten(), tfae.Dense(3, activation="tanh"), tfae.Dense(2))
LIMIT_SECONDS = 300  # a safety net: a run here takes about half a second
MOST = 2**31 - 1


@contextlib.contextmanager
def not_hanging():
  signal.alarm(LIMIT_SECONDS)  # ends the process: a hang is inside TensorFlow, where nothing raises
  try:
    yield
  finally:
    signal.alarm(0)


def outcome(make, workdir):
  """'refused', 'stopped' or 'trained': all else is a fault of tfae.

  `make()` returns the Experiment. Whatever is refused has written nothing.
  """
  with not_hanging():
    try:
      result = training.train(make(), workdir, data=DATA)
    except InputError as error:
      assert "\n" not in str(error) and len(str(error)) < 800
      assert not workdir.exists(), f"refused after writing: {error}"
      return "refused"
    except training.NotFiniteError as error:
      assert "\n" not in str(error)
      return "stopped"
  assert all(np.isfinite(v).all() for v in runs.tensors(workdir).values()
             if np.ndim(v)), "a checkpoint that is not finite"
  assert result.signal is None  # from outside: says nothing about tfae
  assert math.isfinite(result.metrics["test"]["loss"])
  return "trained"


def values(**changes):
  """A config as a dict, small and fast, with 'section.field' changed."""
  config = ex.default_config().to_dict()
  config["model"]["encoder"] = LAYERS
  config.update(batch_size=4, steps=2, jit_compile="off")
  config["logging"].update(tensorboard=False)
  for path, value in changes.items():
    *section, field = path.split(".")
    (config[section[0]] if section else config)[field] = value
  return config


# Values at the ends of what is allowed, and how the run ends.
RUNS = {
    "every loop at its longest": ({"steps_per_loop": 100_000, "batch_size": 23}, "trained"),
    "endless epochs": ({"epochs": MOST}, "trained"),
    "largest seed": ({"seed": 2**63 - 1}, "trained"),
    "never saved": ({"checkpoints.seconds": 1e300, "checkpoints.keep": MOST}, "trained"),
    "always saved": ({"checkpoints.seconds": 5e-324}, "trained"),
    "never logged": ({"logging.steps": MOST, "logging.evaluate_epochs": MOST}, "trained"),
    "smallest rate": ({"optimizer.learning_rate": SMALLEST_FLOAT32}, "trained"),
    "largest rate": ({"optimizer.learning_rate": LARGEST_FLOAT32}, "stopped"),
    "smallest norm": ({"optimizer.clip_norm": SMALLEST_FLOAT32}, "trained"),
    "largest norm": ({"optimizer.clip_norm": LARGEST_FLOAT32}, "trained"),
    "largest decay": ({"optimizer.weight_decay": LARGEST_FLOAT32}, "stopped"),
    "smallest epsilon": ({"optimizer.epsilon": SMALLEST_FLOAT32}, "trained"),
    "largest epsilon": ({"optimizer.epsilon": LARGEST_FLOAT32}, "trained"),
    "beta1 next to 1": ({"optimizer.beta1": .9999999}, "trained"),
    "beta2 next to 1": ({"optimizer.beta2": .9999999}, "trained"),
    "warmup to the end": ({"optimizer.warmup_steps": 2}, "trained"),
    "warmup beyond the end": ({"optimizer.warmup_steps": MOST}, "refused"),
    "an epsilon that is none": ({"optimizer.epsilon": 0.0}, "refused"),
    "a rate that is zero": ({"optimizer.learning_rate": 5e-324}, "refused"),
    "a rate that is infinite": ({"optimizer.learning_rate": 1e300}, "refused"),
    # Was zero in float32, and so was every gradient: a run that learned nothing, in silence.
    "a norm that is zero": ({"optimizer.clip_norm": 1e-320}, "refused"),
    "a decay that is infinite": ({"optimizer.weight_decay": 1e39}, "refused"),
    "device with a newline": ({"placement.encoder": "/CPU:0\n"}, "refused"),
    "device with NUL": ({"placement.data": "/CPU:0\0"}, "refused"),
    "any device": ({"placement.decoder": "/CPU:*"}, "refused"),
    "device of unicode": ({"placement.data": "☃"}, "refused"),
    "device of no end": ({"placement.data": "/CPU:" + "9" * 5000}, "refused"),
    "an integer that can't be printed": ({"epochs": 10**5000}, "refused"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_value_at_the_end_of_its_range_runs_and_one_beyond_it_is_refused(name, tmp_path):
  changes, expected = RUNS[name]
  assert outcome(lambda: ex.from_config(values(**changes)), tmp_path / "run") == expected


def reshape(*sizes):
  return lambda: (tfae.Flatten(), tfae.Reshape(sizes), tfae.Flatten(), tfae.Dense(2))


def nested(depth):
  layers = (tfae.Dense(12),)
  for _ in range(depth):
    layers = (tfae.Branch((layers, ())),)
  return layers


def written_out(layers):
  """The fields of a model whose decoder is written out where a Branch can't be mirrored."""
  if not any(isinstance(layer, tfae.Branch) for layer in layers):
    return {}
  return {"decoder": (tfae.Dense(12), tfae.Reshape((4, 3, 1))), "tied": False}


# Layers, given as functions: what their constructors refuse is refused as well.
STACKS = {
    # Each of these ended the process, or hung, or filled the memory, before there was a limit.
    "a stride that crashes": (lambda: (tfae.Conv2DTranspose(1, 3, stride=(700, 1)),), "refused"),
    "a stride beyond int32": (lambda: (tfae.Conv2D(2, 3, stride=2**31),), "refused"),
    "a window that hangs": (lambda: (tfae.MaxPool(10**6), *LAYERS), "refused"),
    "a factor without end": (lambda: (tfae.Upsample(2**20), *LAYERS), "refused"),
    "too many axes": (reshape(*[1] * 300, 12), "refused"),
    "too many units": (lambda: (tfae.Flatten(), tfae.Dense(MOST)), "refused"),
    "more weights than memory": (lambda: (tfae.Flatten(), tfae.Dense(40_000), tfae.Dense(40_000),
                                          tfae.Dense(40_000), tfae.Dense(40_000),
                                          tfae.Dense(40_000)) * 20, "refused"),
    "too many filters": (lambda: (tfae.Conv2D(MOST, 3),), "refused"),
    "a kernel of 10^12": (lambda: (tfae.Conv2D(2, 10**6),), "refused"),
    "10,000 layers": (lambda: LAYERS + (tfae.Dense(2),) * 10_000, "refused"),
    "a spread of zero": (lambda: (tfae.Flatten(), tfae.Dense(
        2, kernel_initializer=tfae.Normal(5e-324))), "refused"),
    "a rate that drops all": (lambda: (tfae.Flatten(), tfae.Dropout(1 - 2.0**-53),
                                       tfae.Dense(2)), "refused"),
    "the largest stride": (lambda: (tfae.Conv2DTranspose(1, 3, stride=(256, 1)), *LAYERS),
                           "trained"),
    "a stride beyond the image": (lambda: (tfae.Conv2D(2, 3, stride=256), *LAYERS), "trained"),
    "a window beyond the image": (lambda: (tfae.MaxPool(256), *LAYERS), "trained"),
    "a kernel beyond the image": (lambda: (tfae.Conv2D(1, 200), *LAYERS), "trained"),
    "the most axes": (reshape(1, 1, 1, 1, 1, 1, 1, 12), "trained"),
    "the highest rate": (lambda: (tfae.Flatten(), tfae.Dropout(.9999999), tfae.Dense(2)),
                         "trained"),
    "branches in branches without end": (lambda: nested(1000), "refused"),
    "branches as deep as may be": (lambda: (tfae.Flatten(), *nested(16), tfae.Dense(2)), "trained"),
    "a branch of 10,000 layers": (lambda: (tfae.Branch(((tfae.Dropout(0.5),) * 10_000, ())),
                                           *LAYERS), "refused"),
    "a branch of too many units": (lambda: (tfae.Flatten(), tfae.Branch(((tfae.Dense(MOST),), ()),
                                                                        "concat")), "refused"),
    "more in a branch than memory": (lambda: (tfae.Flatten(), tfae.Branch(
        ((*[tfae.Dense(40_000)] * 400, tfae.Dense(2)), (tfae.Dense(2),)))), "refused"),
    "the smallest epsilon": (lambda: (tfae.Flatten(), tfae.Dense(2), tfae.BatchNorm(
        epsilon=SMALLEST_FLOAT32), tfae.Dense(2)), "trained"),
    "the largest epsilon": (lambda: (tfae.Flatten(), tfae.Dense(2), tfae.BatchNorm(
        epsilon=LARGEST_FLOAT32), tfae.Dense(2)), "trained"),
    "a momentum of zero": (lambda: (tfae.Flatten(), tfae.BatchNorm(0), tfae.Dense(2)), "trained"),
    "an infinite spread of weights": (lambda: (tfae.Flatten(), tfae.Dense(
        2, kernel_initializer=tfae.Normal(LARGEST_FLOAT32))), "stopped"),
}


@pytest.mark.parametrize("name", STACKS)
def test_layers_at_the_end_of_their_range_run_and_those_beyond_are_refused(name, tmp_path):
  layers, expected = STACKS[name]
  make = lambda: runs.experiment(model=ex.Model(layers(), **written_out(layers())), steps=2)
  assert outcome(make, tmp_path / "run") == expected


def test_a_model_larger_than_the_memory_is_refused_with_both_sizes_and_before_tensorflow():
  layers = (tfae.Flatten(), *[tfae.Dense(40_000)] * 400)
  with pytest.raises(InputError, match=r"batch_size=4: needs at least [\d,.]+ GiB of memory, this "
                                       r"machine has [\d,.]+ GiB\. Use fewer units"):
    ex.check_fit(runs.experiment(model=ex.Model(layers)), DATA)
  with pytest.raises(InputError, match="encoder: needs at least"):
    tfae.Stack(layers, (4, 3, 1))


@pytest.mark.parametrize("options", [
    {"epochs": math.nan}, {"steps": 10**30}, {"batch_size": -1}, {"seed": "0"},
    {"steps_per_loop": 0}, {"jit_compile": b"on"}, {"checkpoints": {"seconds": 3}},
    {"logging": None}])
def test_fit_refuses_a_hostile_option_and_writes_nothing(options, tmp_path):
  encoder = tfae.Stack(LAYERS, (4, 3, 1))
  ae = tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255)
  with not_hanging(), pytest.raises(InputError, match=f"{list(options)[0]}="):
    tfae.fit(ae, DATA, tfae.Adam(), workdir=tmp_path / "run", **{"batch_size": 4, **options})
  assert not (tmp_path / "run").exists()


# Names of folders


NAMES = {"unicode": "naïve ☃", "space": " a b ", "percent": "%s%d{b}", "dash": "-x",
         "newline": "a\nb", "quote": "a'\"b"}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_trained_in_resumed_and_loaded(name, tmp_path):
  workdir = tmp_path / NAMES[name]
  with not_hanging():
    training.train(runs.experiment(steps=2), workdir, data=DATA)
    assert training.train(runs.experiment(steps=3), workdir, data=DATA).step == 3
    assert build.load_model(workdir)[-1] == 3


@pytest.mark.parametrize("name", ["[a]", "a*", "a?", "a\\b", "a\0b", "a\ud800", "x" * 300,
                                  "y" * 5000, "loop/run", "file/run", "file"])
def test_a_folder_that_cannot_be_or_whose_checkpoints_would_not_be_found_is_refused(
    name, tmp_path):
  (tmp_path / "loop").symlink_to("loop")
  (tmp_path / "file").touch()
  before = sorted(tmp_path.iterdir())
  with not_hanging(), pytest.raises(InputError, match="workdir=.*([Cc]hoose|no run)") as error:
    training.train(runs.experiment(steps=2), tmp_path / name, data=DATA)
  assert "\n" not in str(error.value) and len(str(error.value)) < 600
  assert sorted(tmp_path.iterdir()) == before


# Everything at once


ints = st.sampled_from([-1, 0, 1, 2, 3, 255, 257, 100_000, MOST, 2**31, 10**5000])
floats = st.sampled_from([-1.0, -0.0, 0.0, 5e-324, 1e-46, 1e-39, SMALLEST_FLOAT32, 1e-30, 1e-8, 0.1,
                          0.5, 0.9999999, 1 - 2.0**-53, 1.0, 3.0, 1e30, LARGEST_FLOAT32, 1e39,
                          1e300, math.nan, math.inf])
bools = st.booleans()
odd = st.sampled_from([None, "", "\0", "☃", b"x", (), [], {}, 1j, np.float32(0.5), np.int64(2),
                       np.array([1.0, 2.0])])


def of(strategy):
  """Mostly of the right kind, so that some come through."""
  return st.one_of(strategy, strategy, strategy, strategy, odd)


small = st.sampled_from([1, 2, 3])
size = of(st.one_of(small, small, small, st.sampled_from([0, 64, 256, 257, 4097, 10**6, MOST])))
activation = of(st.sampled_from(layer_specs.ACTIVATIONS))
initializer = st.one_of(of(st.sampled_from(layer_specs.INITIALIZERS)),
                        floats.map(lambda x: ("Normal", x)))
part = st.sampled_from([SMALLEST_FLOAT32, 1e-3, 0.5, 0.9, 0.9999999, 0.0, 1.0, math.nan, None])
layer = st.one_of(
    st.tuples(st.just(tfae.Dense), st.fixed_dictionaries({"units": size}, optional={
        "activation": activation, "use_bias": of(bools), "kernel_initializer": initializer})),
    st.tuples(st.sampled_from([tfae.Conv2D, tfae.Conv2DTranspose]), st.fixed_dictionaries(
        {"filters": size, "kernel_size": size}, optional={
            "stride": size, "padding": of(st.sampled_from(["same", "valid"])),
            "activation": activation})),
    st.tuples(st.just(tfae.MaxPool), st.fixed_dictionaries({"size": size},
                                                           optional={"stride": size})),
    st.tuples(st.just(tfae.Upsample), st.fixed_dictionaries({"factor": of(small)})),
    st.tuples(st.just(tfae.Flatten), st.just({})),
    st.tuples(st.just(tfae.Activation), st.fixed_dictionaries({"function": activation})),
    st.tuples(st.just(tfae.Dropout), st.fixed_dictionaries({"rate": of(floats)})),
    st.tuples(st.just(tfae.BatchNorm), st.fixed_dictionaries({}, optional={
        "momentum": part, "epsilon": part, "scale": of(bools)})),
    st.tuples(st.just(tfae.LayerNorm), st.fixed_dictionaries({}, optional={"epsilon": part})))
# What a branch may hold whatever its input is, and now and then what fits none.
keeping = st.sampled_from([(tfae.BatchNorm, {}), (tfae.Activation, {"function": "tanh"}),
                           (tfae.Dropout, {"rate": 0.5}),
                           (tfae.Branch, {"branches": [[], [(tfae.BatchNorm, {})]]})])
branch = st.tuples(st.just(tfae.Branch), st.fixed_dictionaries(
    {"branches": st.lists(st.lists(keeping, max_size=2) | st.lists(layer, max_size=2) | odd,
                          min_size=1, max_size=3) | st.lists(st.lists(keeping, max_size=2),
                                                             min_size=1, max_size=3)},
    optional={"merge": st.sampled_from(["sum", "concat", "add"])}))
optimizer = st.one_of(
    st.fixed_dictionaries({"name": st.just(name)}, optional={
        field: of(bools if kind is bool else ints if kind is int else floats)
        for field, kind in typing.get_type_hints(rule).items()
        if field != "schedule"})
    for name, rule in OPTIMIZERS.items())
fields = st.fixed_dictionaries({}, optional={
    "seed": of(ints), "epochs": of(ints), "steps_per_loop": of(ints),
    "batch_size": of(st.sampled_from([1, 4, 23, 24])), "optimizer": optimizer,
    "compute_dtype": of(st.sampled_from(["float32", "bfloat16"])),
    "checkpoints.seconds": of(floats), "checkpoints.keep": of(ints), "logging.steps": of(ints),
    "logging.evaluate_epochs": of(ints), "model.tied": of(bools),
    "task.loss": of(st.sampled_from(["mean_squared_error", "sum_squared_error",
                                      "binary_cross_entropy"])),
    "model.output_activation": activation, "model.subtract_mean": of(bools),
    "model.decoder_bias": of(bools)})


def built(layers):
  """Layer specs of (class, arguments); raises InputError, as a config file would."""
  result = []
  for kind, arguments in layers:
    given_initializer = arguments.get("kernel_initializer")
    if isinstance(given_initializer, tuple) and given_initializer:
      arguments = {**arguments, "kernel_initializer": tfae.Normal(given_initializer[1])}
    if kind is tfae.Branch and isinstance(arguments["branches"], list):
      arguments = {**arguments, "branches": [built(part) if isinstance(part, list) else part
                                             for part in arguments["branches"]]}
    result.append(kind(**arguments))
  return tuple(result)


def run_random_values(tmp_path, examples, most_layers):
  """Runs values of at most three fields at once: with more, hardly any would pass the door."""
  counted = collections.Counter()

  @settings(max_examples=examples)
  @given(changes=fields.map(lambda changes: dict(list(changes.items())[:3])),
         layers=st.lists(st.one_of(layer, layer, layer, branch), max_size=most_layers))
  def run(changes, layers):
    def make():
      if not layers:
        return ex.from_config(values(**changes))
      encoder = (*built(layers), tfae.Flatten(), tfae.Dense(2))
      decoder = {f"model.{field}": value for field, value in written_out(encoder).items()}
      # What belongs to a mirrored decoder is refused beside one that is written out.
      kept = {path: value for path, value in changes.items()
              if not decoder or path not in ("model.output_activation", "model.decoder_bias")}
      return ex.from_config(values(**{"model.encoder": encoder, **kept, **decoder}))

    counted[outcome(make, tmp_path / str(counted.total()))] += 1

  run()
  print(dict(counted))
  # Both sides of the door were reached.
  assert counted["trained"] and counted["refused"]


def test_whatever_comes_through_the_door_trains(tmp_path):
  run_random_values(tmp_path, 60, 2)


@pytest.mark.full
def test_whatever_comes_through_the_door_trains_many_times(tmp_path):
  run_random_values(tmp_path, 400, 3)
