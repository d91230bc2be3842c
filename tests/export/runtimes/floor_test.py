"""The floor is of the products that a signature needs, at batch 1."""

import os
import subprocess

import tensorflow as tf

from runtimes import floor


def test_products_are_those_that_the_outputs_need_each_once():
  with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None, 8, 6, 3])
    hidden = tf.nn.conv2d(x, tf.ones([5, 4, 3, 7]), 2, "SAME")  # 4 x 3 pixels
    flat = tf.reshape(hidden, [-1, 84])
    code = tf.matmul(flat, tf.ones([84, 10]))
    back = tf.matmul(code, tf.ones([84, 10]), transpose_b=True)
    grid = tf.reshape(back, [-1, 4, 3, 7])
    size = tf.stack([tf.shape(grid)[0], 8, 6, 3])
    image = tf.nn.conv2d_transpose(grid, tf.ones([5, 4, 3, 7]), size, 2)
    tf.matmul(flat, tf.ones([84, 999]))  # nobody's
  expected = {(12, 60, 7), (1, 84, 10), (1, 10, 84), (12, 7, 60)}
  found = floor.products(graph, [image.name, code.name])
  assert len(found) == 4 and set(found) == expected
  assert set(floor.products(graph, [code.name])) == {(12, 60, 7), (1, 84, 10)}


def test_a_size_that_the_graph_does_not_say_is_no_floor():
  with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None, None, 6, 3])
    y = tf.nn.conv2d(x, tf.ones([5, 4, 3, 7]), 2, "SAME")
  assert floor.products(graph, [y.name]) is None


def test_it_is_timed_in_a_process_of_numpy_alone_with_its_own_kernels(monkeypatch):
  monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
  seen = []

  def call(command):
    seen.append("OPENBLAS_CORETYPE" in os.environ)
    done = subprocess.run([*command[:1], "-X", "importtime", *command[1:]], check=True, text=True,
                          capture_output=True)
    assert "tensorflow" not in done.stderr
    return done.stdout

  assert floor.measure([(1, 100, 50), (4, 9, 2)], call) > 0
  assert seen == [False] and os.environ["OPENBLAS_CORETYPE"] == "Haswell"
