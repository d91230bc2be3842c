"""What ONNX lacks is written with what it has."""

import numpy as np
import tensorflow as tf

from converters import onnx


def test_log1p_becomes_log_of_a_sum_under_its_name_and_the_answer_stays():
  with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
    tf.identity(tf.math.log1p(tf.exp(x), name="soft"), name="y")
  rewritten = onnx.without_log1p(graph.as_graph_def())
  assert {node.name: node.op for node in rewritten.node}["soft"] == "Log"
  assert "Log1p" not in {node.op for node in rewritten.node}
  with tf.Graph().as_default() as other:
    tf.import_graph_def(rewritten, name="")
    with tf.compat.v1.Session(graph=other) as session:
      found = session.run("y:0", {"x:0": np.float32([-20, 0, 3])})
  np.testing.assert_allclose(found, np.logaddexp(0, [-20, 0, 3]), atol=1e-7)
