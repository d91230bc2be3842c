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
    branches: the layers inside this one, a list of lists; empty for all but a `Branch`.
  """

  branches = ()

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
    """The trainable variables that were made by this layer: a tied kernel is not among them."""
    return [v for v in (None if self.tied else self.kernel, self.bias) if v is not None]

  # AutoGraph, which a caller's tf.function brings along, has nothing to do here and can't read
  # `match`.
  @tf.autograph.experimental.do_not_convert
  def __call__(self, x, key=None, weights=None):
    """Returns the output for `x` `[batch, *input_shape]`, computed in x's dtype.

    Args:
      x: float32, float64 or bfloat16.
      key: int64 [2], from `randomness`: in training, for dropout and the statistics of the batch.
      weights: `[batch]`, 0 for padding; None: none is. Looked at in training only.
    """
    spec = self.spec
    match spec:
      case specs.MaxPool():
        return ops.max_pool(x, spec.size, spec.stride, spec.padding)
      case specs.Upsample():
        return ops.upsample(x, spec.factor, self.output_shape[:2])
      case specs.Flatten() | specs.Reshape():
        return tf.reshape(x, (-1, *self.output_shape))
      case specs.Activation():
        return ops.activate(x, spec.function)
      case specs.Dropout():
        if key is None or 1 - spec.rate == 1:
          return x
        return ops.dropout(x, spec.rate, randomness.below(1 - spec.rate, tf.shape(x), key))
    return self.finish(self.product(x))

  def product(self, x):
    """Returns what the kernel makes of x."""
    spec, kernel = self.spec, tf.cast(self.kernel, x.dtype)
    match spec:
      case specs.Dense():
        return ops.dense(x, kernel, transpose_kernel=self.tied)
      case specs.Conv2DTranspose():
        return ops.conv2d_transpose(x, kernel, spec.stride, spec.padding, self.output_shape[:2])
      case specs.Conv2D():
        return ops.conv2d(x, kernel, spec.stride, spec.padding)

  def finish(self, x):
    """Returns the output, of what `product` gave: with bias and activation."""
    if self.bias is not None:
      x = tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))
    return ops.activate(x, self.spec.activation)


class Normalization(Layer):
  """A BatchNorm or LayerNorm, computed in float32 also where x is bfloat16.

  Attributes:
    gamma, beta: `tf.Variable` [channels], or None.
    moving_mean, moving_variance: `tf.Variable` [channels], not trainable; None for a LayerNorm.
  """

  def __init__(self, spec, input_shape, *, path, seed, dtype, kernel=None):
    super().__init__(spec, input_shape, path=path, seed=seed, dtype=dtype, kernel=kernel)
    channels = self.input_shape[-1:]
    self.gamma = self.beta = self.moving_mean = self.moving_variance = None
    if spec.scale:
      self.gamma = _variable(f"{path}/gamma", lambda _: tf.ones(channels, dtype))
    if spec.center:
      self.beta = _variable(f"{path}/beta", lambda _: tf.zeros(channels, dtype))
    if isinstance(spec, specs.BatchNorm):
      self.moving_mean = _variable(f"{path}/moving_mean", lambda _: tf.zeros(channels, dtype),
                                   trainable=False)
      self.moving_variance = _variable(f"{path}/moving_variance",
                                       lambda _: tf.ones(channels, dtype), trainable=False)

  @property
  def own_variables(self):
    return [v for v in (self.gamma, self.beta) if v is not None]

  @tf.autograph.experimental.do_not_convert
  def __call__(self, x, key=None, weights=None):
    dtype = x.dtype
    x = tf.cast(x, tf.float64 if dtype == tf.float64 else tf.float32)
    if isinstance(self.spec, specs.LayerNorm):
      mean, variance = ops.layer_moments(x)
    elif key is None:
      mean, variance = self.moving_mean, self.moving_variance
    else:
      mean, variance, n = ops.batch_moments(x, weights)
      self._move(mean, variance * (n / tf.maximum(n - 1, 1)))
    x = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.spec.epsilon)
    return tf.cast(x, dtype)

  def _move(self, mean, variance):
    """Takes the moving averages a step on; `variance` divided by n - 1, as in algorithm 2."""
    for variable, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
      momentum = tf.constant(self.spec.momentum, variable.dtype)
      # Each replica its own copy: `assign` is not for replicas.
      tf.raw_ops.AssignVariableOp(resource=variable.handle,
                                  value=momentum * variable + (1 - momentum) * value)


class Branch(Layer):
  """Several sequences of layers on one input, merged."""

  def __init__(self, spec, input_shape, *, path, seed, dtype, kernel=None):
    super().__init__(spec, input_shape, path=path, seed=seed, dtype=dtype, kernel=kernel)
    self.branches = [
        [make(layer, shape, path=f"{path}/branch_{j}/layer_{k}", seed=seed, dtype=dtype)
         for k, (layer, shape) in enumerate(zip(branch, along))]
        for j, (branch, along) in enumerate(zip(spec.branches, spec.paths(self.input_shape)))]

  @property
  def own_variables(self):
    return [v for branch in self.branches for layer in branch for v in layer.own_variables]

  @tf.autograph.experimental.do_not_convert
  def __call__(self, x, key=None, weights=None):
    ends = []
    for j, branch in enumerate(self.branches):
      end, branch_key = x, None if key is None else randomness.fold_in(key, j)
      with tf.name_scope(f"branch_{j}"):
        for k, layer in enumerate(branch):
          end = run(layer, k, f"layer_{k}", end, branch_key, weights)
      ends.append(end)
    return tf.add_n(ends) if self.spec.merge == "sum" else tf.concat(ends, -1)


_KINDS = {specs.BatchNorm: Normalization, specs.LayerNorm: Normalization, specs.Branch: Branch}


def make(spec, input_shape, **options):
  """Returns the `Layer` of a spec; the arguments are those of `Layer`."""
  return _KINDS.get(type(spec), Layer)(spec, input_shape, **options)


def pools_before_bias(layer, following):
  """Returns whether `following`, another layer or None, can come before `layer.finish`.

  The maximum of a window plus the bias, of a function that never falls, is the maximum of the
  finished values; and a pooling leaves a quarter of them, or less, to finish.
  """
  return (layer.kernel is not None and isinstance(following and following.spec, specs.MaxPool)
          and layer.spec.activation in ("linear", "relu", "leaky_relu"))


def run(layer, index, scope, x, key=None, weights=None):
  """Returns what `layer` makes of x, its ops named in `scope`.

  Args:
    layer: a `Layer`.
    index: its place among its sisters, which makes its random numbers its own.
    scope: of the names of ops.
    x, key, weights: as the layer's; key is that of all its sisters.
  """
  if key is not None and isinstance(layer.spec, (specs.Dropout, specs.Branch)):
    key = randomness.fold_in(key, index)
  with tf.name_scope(scope):
    return layer(x, key, weights)


def _variable(name, initial_value, trainable=True):
  return tf.Variable(lambda: initial_value(name), name=name, trainable=trainable)
