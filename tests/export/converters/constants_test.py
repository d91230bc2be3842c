"""Folding computes what only constants reach, and nothing else."""

import numpy as np
import tensorflow as tf

from converters import constants


def test_constant_ops_become_constants_of_their_names_and_answers_stay():
  with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
    kernel = tf.constant(np.arange(4, dtype=np.float32).reshape(2, 2), name="kernel")
    tied = tf.identity(kernel, name="tied")
    turned = tf.reverse(tf.reshape(tied, [2, 2]), [0, 1], name="turned")
    tf.matmul(x, turned, name="y")
    tf.shape(x, name="batch")
  folded = constants.fold(graph.as_graph_def())
  nodes = {node.name: node for node in folded.node}
  assert nodes["turned"].op == "Const" and not nodes["turned"].input
  assert nodes["tied"].op == "Identity"  # a weight is stored once
  assert (nodes["y"].op, nodes["batch"].op) == ("MatMul", "Shape")
  assert graph.as_graph_def().node[1].name == "kernel"
  with tf.Graph().as_default() as other:
    tf.import_graph_def(folded, name="")
    with tf.compat.v1.Session(graph=other) as session:
      found = session.run("y:0", {"x:0": np.eye(2, dtype=np.float32)})
  np.testing.assert_array_equal(found, [[3, 2], [1, 0]])
