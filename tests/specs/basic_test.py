"""The shapes and weights of the layers that do one thing, computed by hand."""

import pytest

from tfae import errors
from tfae.specs.basic import (Activation, Conv2D, Conv2DTranspose, Dense, Dropout, Flatten, MaxPool,
                              Reshape, Upsample)


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
