"""tfae.specs.data: splits that make sense, and one clear line for those that don't."""

import hypothesis
import numpy as np
import pytest
from absl import flags
from hypothesis import strategies as st
from ml_collections import config_flags

import tfae
from tfae import experiment as experiments
from tfae.errors import InputError
from tfae.specs import data as specs
from tfae.specs.data import Data

POOLED = {"pool": True, "train_range": (0, 5), "test_range": (7, 9)}


@pytest.mark.parametrize("fields", [
    POOLED,
    {**POOLED, "validation_range": (5, 7), "labels_per_class": 1},
    {**POOLED, "train_range": (0, 10, 2), "test_range": (1, 10, 2)},
    {"train_range": (0, 60000, 10), "validation": 600, "stratify": True},
    {"train_range": (0, 5), "test_range": (0, 5)},  # of different parts
    {"validation_range": (3, 5)},
    {"fractions": (0.7, 0.2, 0.1), "stratify": True, "train_on": "validation"},
    {"fractions": (0.9, 0, 0.1), "pool": True},
    {"validation": 7, "train_on": "validation"},
    {"name": "images", "size": (64, 48)},
    {"name": "images", "size": (1, 4096), "channels": 1},
    {"name": "idx", "memory_map": "on"},
    {"name": "tfrecord", "size": (64, 48), "channels": 3},
    {"normal_classes": (3,), "validation": 5},
])
def test_splits_that_make_sense_are_taken_and_survive_json(fields):
  experiment = experiments.Experiment(data=Data(**fields))
  assert experiments.from_json(experiments.to_json(experiment)) == experiment


@pytest.mark.parametrize("fields, parts", [
    ({"pool": True}, ("data.pool=True", "data.train_range and data.test_range, or data.fractions")),
    ({"pool": True, "train_range": (0, 5)}, ("data.pool=True", "data.test_range")),
    ({"pool": 1}, ("data.pool=1", "True or False")),
    ({**POOLED, "validation_range": (4, 6)}, ("train_range=(0, 5)", "validation_range=(4, 6)",
                                             "image 4")),
    ({**POOLED, "test_range": (1, 9, 3)}, ("test_range=(1, 9, 3)", "image 1")),
    ({"train_range": (0, 10), "validation_range": (9, 12)}, ("image 9",)),
    ({"train_range": (5, 5)}, ("data.train_range=(5, 5)", "start < stop")),
    ({"train_range": (0, 5, 0)}, ("data.train_range=(0, 5, 0)", "step >= 1")),
    ({"train_range": (0,)}, ("data.train_range=(0,)", "(start, stop, step)")),
    ({"train_range": 5}, ("data.train_range=5", "(start, stop)")),
    ({"test_range": (-1, 5)}, ("data.test_range=-1", "0 to")),
    ({"test_range": (0, 2.5)}, ("data.test_range=2.5", "integer")),
    ({"fractions": (0.8, 0.1, 0.1), "validation": 5}, ("data.fractions", "data.validation=5")),
    ({"fractions": (0.8, 0.1, 0.1), "test_range": (0, 5)}, ("data.fractions", "data.test_range")),
    ({"fractions": (0.8, 0.1, 0.2)}, ("data.fractions=(0.8, 0.1, 0.2)", "sum to 1.1")),
    ({"fractions": (0.8, 0.2, 0.0)}, ("data.fractions", "test above 0")),
    ({"fractions": (0.0, 0.5, 0.5)}, ("data.fractions", "train and test above 0")),
    ({"fractions": (0.9, 0.1)}, ("data.fractions=(0.9, 0.1)", "(train, validation, test)")),
    ({"fractions": (1.2, -0.3, 0.1)}, ("data.fractions[0]=1.2", "<= 1")),
    ({"fractions": 0.8}, ("data.fractions=0.8",)),
    ({"validation": 5, "validation_range": (0, 5)}, ("data.validation=5", "validation_range")),
    ({"stratify": True}, ("data.stratify=True", "data.validation=0")),
    ({"stratify": True, **POOLED}, ("data.stratify=True", "no effect")),
    ({"train_on": "test"}, ("data.train_on='test'", "'train', 'validation'")),
    ({"train_on": "validation"}, ("data.train_on", "no validation set", "data.validation_range")),
    ({"train_on": "validation", "fractions": (0.9, 0, 0.1)}, ("no validation set",)),
    ({"labels_per_class": -1}, ("data.labels_per_class=-1",)),
    ({"labels_per_class": 2.0}, ("data.labels_per_class=2.0",)),
    ({"normal_classes": 3}, ("data.normal_classes=3", "a tuple of classes, such as (3,)")),
    ({"normal_classes": (-1,)}, ("data.normal_classes=-1", "0 to")),
    ({"normal_classes": (0.5,)}, ("data.normal_classes=0.5", "integer")),
    ({"name": "images"}, ("data.size=None", "(height, width)")),
    ({"name": "tfrecord"}, ("data.size=None: 'tfrecord' needs",)),
    ({"name": "images", "size": 64}, ("data.size=64", "(64, 64)")),
    ({"name": "images", "size": (0, 4)}, ("data.size[0]=0",)),
    ({"name": "images", "size": (4, 5000)}, ("data.size[1]=5000", "4096")),
    ({"name": "images", "size": (4, 4), "channels": 2}, ("data.channels=2", "1 (grey) or 3")),
    ({"name": "mnist", "size": (4, 4)}, ("data.size=(4, 4)", "'images' and 'tfrecord' only")),
    ({"name": "mnist", "channels": 1}, ("data.channels=1", "'images' and 'tfrecord' only")),
    ({"name": "mnist", "memory_map": "on"}, ("data.memory_map='on'", "'idx' only, not 'mnist'")),
    ({"name": "idx", "memory_map": True}, ("data.memory_map=True", "'auto', 'on', 'off'")),
    ({"name": "cifar"}, ("Did you mean 'cifar10'",)),
])
def test_splits_that_make_none_are_refused_by_field_and_value(fields, parts):
  with pytest.raises(InputError) as caught:
    Data(**fields)
  for part in parts:
    assert part in str(caught.value)
  assert "\n" not in str(caught.value)


def test_lists_and_numpys_numbers_are_as_good_as_tuples():
  assert Data(train_range=[np.int64(0), 5], fractions=None) == Data(train_range=(0, 5))
  assert Data(fractions=[np.float32(0.5), 0, 0.5]) == Data(fractions=(0.5, 0.0, 0.5))
  assert Data("images", size=[8, np.int32(9)]).size == (8, 9)
  assert Data(normal_classes=[np.uint8(7), 3, 3]) == Data(normal_classes=(3, 7))


def test_ranges_and_fractions_can_be_set_on_a_config_and_by_a_flag(monkeypatch):
  config = tfae.default_config()
  config.model.encoder = (tfae.Flatten(), tfae.Dense(2))
  config.data.pool = True
  config.data.train_range = (0, 25000)
  argv = ["program", "--config.data.test_range=(55000, 65000, 2)", "--config.data.channels=1",
          "--config.data.size=(8, 9)", "--config.data.name=images", "--config.data.normal_classes=(3,)"]
  monkeypatch.setattr("sys.argv", argv)  # where ml_collections looks for what is overridden
  values = flags.FlagValues()
  config_flags.DEFINE_config_dict("config", config, flag_values=values)
  values(argv)
  assert experiments.from_config(config).data == Data(
      name="images", pool=True, train_range=(0, 25000), test_range=(55000, 65000, 2), size=(8, 9),
      channels=1, normal_classes=(3,))


RANGES = st.builds(lambda start, length, step: range(start, start + length, step),
                   st.integers(0, 40), st.integers(1, 60), st.integers(1, 12))


@hypothesis.given(RANGES, RANGES)
def test_the_first_common_number_of_two_ranges_is_that_of_their_sets(a, b):
  assert specs._first_common(a, b) == min(set(a) & set(b), default=None)


def test_ranges_of_any_length_are_compared_at_once():
  with pytest.raises(InputError, match="image 2147483643 "):
    Data(pool=True, train_range=(3, 2**31 - 1, 2**31 - 8), test_range=(2**31 - 5, 2**31 - 1))
  Data(pool=True, train_range=(0, 2**31 - 2, 2), test_range=(1, 2**31 - 1, 2))
