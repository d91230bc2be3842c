"""Layer specs check their fields, and survive JSON; branches, and what holds of a sequence."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from tfae import errors
from tfae.specs import layers
from tfae.specs.layers import (Activation, BatchNorm, Branch, Conv2D, Conv2DTranspose, Dense,
                               Dropout, Flatten, LayerNorm, MaxPool, Normal, Reshape, Upsample)

BAD_INTS = (0, -1, 2.0, 2.5, True, None, "3", math.nan, 2**31)
BAD_PAIRS = (*BAD_INTS, (), (2,), (2, 2, 2), (2, 0), (1.5, 2), [2, None])
AFFINE = {"Dense": lambda **fields: Dense(3, **fields),
          "Conv2D": lambda **fields: Conv2D(3, 2, **fields),
          "Conv2DTranspose": lambda **fields: Conv2DTranspose(3, 2, **fields)}
BAD = [
    *[("Normal.stddev", lambda v: Normal(v), v)
      for v in (0, -1, math.nan, math.inf, None, "1", True)],
    *[("Dense.units", lambda v: Dense(v), v) for v in BAD_INTS],
    *[(f"{name}.activation", lambda v, make=make: make(activation=v), v)
      for name, make in AFFINE.items() for v in ("rellu", "ReLU", None, 3, math.tanh)],
    *[(f"{name}.use_bias", lambda v, make=make: make(use_bias=v), v)
      for name, make in AFFINE.items() for v in (0, 1, None, "no")],
    *[(f"{name}.kernel_initializer", lambda v, make=make: make(kernel_initializer=v), v)
      for name, make in AFFINE.items() for v in ("glorot", None, 0.1, Normal)],
    *[(f"{cls.__name__}.filters", lambda v, cls=cls: cls(v, 2), v)
      for cls in (Conv2D, Conv2DTranspose) for v in BAD_INTS],
    *[(f"{cls.__name__}.kernel_size", lambda v, cls=cls: cls(3, v), v)
      for cls in (Conv2D, Conv2DTranspose) for v in BAD_PAIRS],
    *[(f"{cls.__name__}.stride", lambda v, cls=cls: cls(3, 2, v), v)
      for cls in (Conv2D, Conv2DTranspose) for v in BAD_PAIRS],
    *[(f"{cls.__name__}.padding", lambda v, cls=cls: cls(3, 2, 1, v), v)
      for cls in (Conv2D, Conv2DTranspose) for v in ("SAME", "full", None, 0)],
    *[("Conv2DTranspose.output_size", lambda v: Conv2DTranspose(3, 2, output_size=v), v)
      for v in BAD_PAIRS if v is not None],
    *[("MaxPool.size", lambda v: MaxPool(v), v) for v in BAD_PAIRS],
    *[("MaxPool.stride", lambda v: MaxPool(2, v), v) for v in BAD_PAIRS if v is not None],
    *[("MaxPool.padding", lambda v: MaxPool(2, 2, v), v) for v in ("SAME", None)],
    *[("Upsample.factor", lambda v: Upsample(v), v) for v in BAD_PAIRS],
    *[("Upsample.output_size", lambda v: Upsample(2, v), v) for v in BAD_PAIRS if v is not None],
    *[("Reshape.shape", lambda v: Reshape(v), v) for v in (*BAD_INTS, (), (2, 0), (2, -1), "ab")],
    *[("Activation.function", lambda v: Activation(v), v) for v in ("rellu", None, 1)],
    *[("Dropout.rate", lambda v: Dropout(v), v)
      for v in (1, 1.5, -0.1, math.nan, math.inf, None, "0.5", True)],
    *[("BatchNorm.momentum", lambda v: BatchNorm(v), v)
      for v in (1, 1.5, -0.1, math.nan, math.inf, None, "0.5", True)],
    *[(f"{cls.__name__}.epsilon", lambda v, cls=cls: cls(epsilon=v), v)
      for cls in (BatchNorm, LayerNorm) for v in (0, -1, math.nan, math.inf, None, "1", True)],
    *[(f"{cls.__name__}.{field}", lambda v, cls=cls, field=field: cls(**{field: v}), v)
      for cls in (BatchNorm, LayerNorm) for field in ("center", "scale") for v in (0, 1, None, "")],
    *[("Branch.branches", lambda v: Branch(v), v) for v in ((), [], None, 3, "ab", Dense(3))],
    *[("Branch.merge", lambda v: Branch(((), ()), v), v) for v in ("Sum", "add", None, 0)],
]


@pytest.mark.parametrize("field, make, value", BAD, ids=[f"{f}={v!r:.20}" for f, _, v in BAD])
def test_a_bad_field_is_refused_by_name_and_value(field, make, value):
  with pytest.raises(errors.InputError) as caught:
    make(value)
  message = str(caught.value)
  assert message.startswith(f"{field}=") and "expected" in message and "\n" not in message
  bad = [v for v in value if v not in (1, 2)] if isinstance(value, (tuple, list)) else [value]
  assert repr(value) in message or any(repr(v) in message for v in bad)


def test_every_field_of_every_spec_is_among_the_refused():
  tried = {field for field, _, _ in BAD}
  fields = {f"{name}.{field.name}" for name, cls in {**layers.LAYERS, "Normal": Normal}.items()
            for field in dataclasses.fields(cls)}
  assert fields == tried


def test_a_misspelt_activation_is_answered_with_the_nearest():
  with pytest.raises(errors.InputError, match="Did you mean 'relu'"):
    Dense(3, activation="rellu")


def test_shapes_lists_the_input_and_what_every_layer_makes_of_it():
  stack = [Conv2D(4, 3, 2), MaxPool(), Flatten(), Dense(2)]
  assert layers.shapes(stack, (9, 9, 1), "encoder") == [
      (9, 9, 1), (5, 5, 4), (3, 3, 4), (36,), (2,)]


@pytest.mark.parametrize("stack, before, message", [
    ([Flatten(), Dense(2), Conv2D(3, 2)], (4, 4, 1), r"encoder\[2\]: Conv2D: expected an input"),
    ([], (4,), r"encoder=\[\]: expected a non-empty sequence of layers"),
    (Dense(2), (4,), "encoder=Dense.*expected a non-empty sequence"),
    ([Dense], (4,), r"encoder\[0\]=<class .*expected a layer"),
    ([Dense(2), 3], (4,), r"encoder\[1\]=3: expected a layer"),
    ([Dense(2)], (0,), "encoder: input_shape=0: expected an integer"),
    ([Dense(2)], (None,), "encoder: input_shape=None"),
    ([Dense(2)], 784, "encoder: input_shape=784: expected a tuple"),
    ([Dense(2)], None, "encoder: input_shape=None: expected a tuple"),
    ([Dense(2)], "ab", "encoder: input_shape='ab': expected a tuple"),
    ([Dense(2), Branch(((Dense(2), Conv2D(2, 2)), ()))], (4,),
     r"encoder\[1\]: Branch.branches\[0\]\[1\]: Conv2D: expected an input"),
])
def test_an_impossible_stack_is_refused_with_the_index_of_the_layer(stack, before, message):
  with pytest.raises(errors.InputError, match=message):
    layers.shapes(stack, before, "encoder")


@pytest.mark.parametrize("branches, merge, before, after", [
    # S12: 1x1 and 5x5, summed.
    (((Conv2D(16, 1),), (Conv2D(16, 5, activation="relu"),)), "sum", (28, 28, 1), (28, 28, 16)),
    (((Conv2D(3, 1),), (Conv2D(5, 5),), ()), "concat", (7, 6, 2), (7, 6, 10)),
    (((Dense(4), Dense(3)), ()), "sum", (3,), (3,)),
    (((Dense(4), Dense(3)), ()), "concat", (3,), (6,)),
    (((MaxPool(),), (Conv2D(2, 3, 2),)), "sum", (7, 7, 2), (4, 4, 2)),
    (((Branch(((), ()), "concat"), Dense(5)), (Dense(5),)), "sum", (3,), (5,)),
    (((Flatten(),),), "sum", (2, 3), (6,)),
])
def test_branches_are_merged_by_sum_or_along_the_last_axis(branches, merge, before, after):
  assert Branch(branches, merge).output_shape(before) == after


@pytest.mark.parametrize("make, message", [
    (lambda: Branch(((Dense(3),), ())).output_shape((4,)),
     r"merge='sum': the branches end in shapes \(3,\), \(4,\), expected equal ones"),
    (lambda: Branch(((Conv2D(2, 3, 2),), ()), "concat").output_shape((4, 4, 2)),
     r"merge='concat': the branches end in shapes \(2, 2, 2\), \(4, 4, 2\), expected equal ones "
     "but for the last"),
    (lambda: Branch(((Flatten(),), ()), "concat").output_shape((4, 4, 2)), "but for the last axis"),
    (lambda: Branch((Conv2D(2, 1), Conv2D(2, 5))),
     r"Branch.branches\[0\]=Conv2D.*\(layer,\) for one, \(\) for the input"),
    (lambda: Branch(((Dense(2), "relu"), ())),
     r"Branch.branches\[0\]\[1\]='relu': expected a layer"),
    (lambda: Branch(((Dense(2**30),), ())).output_shape((2**30,)),
     r"Branch.branches\[0\]\[0\]: Dense: its kernel of shape .* holds \d+ values"),
    (lambda: LayerNorm().output_shape((28, 28, 1)), r"LayerNorm: the input \(28, 28, 1\) has one"),
])
def test_branches_that_cannot_be_merged_and_layers_that_cannot_be_are_refused(make, message):
  with pytest.raises(errors.InputError, match=message):
    make()


def nested(depth):
  branch = Branch(((), ()))
  for _ in range(depth - 1):
    branch = Branch(((branch,), ()))
  return branch


def test_branches_lie_in_branches_sixteen_deep_and_no_deeper():
  assert layers.shapes([nested(16)], (3,), "encoder") == [(3,), (3,)]
  assert len(list(layers.walk([nested(16)]))) == 16
  with pytest.raises(errors.InputError, match="branches lie in branches 17 deep, expected at most"):
    nested(17)


def test_the_layers_of_branches_count_towards_the_most_of_a_stack():
  half = Branch((tuple([Activation("relu")] * 500), ()))
  layers.shapes([half], (3,), "encoder")
  with pytest.raises(errors.InputError, match="encoder: has 1002 layers, expected at most 1000"):
    layers.shapes([half, half], (3,), "encoder")
  with pytest.raises(errors.InputError, match="Branch.branches: has 1003 layers"):
    Branch(((half,), (half,)))


def test_the_weights_of_branches_are_listed_by_their_names():
  branch = Branch(((Conv2D(3, 1), BatchNorm(center=False)),
                   (Branch(((Conv2D(3, 2, use_bias=False),), ()), "concat"), Conv2D(3, 1)), ()))
  assert branch.weights((5, 5, 3)) == {
      "branch_0/layer_0/kernel": (1, 1, 3, 3), "branch_0/layer_0/bias": (3,),
      "branch_0/layer_1/gamma": (3,), "branch_1/layer_0/branch_0/layer_0/kernel": (2, 2, 3, 3),
      "branch_1/layer_1/kernel": (1, 1, 6, 3), "branch_1/layer_1/bias": (3,)}


def test_walking_finds_every_layer_a_branch_before_what_lies_in_it():
  inner = Branch(((Dense(2),), ()))
  outer = Branch(((inner, Dense(3)), (Flatten(),)))
  assert list(layers.walk([Dropout(0.5), outer, Dense(4)])) == [
      Dropout(0.5), outer, inner, Dense(2), Dense(3), Flatten(), Dense(4)]


@pytest.mark.parametrize("stack, function", [
    ([Dense(2, activation="tanh"), Dropout(0.5), Flatten()], "tanh"),
    ([Dense(2, activation="tanh"), Dense(3)], "linear"),
    ([Dense(2), Activation("softmax")], "softmax"),
    ([Dense(2, activation="relu"), BatchNorm()], "linear"),
    ([Branch(((Dense(2),), (Dense(2, activation="relu"),)))], "linear"),
    ([Dense(2, activation="sigmoid"), Branch(((Dropout(0.5),), ()))], "sigmoid"),
    ([Dense(2, activation="sigmoid"), Branch(((Dense(2),), ()))], "linear"),
    ([MaxPool()], "linear"),
])
def test_the_function_that_a_stack_ends_in_is_known_through_branches(stack, function):
  assert layers.output_activation(stack) == function


SPECS = [
    Dense(3), Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal"),
    Dense(np.int64(3), kernel_initializer=Normal(np.float32(0.5))),
    Conv2D(3, (2, 1), (1, 2), "valid", activation="tanh", kernel_initializer=Normal(0.01)),
    Conv2D(np.int32(3), np.int32(2)),
    Conv2DTranspose(3, 2, 3), Conv2DTranspose(3, (2, 1), 2, "same", (5, 6), use_bias=False),
    MaxPool(), MaxPool((2, 3), 1, "valid"), Upsample(), Upsample((2, 3), (5, 7)),
    Flatten(), Reshape((2, 3, 1)), Reshape(6), Activation("gelu"), Dropout(0.25),
    Dropout(np.float64(0.25)), Normal(0.5), Normal(1),
    BatchNorm(), BatchNorm(0, epsilon=np.float32(1e-5), center=False), LayerNorm(),
    LayerNorm(epsilon=1, scale=False), Branch(((), ())),
    Branch([[Conv2D(16, 1)], (Conv2D(16, 5, kernel_initializer=Normal(1)), BatchNorm())], "concat"),
    Branch(((Branch(((Dense(3),), ()), "concat"), Dense(2)), (Dense(2),))),
]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_spec_survives_json(spec):
  restored = layers.from_json(json.loads(json.dumps(layers.to_json(spec))))
  assert restored == spec and type(restored) is type(spec) and hash(restored) == hash(spec)


def test_every_spec_has_been_through_json_and_so_has_a_list_of_them():
  assert {type(spec).__name__ for spec in SPECS} == {*layers.LAYERS, "Normal"}
  assert layers.from_json(json.loads(json.dumps(layers.to_json(SPECS)))) == tuple(SPECS)


@pytest.mark.parametrize("value, message", [
    ({"type": "Dens", "units": 3}, "layer type='Dens'.*Did you mean 'Dense'"),
    ({"units": 3}, "layer type=None"),
    ({"type": "Dense", "units": 0}, "Dense.units=0"),
])
def test_json_that_is_no_spec_is_refused(value, message):
  with pytest.raises(errors.InputError, match=message):
    layers.from_json(value)


def test_specs_do_not_import_tensorflow():
  code = ("import sys\n"
          "from tfae import errors\n"
          "from tfae.specs import layers, losses, mirror, optimizers\n"
          "mirror.mirror([layers.Conv2D(2, 3), layers.Flatten()], (5, 5, 1))\n"
          "print('tensorflow' in sys.modules, 'numpy' in sys.modules)\n")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr
