"""What OpenVINO would compute wrongly is written so that it does not."""

import types

import numpy as np
import pytest
import tensorflow as tf

from converters import openvino as converter
from tfae import graph, saved_model

pytestmark = pytest.mark.full


def test_a_convolution_and_the_transposed_one_that_shares_its_kernel_both_answer_rightly(tmp_path):
  openvino = pytest.importorskip("openvino", reason="pip install tfae[openvino]")
  kernel = tf.Variable(np.random.default_rng(1).normal(0, .1, (4, 4, 16, 16)), dtype=tf.float32)

  def there_and_back(images):
    codes = tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME"))
    shape = tf.stack([tf.shape(codes)[0], 7, 7, 16])
    return {"back": tf.nn.conv2d_transpose(codes, kernel, shape, 2, "SAME")}

  spec = graph.Input(tf.TensorSpec([None, 7, 7, 16]), "features")
  signature = graph.Signature(there_and_back, {"images": spec}, {"back": "features"})
  (tmp_path / "1").mkdir()
  saved_model.write(tmp_path / "1", graph.freeze({"serving_default": signature}))
  described = {"inputs": {"images": {"tensor": "images:0"}},
               "outputs": {"back": {"tensor": "serving_default/back:0"}}}
  reference = types.SimpleNamespace(
      directory=tmp_path / "1", description={"signatures": {"serving_default": described}})
  converter.convert(reference, tmp_path)
  compiled = openvino.Core().compile_model(tmp_path / "serving_default.xml", "CPU",
                                           {"INFERENCE_PRECISION_HINT": "f32"})
  images = np.random.default_rng(2).normal(size=(2, 7, 7, 16)).astype(np.float32)
  np.testing.assert_allclose(compiled(images)[0], there_and_back(images)["back"], atol=1e-4)
