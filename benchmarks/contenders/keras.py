"""Keras 3 on TensorFlow: a model with tied kernels, trained by `fit`."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf

import workloads


class TiedDense(keras.Model):
  """S04 as a Keras user would write it."""

  def __init__(self, weights):
    super().__init__()
    self.kernels = [self.add_weight(shape=w.shape, initializer="zeros") for w in weights]

  def call(self, x):
    x = keras.ops.reshape(x, [-1, 784])
    for kernel in self.kernels:
      x = tf.nn.relu(tf.matmul(x, kernel))
    for kernel in reversed(self.kernels):
      x = tf.nn.relu(tf.matmul(x, kernel, transpose_b=True))
    return keras.ops.reshape(x, [-1, 28, 28, 1])


class TiedConv(keras.Model):
  """S05 as a Keras user would write it."""

  def __init__(self, weights):
    super().__init__()
    self.kernels = [self.add_weight(shape=w.shape, initializer="zeros") for w in weights]

  def call(self, x):
    shapes = []
    for kernel in self.kernels:
      shapes.append(tf.shape(x))
      x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
    for kernel, shape in zip(reversed(self.kernels), reversed(shapes)):
      x = tf.nn.relu(tf.nn.conv2d_transpose(x, kernel, shape, 2))
    return x


MODELS = {"S04": TiedDense, "S05": TiedConv}


class Stopwatch(keras.callbacks.Callback):
  """Times from the first batch on: what `fit` does once a call is not held against it."""

  def on_train_batch_begin(self, batch, logs=None):
    if batch == 0:
      self.began = time.perf_counter()

  def on_train_batch_end(self, batch, logs=None):
    self.seconds = time.perf_counter() - self.began


class Contender:
  """`train(steps)` is one call of `fit` on the images of these steps, in their order."""

  def __init__(self, workload, folder, *, steps_per_execution, jit, dataset=False):
    """Builds and compiles.

    Args:
      workload: name of a `Workload`.
      folder: of the workload's files.
      steps_per_execution: a divisor of what `train` is asked for.
      jit: jit_compile.
      dataset: `fit` gets a tf.data pipeline with prefetch instead of arrays.
    """
    workload = workloads.WORKLOADS[workload]
    self.versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    weights, self._images, self._order = workloads.load(folder, "weights", "images", "order")
    self._model = MODELS[workload.system](weights)
    self._model.set_weights(weights)
    self._batch, self._step, self._dataset = workload.batch, 0, dataset
    self._model.compile(
        optimizer=keras.optimizers.Adam(workloads.ADAM["learning_rate"],
                                        epsilon=workloads.ADAM["epsilon"]),
        loss="mse", jit_compile=jit, steps_per_execution=steps_per_execution)

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    x = self._images[self._order[self._step:self._step + steps].reshape(-1)]
    self._step += steps
    clock = Stopwatch()
    options = {"epochs": 1, "verbose": 0, "callbacks": [clock]}
    if self._dataset:
      pairs = tf.data.Dataset.from_tensor_slices(x).batch(self._batch, drop_remainder=True)
      pairs = pairs.map(lambda images: (images, images)).prefetch(tf.data.AUTOTUNE)
      self._model.fit(pairs, **options)
    else:
      self._model.fit(x, x, batch_size=self._batch, shuffle=False, **options)
    return clock.seconds, steps

  def save(self, path):
    workloads.save_weights(path, self._model.get_weights())
