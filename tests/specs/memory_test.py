"""The memory that stacks need at least, computed by hand."""

import pytest

from tfae.errors import InputError
from tfae.specs import layers, memory
from tfae.specs.layers import BatchNorm, Branch, Conv2D, Dense, Flatten


def test_the_weights_of_branches_are_counted_and_shared_kernels_are_not():
  stack = [Conv2D(4, 3), Branch(((Conv2D(6, 1), BatchNorm()), (Branch(((), ()), "concat"),)),
                                "concat"), Flatten(), Dense(2)]
  shapes = layers.shapes(stack, (5, 5, 1), "encoder")
  # 3 x 3 x 4 + 4; 4 x 6 + 6 and gamma and beta; 25 x (6 + 8) x 2 + 2.
  conv, branch, dense = 36 + 4, 24 + 6 + 12, 700 + 2
  assert memory.weight_bytes(stack, shapes) == 4 * (conv + branch + dense)
  assert memory.weight_bytes(stack, shapes, [0, 3]) == 4 * (4 + branch + 2)


@pytest.mark.parametrize("stack, values", [
    ([Dense(7), Dense(20), Dense(3)], 20 + 7),
    # Inside a branch: 10 to 50.
    ([Branch(((Dense(50), Dense(4)), (Dense(4),)))], 50 + 10),
    # The outputs of four branches, and their sum.
    ([Branch(((Dense(30),),) * 4)], 4 * 30 + 30),
    ([Branch(((Branch(((Dense(30),),) * 4, "concat"), Dense(1)), (Dense(1),)))], 120 + 120),
])
def test_the_largest_values_of_a_layer_are_found_in_branches_too(stack, values):
  shapes = layers.shapes(stack, (10,), "encoder")
  assert memory.value_bytes(stack, shapes, 3) == 3 * 4 * values
  assert memory.value_bytes(stack, shapes, 3, itemsize=2) == 3 * 2 * values


def test_what_does_not_fit_is_refused_with_the_way_out():
  with pytest.raises(InputError, match=r"model: needs at least [\d,.]+ GiB.*Use fewer units."):
    memory.check(2**60, "model:", "Use fewer units.")
  memory.check(1, "model:", "Use fewer units.")
