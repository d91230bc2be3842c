"""tfae.experiment: every field is checked at the door, and a run's identity survives JSON."""

import dataclasses
import json
import math
import pathlib
import subprocess
import sys

from hypothesis import given, settings, strategies as st
import ml_collections
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import machine
from tfae.errors import InputError
from tfae.tasks.variational import Variational

LAYERS = (tfae.Flatten(), tfae.Dense(8))

# Every field of default_config(), as a path.
FIELDS = [(name, inner) for name, value in ex.default_config().items()
          for inner in (value if isinstance(value, ml_collections.ConfigDict) else [None])]

HOSTILE = [None, True, False, -1, 0, 1, 2**31, 2**63, 10**400, -10**400, -0.5, 0.0, 0.5, 1e308,
           5e-324, math.nan, math.inf, -math.inf, "", "auto", "digits", "adam", "on", "\0",
           "naïve ☃ \ud800", "x" * 5000, b"bytes", (), [], {}, (tfae.Dense(3),), [tfae.Dense(3)],
           LAYERS, tfae.Dense, object(), 1j, np.int64(7), np.float32(0.25), np.float64("nan"),
           np.bool_(True), np.array([1, 2]), np.str_("on"), lambda: 1]


def config():
  values = ex.default_config().to_dict()
  values["model"]["encoder"] = LAYERS
  return values


def put(values, path, value):
  name, inner = path
  if inner is None:
    values[name] = value
  else:
    values[name][inner] = value
  return values


def refused_or_valid(values):
  """An InputError of one line, or an Experiment that goes through JSON unchanged."""
  try:
    experiment = ex.from_config(values)
  except InputError as error:
    assert "\n" not in str(error) and str(error)
    return None
  text = json.dumps(ex.to_json(experiment), allow_nan=False)
  assert ex.from_json(json.loads(text)) == experiment
  return experiment


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(filter(None, path)))
def test_a_hostile_value_in_any_field_is_refused_in_one_line_or_taken_whole(path):
  for value in HOSTILE:
    refused_or_valid(put(config(), path, value))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(
        st.text(max_size=5), inner, max_size=3), max_leaves=5)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(FIELDS), anything), min_size=1, max_size=4))
def test_whatever_stands_in_several_fields_nothing_but_input_error_comes_out(changes):
  values = config()
  for path, value in changes:
    if path[1] is None or isinstance(values[path[0]], dict):
      put(values, path, value)
  refused_or_valid(values)


@settings(max_examples=50)
@given(st.sampled_from([name for name, inner in FIELDS if inner]), anything)
def test_a_section_that_is_not_one_is_refused(name, value):
  experiment = refused_or_valid({**config(), name: value})
  assert experiment is None or isinstance(value, dict)


@pytest.mark.parametrize("path, value, named", [
    (("seed", None), -1, "seed=-1"),
    (("seed", None), 2**63, "seed=9223372036854775808"),
    (("batch_size", None), 0, "batch_size=0"),
    (("batch_size", None), 10.0, "batch_size=10.0"),
    (("batch_size", None), True, "batch_size=True"),
    (("epochs", None), 0, "epochs=0"),
    (("steps", None), -1, "steps=-1"),
    (("steps_per_loop", None), 0, "steps_per_loop=0"),
    (("jit_compile", None), "of", "Did you mean 'off'?"),
    (("compute_dtype", None), "float16", "compute_dtype='float16'"),
    (("data", "name"), "minst", "Did you mean 'mnist'?"),
    (("data", "validation"), -5, "data.validation=-5"),
    (("data", "stratify"), 1, "data.stratify=1: expected True or False"),
    (("data", "stratify"), True, "has no effect with data.validation=0"),
    (("model", "encoder"), (), "model.encoder=()"),
    (("model", "encoder"), (3,), "model.encoder=(3,)"),
    (("model", "decoder"), (), "model.decoder=()"),
    (("model", "decoder"), LAYERS, "tied=False"),
    (("model", "tied"), "yes", "model.tied='yes'"),
    (("model", "output_activation"), "sigmod", "Did you mean 'sigmoid'?"),
    (("task", "loss"), "mse", "expected one of 'mean_squared_error'"),
    (("placement", "encoder"), "", "placement.encoder=''"),
    (("placement", "data"), 0, "placement.data=0"),
    (("checkpoints", "seconds"), math.nan, "checkpoints.seconds=nan"),
    (("checkpoints", "seconds"), -1.0, "checkpoints.seconds=-1.0"),
    (("checkpoints", "keep"), 1, "checkpoints.keep=1"),  # one to fall back on
    (("logging", "steps"), 0, "logging.steps=0"),
    (("logging", "tensorboard"), "no", "logging.tensorboard='no'"),
    (("optimizer", "name"), "adm", "Did you mean 'adam'?"),
    (("optimizer", "name"), None, "optimizer.name=None"),
    (("optimizer", "learning_rate"), math.inf, "learning_rate=inf"),
    (("optimizer", "momentum"), 0.9, "adam has no such field"),
    (("optimizer", "weight_decay"), -0.1, "weight_decay=-0.1"),
])
def test_an_error_names_the_field_its_value_and_what_is_allowed(path, value, named):
  with pytest.raises(InputError) as error:
    ex.from_config(put(config(), path, value))
  assert named in str(error.value)


def test_combinations_that_contradict_each_other_are_refused():
  with pytest.raises(InputError, match="targets lie in"):
    ex.Experiment(model=ex.Model(LAYERS, subtract_mean=True),
                  task=ex.Reconstruct("binary_cross_entropy"))
  with pytest.raises(InputError, match="applies the sigmoid itself"):
    ex.Experiment(model=ex.Model(LAYERS, output_activation="sigmoid"),
                  task=ex.Reconstruct("binary_cross_entropy"))
  with pytest.raises(InputError, match="XLA compiles for one device"):
    ex.Experiment(jit_compile="on", placement=ex.Placement(encoder="/CPU:0", decoder="/CPU:1"))
  # The same device may hide behind 'auto': that is known where there are devices.
  ex.Experiment(jit_compile="on", placement=ex.Placement(encoder="/GPU:0"))


def test_an_unknown_field_is_refused_with_the_nearest_name():
  with pytest.raises(InputError, match=r"config\.batch_sise: no such field\. .*'batch_size'"):
    ex.from_config({**config(), "batch_sise": 3})
  with pytest.raises(InputError, match=r"config\.data\.nane: no such field\. Did you mean 'name'"):
    ex.from_config({"data": {"nane": "digits"}})
  locked = ex.default_config()
  with pytest.raises(AttributeError, match='Did you mean "batch_size"'):
    locked.batch_sise = 3


def test_the_library_refuses_a_section_of_another_type():
  for field in ("data", "model", "optimizer", "placement", "checkpoints", "logging"):
    with pytest.raises(InputError, match=f"{field}='auto': expected an instance of "):
      tfae.Experiment(**{field: "auto"})


def test_default_config_has_every_field_and_its_defaults():
  names = {field.name for field in dataclasses.fields(ex.Experiment)}
  values = ex.default_config()
  assert set(values) == names
  for section in ("data", "model", "placement", "checkpoints", "logging"):
    kind = {"data": ex.Data, "model": ex.Model, "placement": ex.Placement,
            "checkpoints": ex.Checkpoints, "logging": ex.Logging}[section]
    assert set(values[section]) == {field.name for field in dataclasses.fields(kind)}
  values.model.encoder = LAYERS
  assert ex.from_config(values) == ex.Experiment(model=ex.Model(LAYERS))


@pytest.mark.parametrize("optimizer", [
    tfae.SGD(0.1, 0.9, True, clip_norm=1.0), tfae.Adam(0.5, epsilon=1e-4, warmup_steps=3),
    tfae.RMSProp(epsilon_inside_root=True, schedule="cosine", final_fraction=0.1),
    tfae.Adadelta(weight_decay=0.01)])
def test_an_experiment_goes_through_json_unchanged(optimizer):
  experiment = ex.Experiment(
      data=ex.Data("mnist", 5000, True),
      model=ex.Model(encoder=(tfae.Conv2D(4, (3, 2), stride=2, activation="relu",
                                          kernel_initializer=tfae.Normal(0.02)),
                              tfae.MaxPool(2), tfae.Dropout(0.25), tfae.Flatten(), tfae.Dense(3)),
                     decoder=[tfae.Dense(784), tfae.Reshape((28, 28, 1))], tied=False),
      optimizer=optimizer, placement=ex.Placement("/GPU:0", "/GPU:1", "/CPU:0"), seed=2**63 - 1,
      batch_size=7, epochs=11, steps=13, steps_per_loop=17, compute_dtype="bfloat16")
  text = json.dumps(ex.to_json(experiment), allow_nan=False)
  assert ex.from_json(json.loads(text)) == experiment


def test_numbers_of_numpy_become_plain_ones():
  experiment = ex.Experiment(seed=np.int64(5), batch_size=np.uint8(3), data=ex.Data(
      "digits", np.int32(2)), checkpoints=ex.Checkpoints(np.float32(0.5), np.int16(4)))
  assert json.loads(json.dumps(ex.to_json(experiment)))["seed"] == 5


def test_only_what_changes_the_result_belongs_to_the_identity_of_a_run():
  base = ex.Experiment()
  free = ex.Experiment(epochs=9, steps=3, steps_per_loop=2, jit_compile="off",
                       placement=ex.Placement("/CPU:1"), checkpoints=ex.Checkpoints(1.0, 9),
                       logging=ex.Logging(1, 2, False),
                       early_stopping=ex.EarlyStopping(3, 0.1))
  assert ex.differences(ex.to_json(base), ex.to_json(free)) == []
  for was, now in ((ex.Data("idx"), ex.Data("idx", memory_map="on")), (base.data, base.data)):
    was = ex.to_json(ex.Experiment(data=was))
    del was["data"]["memory_map"], was["data"]["normal_classes"]  # before there were these fields
    assert ex.differences(was, ex.to_json(ex.Experiment(data=now))) == []
    one_class = ex.to_json(ex.Experiment(data=dataclasses.replace(now, normal_classes=(3,))))
    assert ex.differences(was, one_class) == ["data.normal_classes: [] -> [3]"]
  assert {field.name for field in dataclasses.fields(ex.Experiment)} - set(ex.FREE_FIELDS) == {
      "data", "model", "task", "corruption", "augmentation", "optimizer", "transfer", "seed",
      "batch_size", "compute_dtype"}
  other = ex.Experiment(seed=1, batch_size=7, optimizer=tfae.Adam(0.5), data=ex.Data("mnist"),
                        model=ex.Model((tfae.Flatten(), tfae.Dense(9))), compute_dtype="bfloat16")
  differing = ex.differences(ex.to_json(base), ex.to_json(other))
  assert [text.split(":")[0] for text in differing] == [
      "batch_size", "compute_dtype", "data.name", "model.encoder", "optimizer.learning_rate",
      "seed"]
  assert "optimizer.learning_rate: 0.001 -> 0.5" in differing
  sgd = ex.Experiment(optimizer=tfae.SGD(1e-3))
  assert "optimizer.name: 'adam' -> 'sgd'" in ex.differences(ex.to_json(base), ex.to_json(sgd))


def test_load_data_checks_batch_size_and_layers_against_the_images():
  data = ex.load_data(ex.Experiment(data=ex.Data("digits", 100), batch_size=1400))
  assert len(data.train) == 1400
  with pytest.raises(InputError, match="batch_size=1401: expected an integer from 1 to 1400"):
    ex.load_data(ex.Experiment(data=ex.Data("digits", 100), batch_size=1401))
  with pytest.raises(InputError, match=r"model.encoder\[0\]: .*Flatten"):
    ex.load_data(ex.Experiment(model=ex.Model((tfae.Dense(3),))))
  with pytest.raises(InputError, match="model.decoder: ends in shape"):
    ex.load_data(ex.Experiment(model=ex.Model(LAYERS, (tfae.Dense(63),), tied=False)))


def test_the_memory_that_is_needed_has_the_decoder_s_values_of_every_sample(monkeypatch):
  experiment = runs.experiment(
      model=ex.Model((tfae.Flatten(), tfae.Dense(5)), latent=2, tied=False),
      task=Variational(samples=7))
  # Encoder, mean, log variance, decoder; each weight has two slots of Adam.
  weights = (12 * 5 + 5) + 2 * (5 * 2 + 2) + (2 * 5 + 5) + (5 * 12 + 12)
  # What goes into the reshaping to an image and comes out, of 4 images with 7 codes each.
  needed = 4 * (3 * weights + 4 * 7 * (12 + 12))
  monkeypatch.setattr(machine, "memory_bytes", lambda: needed)
  ex.check_fit(experiment, runs.dataset())
  monkeypatch.setattr(machine, "memory_bytes", lambda: needed - 1)
  with pytest.raises(InputError, match="batch_size=4, task.samples=7: needs .*fewer samples"):
    ex.check_fit(experiment, runs.dataset())


def test_nothing_of_it_imports_tensorflow():
  done = subprocess.run(
      [sys.executable, "-c", "import sys, tfae, tfae.experiment as ex\n"
       "ex.load_data(ex.from_config({}))\nassert 'tensorflow' not in sys.modules"],
      env=runs.ENVIRONMENT, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
