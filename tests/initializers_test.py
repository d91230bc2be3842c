"""First values have the spread that their papers ask for."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfae import initializers, randomness
from tfae.specs.layers import INITIALIZERS, Normal

KEY = randomness.stream(5, "encoder/layer_0/kernel")
DENSE, CONV = (200, 120), (3, 2, 40, 70)
# (fan in, fan out): of the convolution 3 * 2 times its channels.
FANS = {DENSE: (200, 120), CONV: (240, 420)}
VARIANCE = {"glorot": lambda i, o: 2 / (i + o), "he": lambda i, o: 2 / i,
            "lecun": lambda i, o: 1 / i}


def value(initializer, shape, dtype=tf.float32, **options):
  return initializers.initial_value(initializer, shape, KEY, dtype, **options).numpy()


@pytest.mark.parametrize("shape", [DENSE, CONV])
@pytest.mark.parametrize("name", [n for n in INITIALIZERS if "_" in n])
def test_the_spread_is_that_of_the_paper(name, shape):
  family, distribution = name.split("_")
  draws = value(name, shape).ravel()
  deviation = math.sqrt(VARIANCE[family](*FANS[shape]))
  assert abs(draws.mean()) < 5 * deviation / math.sqrt(draws.size)
  assert abs(draws.std() / deviation - 1) < 5 / math.sqrt(draws.size)
  limit = math.sqrt(3) * deviation
  if distribution == "uniform":
    assert 0.999 * limit < np.abs(draws).max() <= limit * (1 + 1e-6)
  else:
    assert np.abs(draws).max() > 3.5 * deviation


def test_a_transposed_convolution_counts_its_input_channels_last():
  # he: variance 2 / (3 * 2 * 70), not 2 / (3 * 2 * 40).
  draws = value("he_normal", CONV, fan_axes=(-1, -2))
  assert abs(draws.std() / math.sqrt(2 / 420) - 1) < 5 / math.sqrt(draws.size)


def test_normal_has_the_standard_deviation_that_it_says():
  draws = value(Normal(0.02), DENSE)
  assert abs(draws.std() / 0.02 - 1) < 0.03 and abs(draws.mean()) < 5 * 0.02 / math.sqrt(24000)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 3, 2, 5), (1, 2, 2, 9)])
def test_an_orthogonal_kernel_has_orthonormal_rows_or_columns(shape):
  matrix = value("orthogonal", shape, tf.float64).reshape(-1, shape[-1])
  if matrix.shape[0] < matrix.shape[1]:
    matrix = matrix.T
  np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)


def test_orthogonal_matrices_have_both_signs_on_their_diagonals():
  # Without the correction by R's signs, a Householder QR leaves a fixed sign at Q[0, 0].
  corners = [initializers.initial_value("orthogonal", (3, 3), randomness.stream(s, "a"),
                                        tf.float64).numpy()[0, 0] for s in range(40)]
  assert 8 < sum(corner > 0 for corner in corners) < 32


def test_zeros_and_ones_are_that():
  np.testing.assert_array_equal(value("zeros", (2, 3)), np.zeros((2, 3)))
  np.testing.assert_array_equal(value("ones", (2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("initializer", [*INITIALIZERS, Normal(0.1)], ids=str)
def test_every_initializer_has_the_shape_and_dtype_asked_for(initializer, dtype):
  found = initializers.initial_value(initializer, (2, 2, 3, 4), KEY, dtype)
  assert found.shape == (2, 2, 3, 4) and found.dtype == dtype
  again = initializers.initial_value(initializer, (2, 2, 3, 4), KEY, dtype)
  np.testing.assert_array_equal(found, again)
