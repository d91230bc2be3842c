"""Keras 3 on TensorFlow: a model of its layers, and of two for tied kernels, trained by `fit`."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from keras import layers as keras_layers

import systems
import workloads


class TiedDense(keras_layers.Layer):
  """x W^T with another layer's kernel."""

  def __init__(self, source, activation):
    super().__init__()
    self._source, self._activation = [source], keras.activations.get(activation)

  def call(self, x):
    return self._activation(tf.matmul(x, self._source[0].kernel, transpose_b=True))


class TiedConv(keras_layers.Layer):
  """The transposed convolution of another layer's kernel, to images of `size`."""

  def __init__(self, source, activation, size, stride):
    super().__init__()
    self._source, self._activation = [source], keras.activations.get(activation)
    self._size, self._stride = size, stride

  def call(self, x):
    shape = (tf.shape(x)[0], *self._size)
    x = tf.nn.conv2d_transpose(x, self._source[0].kernel, shape, self._stride)
    return self._activation(x)


class Model(keras.Model):
  """The parts of a system; of a variational one `call` gives logits, mean and log variance.

  `weight_of` [variable], in the order of `systems.System.shapes`.
  """

  def __init__(self, system):
    super().__init__()
    self._system, self.weight_of = system, [None] * len(system.shapes)
    owners = {}
    self._parts = {name: [self._layer(layer, owners) for layer in part]
                   for name, part in system.parts.items()}
    # Keras tracks attributes that are lists, not those in dicts.
    self._tracked_layers = [layer for part in self._parts.values() for layer in part]
    self._random = keras.random.SeedGenerator(0)

  def _layer(self, layer, owners):
    common = {"activation": layer.activation, "use_bias": layer.bias is not None}
    window = {"strides": layer.stride, "padding": layer.padding}
    match layer.kind:
      case "dense" if layer.tied:
        return TiedDense(owners[layer.kernel], layer.activation)
      case "transposed" if layer.tied:
        return TiedConv(owners[layer.kernel], layer.activation, layer.after, layer.stride)
      case "dense":
        made = keras_layers.Dense(layer.after[0], **common)
      case "conv":
        made = keras_layers.Conv2D(layer.after[2], layer.kernel_shape[:2], **window, **common)
      case "transposed":
        made = keras_layers.Conv2DTranspose(layer.after[2], layer.kernel_shape[:2], **window,
                                            **common)
      case "pool":
        return keras_layers.MaxPooling2D(layer.kernel_shape, **window)
      case "upsample":
        return keras_layers.UpSampling2D(layer.stride)
      case "reshape":
        return keras_layers.Reshape(layer.after)
      case "dropout":
        return keras_layers.Dropout(layer.rate)
    made.build((None, *layer.before))
    owners[layer.kernel] = made
    self.weight_of[layer.kernel] = made.kernel
    if layer.bias is not None:
      self.weight_of[layer.bias] = made.bias
    return made

  def _run(self, name, x, training):
    for layer in self._parts[name]:
      x = (layer(x, training=training) if isinstance(layer, keras_layers.Dropout) else layer(x))
    return x

  def call(self, x, training=False):
    codes = self._run("encoder", x, training)
    if "head" in self._parts:
      return self._run("head", codes, training)
    if "mean" not in self._parts:
      return self._run("decoder", codes, training)
    mean, log_variance = (self._run(name, codes, training) for name in ("mean", "log_variance"))
    noise = keras.random.normal(keras.ops.shape(mean), seed=self._random)
    codes = mean + self._system.noise * keras.ops.exp(log_variance / 2) * noise
    return self._run("decoder", codes, training), mean, log_variance

  def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    if self._system.loss != "variational":
      return super().compute_loss(x, y, y_pred, sample_weight, training)
    logits, mean, log_variance = y_pred
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    kl = tf.square(mean) + tf.math.expm1(log_variance) - log_variance
    return tf.reduce_mean(tf.reduce_sum(entropy, [1, 2, 3]) + tf.reduce_sum(kl, 1) / 2)

  def take(self, weights):
    """Takes the weights of `workloads.load`."""
    for variable, weight in zip(self.weight_of, weights, strict=True):
      variable.assign(weight)


class RMSprop(keras.optimizers.RMSprop):
  """With epsilon outside of the root, as in Keras 1 and 2; that of Keras 3 is inside."""

  def update_step(self, gradient, variable, learning_rate):
    velocity = self._velocities[self._get_variable_index(variable)]
    self.assign(velocity, self.rho * velocity + (1 - self.rho) * keras.ops.square(gradient))
    self.assign_sub(variable, learning_rate * gradient
                    / (keras.ops.sqrt(velocity) + self.epsilon))


def optimizer(system):
  """Returns the optimizer of a system."""
  rates = system.rates
  common = {"learning_rate": rates["learning_rate"], "epsilon": rates["epsilon"]}
  match system.optimizer:
    case "adam":
      return keras.optimizers.Adam(beta_1=rates["beta1"], beta_2=rates["beta2"], **common)
    case "rmsprop":
      return RMSprop(rho=rates["rho"], **common)
    case "adadelta":
      return keras.optimizers.Adadelta(rho=rates["rho"], **common)


LOSSES = {"mean_squared_error": lambda: "mse", "variational": lambda: None,
          "binary_cross_entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
          "classify": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True)}


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
    weights, self._images, self._labels, self._order = workloads.load(
        folder, "weights", "images", "labels", "order")
    self._system = systems.system(workload.system)
    self._model = Model(self._system)
    self._model.take(weights)
    self._batch, self._step, self._dataset = workload.batch, 0, dataset
    self._model.compile(optimizer=optimizer(self._system), loss=LOSSES[self._system.loss](),
                        jit_compile=jit, steps_per_execution=steps_per_execution)

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    rows = self._order[self._step:self._step + steps].reshape(-1)
    self._step += steps
    x = self._images[rows]
    data = {"classify": lambda: (x, self._labels[rows]), "variational": lambda: (x,)}.get(
        self._system.loss, lambda: (x, x))()
    clock = Stopwatch()
    options = {"epochs": 1, "verbose": 0, "callbacks": [clock]}
    if self._dataset:
      batches = tf.data.Dataset.from_tensor_slices(data).batch(self._batch, drop_remainder=True)
      self._model.fit(batches.prefetch(tf.data.AUTOTUNE), **options)
    else:
      self._model.fit(*data, batch_size=self._batch, shuffle=False, **options)
    return clock.seconds, steps

  def save(self, path):
    workloads.save_weights(path, [variable.numpy() for variable in self._model.weight_of])
