"""A tied autoencoder of raw variables for the tests of freezing and export.

As a program, `export_toy.py DIRECTORY TRACES DEVICE` writes it, for tests that need two processes.
"""

import sys

import numpy as np
import tensorflow as tf

from tfae import graph, saved_model

HEIGHT, WIDTH, CHANNELS = 28, 28, 4


class Toy(tf.Module):
  """conv2d 4x4 stride 2, dense; mirrored on the same kernels. Ops ask for `device`."""

  def __init__(self, device="/CPU:0", code_size=8):
    super().__init__()
    self.device = device
    random = np.random.RandomState(0)
    make = lambda name, *shape: tf.Variable(
        random.normal(scale=.1, size=shape).astype(np.float32), name=name)
    self.flat = HEIGHT // 2 * WIDTH // 2 * CHANNELS
    with tf.device("/CPU:0"):
      self.conv = make("encoder/layer_0/kernel", 4, 4, 1, CHANNELS)
      self.bias = make("encoder/layer_0/bias", CHANNELS)
      self.dense = make("encoder/layer_1/kernel", self.flat, code_size)

  @property
  def parameters(self):
    return sum(int(np.prod(v.shape)) for v in self.variables)

  def encode(self, images):
    with tf.device(self.device), tf.name_scope("encoder"):
      hidden = tf.nn.relu(tf.nn.conv2d(images / 255., self.conv, 2, "SAME") + self.bias)
      return tf.reshape(hidden, [-1, self.flat]) @ self.dense

  def decode(self, codes):
    with tf.device(self.device), tf.name_scope("decoder"):
      hidden = tf.reshape(tf.matmul(codes, self.dense, transpose_b=True),
                          [-1, HEIGHT // 2, WIDTH // 2, CHANNELS])
      shape = tf.stack([tf.shape(hidden)[0], HEIGHT, WIDTH, 1])
      return tf.nn.conv2d_transpose(hidden, self.conv, shape, 2, "SAME")

  def reconstruct(self, images):
    return {"reconstruction": self.decode(self.encode(images))}

  def score(self, images):
    difference = self.decode(self.encode(images)) - images / 255.
    return {"error": tf.reduce_mean(difference ** 2, axis=[1, 2, 3])}

  def signatures(self):
    images = {"images": graph.Input(tf.TensorSpec([None, HEIGHT, WIDTH, 1]), "grey images",
                                    (0, 255))}
    codes = {"codes": graph.Input(tf.TensorSpec([None, self.dense.shape[1]]), "codes")}
    reconstruction = {"reconstruction": "grey images"}
    return {
        "serving_default": graph.Signature(self.reconstruct, images, reconstruction),
        "reconstruct": graph.Signature(self.reconstruct, images, reconstruction),
        "encode": graph.Signature(lambda images: {"codes": self.encode(images)}, images,
                                  {"codes": "codes"}),
        "decode": graph.Signature(lambda codes: {"reconstruction": self.decode(codes)}, codes,
                                  reconstruction),
        "score": graph.Signature(self.score, images, {"error": "mean squared error"}),
    }


def examples(count=3):
  return np.random.RandomState(1).uniform(0, 255, (count, HEIGHT, WIDTH, 1)).astype(np.float32)


def fed(toy):
  """(examples, references) of every signature, from the live model."""
  images, codes = examples(), toy.encode(examples()).numpy()
  inputs = {key: {"codes": codes} if key == "decode" else {"images": images}
            for key in toy.signatures()}
  return inputs, {key: signature.function(**inputs[key])
                  for key, signature in toy.signatures().items()}


def main(directory, traces, device):
  devices = [tf.config.LogicalDeviceConfiguration()] * 3
  tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
  tf.config.set_soft_device_placement(False)
  for _ in range(int(traces)):
    tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([]))
  saved_model.write(directory, graph.freeze(Toy(device).signatures()), {"dataset": "none"})


if __name__ == "__main__":
  main(*sys.argv[1:])
