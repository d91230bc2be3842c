"""Optimizer specs refuse what cannot be meant, in one line, without TensorFlow."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from tfae import errors
from tfae.specs import losses, optimizers

Adadelta, Adam, RMSProp, SGD = (optimizers.Adadelta, optimizers.Adam, optimizers.RMSProp,
                                optimizers.SGD)


def test_defaults_are_those_of_the_papers_and_tutorials():
  assert dataclasses.astuple(Adam()) == ("constant", 0, 0.0, 0.0, 0.0, 1e-3, 0.9, 0.999, 1e-8)
  assert (Adadelta().learning_rate, Adadelta().rho, Adadelta().epsilon) == (1.0, 0.95, 1e-8)
  assert (RMSProp().rho, RMSProp().epsilon, RMSProp().epsilon_inside_root) == (0.9, 1e-7, False)
  assert (SGD(0.1).momentum, SGD(0.1).nesterov) == (0.0, False)


def test_the_learning_rate_is_the_first_positional_argument_and_shared_fields_are_keywords():
  assert Adam(0.5, 0.8).learning_rate == 0.5 and Adam(0.5, 0.8).beta1 == 0.8
  assert Adam(0.5, clip_norm=2).clip_norm == 2.0
  with pytest.raises(TypeError):
    SGD()  # gradient descent has no rate that is right by default
  with pytest.raises(TypeError):
    SGD(0.1, 0.9, False, "cosine")


@pytest.mark.parametrize("make, named", [
    (lambda: Adam(math.nan), "Adam.learning_rate=nan"),
    (lambda: Adam(math.inf), "Adam.learning_rate=inf"),
    (lambda: Adam(-1e-3), "Adam.learning_rate=-0.001"),
    (lambda: Adam(0), "Adam.learning_rate=0"),
    (lambda: Adam("1e-3"), "Adam.learning_rate='1e-3'"),
    (lambda: Adam(True), "Adam.learning_rate=True"),
    (lambda: Adam(beta1=1), "Adam.beta1=1"),
    (lambda: Adam(beta2=-0.1), "Adam.beta2=-0.1"),
    (lambda: Adam(beta2=0.99999999), "Adam.beta2=0.99999999"),
    (lambda: Adam(epsilon=0), "Adam.epsilon=0"),
    (lambda: Adam(epsilon=1e-45), "Adam.epsilon=1e-45"),
    (lambda: RMSProp(rho=1.5), "RMSProp.rho=1.5"),
    (lambda: RMSProp(momentum=None), "RMSProp.momentum=None"),
    (lambda: RMSProp(epsilon_inside_root=1), "RMSProp.epsilon_inside_root=1"),
    (lambda: Adadelta(rho=math.nan), "Adadelta.rho=nan"),
    (lambda: SGD(0.1, momentum=1.0), "SGD.momentum=1.0"),
    (lambda: SGD(0.1, 0.9, nesterov="yes"), "SGD.nesterov='yes'"),
    (lambda: SGD(0.1, nesterov=True), "SGD.nesterov=True"),
    (lambda: Adam(schedule="cosin"), "Adam.schedule='cosin'"),
    (lambda: Adam(warmup_steps=-1), "Adam.warmup_steps=-1"),
    (lambda: Adam(warmup_steps=1.5), "Adam.warmup_steps=1.5"),
    (lambda: Adam(schedule="cosine", final_fraction=1.1), "Adam.final_fraction=1.1"),
    (lambda: Adam(final_fraction=0.1), "Adam.final_fraction=0.1"),
    (lambda: Adam(clip_norm=-1), "Adam.clip_norm=-1"),
    (lambda: Adam(weight_decay=math.inf), "Adam.weight_decay=inf"),
])
def test_a_wrong_field_is_refused_with_its_name_and_value_in_one_line(make, named):
  with pytest.raises(errors.InputError) as raised:
    make()
  message = str(raised.value)
  assert message.startswith(named + ":") and "\n" not in message


def test_a_misspelt_schedule_is_answered_with_the_nearest():
  with pytest.raises(errors.InputError, match="Did you mean 'cosine'"):
    Adam(schedule="cosin")


def test_numbers_of_any_type_become_plain_ones_so_that_json_says_the_same():
  numpy = pytest.importorskip("numpy")
  spec = Adam(numpy.float32(0.5), warmup_steps=numpy.int64(3), clip_norm=1)
  assert json.loads(json.dumps(dataclasses.asdict(spec)))["learning_rate"] == 0.5
  assert (type(spec.learning_rate), type(spec.warmup_steps), type(spec.clip_norm)) == (
      float, int, float)


def test_specs_are_frozen_and_equal_by_value():
  assert Adam(1e-3) == Adam() and hash(Adam(1e-3)) == hash(Adam())
  assert Adam(1e-3) != RMSProp(1e-3)
  with pytest.raises(dataclasses.FrozenInstanceError):
    Adam().learning_rate = 1.0


def test_the_registry_makes_each_rule_by_name():
  made = {name: rule(learning_rate=0.1) for name, rule in optimizers.OPTIMIZERS.items()}
  assert {name: type(spec).__name__.lower() for name, spec in made.items()} == {
      name: name for name in ("sgd", "adam", "rmsprop", "adadelta")}


def test_the_specs_do_not_import_tensorflow():
  code = ("import sys, tfae.specs.optimizers, tfae.specs.losses\n"
          "sys.exit('tensorflow' in sys.modules)")
  assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_table_of_losses_is_frozen_and_says_unit_and_logits():
  assert losses.LOSS_NAMES == ("mean_squared_error", "sum_squared_error", "binary_cross_entropy",
                               "cosine_distance")
  assert losses.LOSSES["binary_cross_entropy"] == (True, "nats, mean over pixels")
  assert not losses.LOSSES["mean_squared_error"].from_logits
  with pytest.raises(TypeError):
    losses.LOSSES["new"] = losses.Loss(False, "")
