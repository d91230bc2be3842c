"""From a layer spec to a layer: its raw variables, made at once, and its computation."""

import tensorflow as tf

from tfae import initializers, ops, randomness
from tfae.errors import InputError
from tfae.specs import layers as specs


class Layer(tf.Module):
  """One layer of a stack.

  Attributes:
    spec: what it was built from.
    input_shape, output_shape: tuples without the batch.
    kernel: `tf.Variable`, or None. A tied layer holds the other layer's variable itself.
    bias: `tf.Variable` [channels], or None.
    tied: whether `kernel` belongs to another layer.
  """

  def __init__(self, spec, input_shape, *, path, seed, dtype, kernel=None):
    """Makes the variables on the current device.

    Args:
      spec: a `tfae.specs.layers.Layer`.
      input_shape: tuple without the batch.
      path: variables are named `<path>/kernel`, `<path>/bias`.
      seed: int; the first values are a function of it and of the variable's name.
      dtype: of the variables, float32 or float64.
      kernel: variable to share instead of making one. For Dense it is used transposed; for
        convolutions it is the kernel of the layer that this one undoes.

    Raises:
      InputError: the shapes don't fit, or a kernel is given to a layer that has none.
    """
    super().__init__()
    self.spec, self.path, self.tied = spec, path, kernel is not None
    self.input_shape, self.output_shape = tuple(input_shape), spec.output_shape(input_shape)
    shapes = spec.weights(self.input_shape)
    self.kernel = self.bias = None
    if self.tied:
      if "kernel" not in shapes:
        raise InputError(f"{path}: can't share {kernel.name}: {type(spec).__name__} has no kernel.")
      expected = shapes["kernel"]
      if isinstance(spec, specs.Dense):
        expected = expected[::-1]
      if expected != tuple(kernel.shape):
        raise InputError(f"{path}: can't share {kernel.name} of shape {tuple(kernel.shape)}; "
                         f"{type(spec).__name__} needs {expected}.")
      self.kernel = kernel
    elif "kernel" in shapes:
      # Conv2DTranspose stores its output channels before its input channels.
      axes = (-1, -2) if isinstance(spec, specs.Conv2DTranspose) else (-2, -1)
      self.kernel = _variable(path + "/kernel", lambda name: initializers.initial_value(
          spec.kernel_initializer, shapes["kernel"], randomness.stream(seed, name), dtype, axes))
    if "bias" in shapes:
      self.bias = _variable(path + "/bias", lambda _: tf.zeros(shapes["bias"], dtype))

  @property
  def own_variables(self):
    """The variables that were made by this layer: a tied kernel is not among them."""
    return [v for v in (None if self.tied else self.kernel, self.bias) if v is not None]

  # AutoGraph, which a caller's tf.function brings along, has nothing to do here and can't read
  # `match`.
  @tf.autograph.experimental.do_not_convert
  def __call__(self, x, key=None):
    """Returns the output for `x` `[batch, *input_shape]`, computed in x's dtype.

    `key` (int64 [2], from `randomness`) turns dropout on.
    """
    spec = self.spec
    kernel = None if self.kernel is None else tf.cast(self.kernel, x.dtype)
    match spec:
      case specs.Dense():
        x = ops.dense(x, kernel, transpose_kernel=self.tied)
      case specs.Conv2DTranspose():
        x = ops.conv2d_transpose(x, kernel, spec.stride, spec.padding, self.output_shape[:2])
      case specs.Conv2D():
        x = ops.conv2d(x, kernel, spec.stride, spec.padding)
      case specs.MaxPool():
        return ops.max_pool(x, spec.size, spec.stride, spec.padding)
      case specs.Upsample():
        return ops.upsample(x, spec.factor, self.output_shape[:2])
      case specs.Flatten() | specs.Reshape():
        return tf.reshape(x, (ops.batch_size(x), *self.output_shape))
      case specs.Activation():
        return ops.activate(x, spec.function)
      case specs.Dropout():
        if key is None or not spec.rate:
          return x
        return ops.dropout(x, spec.rate, randomness.uniform(tf.shape(x), key))
    if self.bias is not None:
      x = tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))
    return ops.activate(x, spec.activation)


def _variable(name, initial_value):
  return tf.Variable(lambda: initial_value(name), name=name)
