"""Layer specs check their fields, know their shapes, and survive JSON."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from tfae import errors
from tfae.specs import layers
from tfae.specs.layers import (Activation, Conv2D, Conv2DTranspose, Dense, Dropout, Flatten,
                               MaxPool, Normal, Reshape, Upsample)

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


def test_integers_stand_for_pairs_and_a_pool_without_stride_steps_by_its_size():
  assert Conv2D(3, 2) == Conv2D(3, (2, 2), (1, 1)) == Conv2D(3, [2, 2], [1, 1])
  assert MaxPool((2, 3)).stride == (2, 3) and MaxPool(2, 1).stride == (1, 1)
  assert Upsample(3) == Upsample((3, 3)) and Reshape(12) == Reshape((12,)) == Reshape([12])
  assert hash(Conv2D(3, [2, 2])) == hash(Conv2D(3, 2))


# By hand, from Dumoulin and Visin's relations 6 and 14 and TensorFlow's ceil(n / s) for 'same'.
@pytest.mark.parametrize("spec, before, after", [
    (Dense(3), (7,), (3,)),
    (Conv2D(5, 4, 2), (28, 28, 1), (14, 14, 5)),
    (Conv2D(5, 4, 2, "valid"), (28, 28, 1), (13, 13, 5)),
    (Conv2D(5, 3, 2), (27, 31, 2), (14, 16, 5)),
    (Conv2D(5, 3, 2, "valid"), (27, 31, 2), (13, 15, 5)),
    (Conv2D(5, 3, 3), (27, 31, 2), (9, 11, 5)),
    (Conv2D(5, 3, 3, "valid"), (27, 31, 2), (9, 10, 5)),
    (Conv2D(5, (1, 4), (3, 1), "valid"), (7, 4, 2), (3, 1, 5)),
    (Conv2DTranspose(5, 4, 2), (7, 7, 3), (14, 14, 5)),
    (Conv2DTranspose(5, 4, 2, "valid"), (13, 13, 3), (28, 28, 5)),
    (Conv2DTranspose(5, 3, 2, output_size=(27, 31)), (14, 16, 3), (27, 31, 5)),
    (Conv2DTranspose(5, 3, 3, "valid", (27, 31)), (9, 10, 3), (27, 31, 5)),
    (MaxPool(), (7, 8, 3), (4, 4, 3)),
    (MaxPool(3, 2, "valid"), (7, 8, 3), (3, 3, 3)),
    (Upsample((2, 3)), (4, 5, 3), (8, 15, 3)),
    (Upsample(2, (7, 11)), (4, 5, 3), (7, 11, 3)),
    (Flatten(), (4, 5, 3), (60,)),
    (Reshape((5, 12)), (4, 5, 3), (5, 12)),
    (Activation("relu"), (4, 5), (4, 5)),
    (Dropout(0.5), (4, 5), (4, 5)),
])
def test_output_shapes_are_those_computed_by_hand(spec, before, after):
  assert spec.output_shape(before) == after


@pytest.mark.parametrize("spec, before, weights", [
    (Dense(3), (7,), {"kernel": (7, 3), "bias": (3,)}),
    (Dense(3, use_bias=False), (7,), {"kernel": (7, 3)}),
    (Conv2D(5, (2, 3)), (7, 8, 4), {"kernel": (2, 3, 4, 5), "bias": (5,)}),
    (Conv2DTranspose(5, (2, 3)), (7, 8, 4), {"kernel": (2, 3, 5, 4), "bias": (5,)}),
    (MaxPool(), (7, 8, 4), {}), (Upsample(), (7, 8, 4), {}), (Flatten(), (7, 8, 4), {}),
    (Reshape((28, 8)), (7, 8, 4), {}), (Activation("relu"), (7,), {}), (Dropout(0.5), (7,), {}),
])
def test_weights_are_listed_with_their_shapes(spec, before, weights):
  assert spec.weights(before) == weights


@pytest.mark.parametrize("spec, before, message", [
    (Dense(3), (7, 8, 4), r"\(features,\), found \(7, 8, 4\).*Flatten"),
    (Conv2D(3, 2), (7,), r"\(height, width, channels\), found \(7,\).*Reshape"),
    (Conv2DTranspose(3, 2), (7,), "Reshape"), (MaxPool(), (7, 8), "Reshape"),
    (Upsample(), (7,), "Reshape"),
    (Conv2D(3, 5, padding="valid"), (4, 9, 1), "window of 5 does not fit into 4 pixels"),
    (MaxPool(5, padding="valid"), (9, 4, 1), "window of 5 does not fit into 4 pixels"),
    (Conv2DTranspose(3, 3, 2, output_size=(9, 7)), (4, 4, 1), r"output_size=\(9, 7\).*\(4, 4\)"),
    (Conv2DTranspose(3, 5, padding="valid", output_size=(4, 4)), (1, 1, 1), "window of 5"),
    (Upsample(3, (9, 6)), (3, 3, 1), r"output_size=\(9, 6\).*at least \(7, 7\)"),
    (Reshape((5, 5)), (4, 6), r"shape=\(5, 5\): holds 25 values, the input \(4, 6\) has 24"),
])
def test_a_shape_that_a_layer_cannot_take_is_refused(spec, before, message):
  with pytest.raises(errors.InputError, match=message):
    spec.output_shape(before)


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
])
def test_an_impossible_stack_is_refused_with_the_index_of_the_layer(stack, before, message):
  with pytest.raises(errors.InputError, match=message):
    layers.shapes(stack, before, "encoder")


SPECS = [
    Dense(3), Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal"),
    Dense(np.int64(3), kernel_initializer=Normal(np.float32(0.5))),
    Conv2D(3, (2, 1), (1, 2), "valid", activation="tanh", kernel_initializer=Normal(0.01)),
    Conv2D(np.int32(3), np.int32(2)),
    Conv2DTranspose(3, 2, 3), Conv2DTranspose(3, (2, 1), 2, "same", (5, 6), use_bias=False),
    MaxPool(), MaxPool((2, 3), 1, "valid"), Upsample(), Upsample((2, 3), (5, 7)),
    Flatten(), Reshape((2, 3, 1)), Reshape(6), Activation("gelu"), Dropout(0.25),
    Dropout(np.float64(0.25)), Normal(0.5), Normal(1),
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
