"""What ONNX lacks is written with what it has."""

import numpy as np
import tensorflow as tf

from converters import onnx


def test_log1p_and_expm1_become_other_ops_under_their_names_and_the_answers_stay():
  with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
    tf.identity(tf.math.log1p(tf.exp(x), name="soft"), name="y")
    tf.math.expm1(x, name="z")
  rewritten = onnx.without_1p(graph.as_graph_def())
  assert {node.name: node.op for node in rewritten.node}["soft"] == "Log"
  assert not {"Log1p", "Expm1"} & {node.op for node in rewritten.node}
  with tf.Graph().as_default() as other:
    tf.import_graph_def(rewritten, name="")
    with tf.compat.v1.Session(graph=other) as session:
      found, other = session.run(["y:0", "z:0"], {"x:0": np.float32([-20, 0, 3])})
  np.testing.assert_allclose(found, np.logaddexp(0, [-20, 0, 3]), atol=1e-7)
  np.testing.assert_allclose(other, np.expm1([-20, 0, 3]), rtol=1e-6, atol=1e-7)
