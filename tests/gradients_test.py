"""A chain of segments has the gradients of one tape, each op on its segment's device."""

import numpy as np
import pytest
import tensorflow as tf

from tfae import gradients, placement
from tfae.gradients import Segment

CPU1, CPU2, CPU3 = (f"/device:CPU:{i}" for i in (1, 2, 3))


def variables(*shapes, seed=0):
  random = np.random.default_rng(seed)
  return [tf.Variable(random.normal(size=shape)) for shape in shapes]


def parts(a, b, c):
  """Three functions; `a` is used by the first and by the last, two tensors flow between them."""
  first = lambda x: tf.tanh(x @ a)
  second = lambda y: (tf.sin(y @ b), tf.reduce_sum(y * y, 1))
  last = lambda z: tf.reduce_sum((z[0] @ c) ** 2) + tf.reduce_sum(z[1]) + tf.reduce_sum(a ** 3)
  return first, second, last


def test_gradients_are_those_of_one_tape_and_of_finite_differences():
  a, b, c = variables((3, 4), (4, 2), (2, 2))
  x = tf.constant(np.random.default_rng(1).normal(size=(5, 3)))
  first, second, last = parts(a, b, c)
  loss, found = gradients.chain([Segment(CPU1, first, [a]), Segment(CPU2, second, [b]),
                                 Segment(CPU3, last, [a, c])], x)
  with tf.GradientTape() as tape:
    expected_loss = last(second(first(x)))
  np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
  for variable, expected in zip((a, b, c), tape.gradient(expected_loss, [a, b, c])):
    np.testing.assert_allclose(found[variable.ref()], expected, rtol=1e-10)
  value, step = a.numpy(), 1e-6
  for sign in (1, -1):
    a[1, 2].assign(value[1, 2] + sign * step)
    expected_loss = last(second(first(x))) if sign > 0 else expected_loss - last(second(first(x)))
  np.testing.assert_allclose(found[a.ref()][1, 2], expected_loss / (2 * step), rtol=1e-7)


def test_segments_without_variables_pass_gradients_on_or_need_none():
  a, b, c = variables((3, 4), (4, 2), (2, 2))
  x = tf.constant(np.random.default_rng(1).normal(size=(5, 3)))
  first, second, last = parts(a, b, c)
  chain = lambda *wanted: gradients.chain(
      [Segment(CPU1, first, wanted[0]), Segment(CPU2, second, wanted[1]),
       Segment(CPU3, last, wanted[2])], x)[1]
  whole = chain([a], [b], [a, c])
  through = chain([a], [], [])
  # Only its use in the first segment: the last one's was not asked for.
  assert set(through) == {a.ref()}
  np.testing.assert_allclose(through[a.ref()] + 3 * a ** 2, whole[a.ref()], rtol=1e-10)
  after = chain([], [], [c])
  assert set(after) == {c.ref()}
  np.testing.assert_allclose(after[c.ref()], whole[c.ref()], rtol=1e-12)


def test_forward_and_gradient_ops_are_on_the_device_of_their_segment():
  a, b, c = variables((3, 4), (4, 2), (2, 2))
  first, second, last = parts(a, b, c)

  @tf.function(autograph=False)
  def step():
    x = tf.ones((5, 3), tf.float64)
    return gradients.chain([Segment(CPU1, first, [a]), Segment(CPU2, second, [b]),
                            Segment(CPU3, last, [a, c])], x)

  ops = placement.executed_ops(lambda: step.get_concrete_function()())
  where = {op: {device for device, kind, _ in ops if kind == op} for op in
           ("Tanh", "TanhGrad", "Sin", "Cos")}
  assert where == {"Tanh": {"/CPU:1"}, "TanhGrad": {"/CPU:1"}, "Sin": {"/CPU:2"},
                   "Cos": {"/CPU:2"}}


def test_a_variable_that_nothing_depends_on_has_a_gradient_of_zeros():
  a, unused = variables((3, 4), (2,))
  _, found = gradients.chain([Segment(CPU1, lambda x: tf.reduce_sum(x @ a), [a, unused])],
                             tf.ones((1, 3), tf.float64))
  np.testing.assert_array_equal(found[unused.ref()], [0, 0])


@pytest.mark.parametrize("jit", [False, True])
def test_a_chain_may_be_compiled(jit):
  a, b, c = variables((3, 4), (4, 2), (2, 2))
  first, second, last = parts(a, b, c)
  cpu = "/device:CPU:0"
  run = tf.function(lambda x: list(gradients.chain(
      [Segment(cpu, first, [a]), Segment(cpu, second, [b]), Segment(cpu, last, [c])],
      x)[1].values()), jit_compile=jit, autograph=False)
  x = tf.constant(np.random.default_rng(1).normal(size=(5, 3)))
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum((second(first(x))[0] @ c) ** 2)
  np.testing.assert_allclose(run(x)[0], tape.gradient(loss, c), rtol=1e-10)
