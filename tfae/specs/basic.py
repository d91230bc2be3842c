"""The layers that do one thing: dense, convolution, pooling, reshaping, activation, dropout.

A spec is a frozen dataclass that checks its own fields and does its own shape arithmetic, in
pure Python: an impossible stack is refused before TensorFlow is imported. Shapes are tuples of
ints without the batch: `(height, width, channels)` for images, `(features,)` for vectors.

Size arithmetic of convolution and pooling: Dumoulin and Visin 2016, "A guide to convolution
arithmetic for deep learning", sections 2 and 4, with TensorFlow's "same" padding.
"""

import dataclasses
import math

from tfae.errors import InputError, check_bool, check_choice, check_float32, check_int, shown

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid",
               "softplus", "softmax")
INITIALIZERS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
                "lecun_normal", "orthogonal", "zeros", "ones")
PADDINGS = ("same", "valid")

# Found by trying (TensorFlow 2.21, CPU): a transposed convolution of stride 700 crashes the
# process, one of 512 does not.
LARGEST_STRIDE = 256
LARGEST_WINDOW = 4096  # of a pooling or upsampling, which is as many copies of the image
LARGEST_RANK = 8  # of a Reshape; TensorFlow aborts the process at 255
LARGEST_SIZE = 2**31 - 1  # values of one image or weight: TensorFlow's kernels count in 32 bits


@dataclasses.dataclass(frozen=True)
class Normal:
  """Initialiser: normal with mean 0 and standard deviation `stddev`."""
  stddev: float

  def __post_init__(self):
    object.__setattr__(self, "stddev", check_float32("Normal.stddev", self.stddev, 0, above=True))


def _pair(name, value, maximum=LARGEST_SIZE):
  """Returns (vertical, horizontal) of an int or a pair of ints from 1 to `maximum`."""
  pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
  if len(pair) != 2:
    raise InputError(f"{name}={shown(value)}: expected an integer or a pair (vertical, "
                     "horizontal).")
  return tuple(check_int(name, v, 1, maximum) for v in pair)


def _windows(layer, size, window, stride, padding):
  """Returns how many windows fit along one axis of `size` pixels."""
  count = math.ceil(size / stride) if padding == "same" else (size - window) // stride + 1
  if count < 1:
    raise InputError(f"{layer}: a window of {window} does not fit into {size} pixels with "
                     "padding='valid'. Use padding='same', a smaller window or fewer layers.")
  return count


def _is_image(layer, shape):
  if len(shape) != 3:
    raise InputError(f"{layer}: expected an input of shape (height, width, channels), found "
                     f"{shape}. Put Reshape((height, width, channels)) before it.")


@dataclasses.dataclass(frozen=True)
class Layer:
  """Base of all layer specs."""

  def output_shape(self, input_shape):
    """Returns the shape that `input_shape` becomes; raises InputError if it can't be taken."""
    raise NotImplementedError

  # The sequences of layers that lie inside this one; () for all but a Branch.
  branches = ()

  def weights(self, input_shape):
    """Returns {name: shape} of the trainable variables for an input of `input_shape`."""
    del input_shape
    return {}

  def _set(self, **fields):
    for name, value in fields.items():
      object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class _Affine(Layer):
  """What Dense, Conv2D and Conv2DTranspose share; kernels are their only weights of rank > 1."""
  activation: str = dataclasses.field(default="linear", kw_only=True)
  use_bias: bool = dataclasses.field(default=True, kw_only=True)
  kernel_initializer: object = dataclasses.field(default="glorot_uniform", kw_only=True)

  def __post_init__(self):
    layer = type(self).__name__
    check_choice(f"{layer}.activation", self.activation, ACTIVATIONS)
    check_bool(f"{layer}.use_bias", self.use_bias)
    if not isinstance(self.kernel_initializer, Normal):
      check_choice(f"{layer}.kernel_initializer", self.kernel_initializer, INITIALIZERS)

  def _with_bias(self, kernel_shape, channels):
    return {"kernel": kernel_shape, **({"bias": (channels,)} if self.use_bias else {})}


@dataclasses.dataclass(frozen=True)
class Dense(_Affine):
  """activation(x W + b): `[batch, n]` to `[batch, units]`; kernel `[n, units]`."""
  units: int

  def __post_init__(self):
    super().__post_init__()
    self._set(units=check_int("Dense.units", self.units, 1))

  def output_shape(self, input_shape):
    if len(input_shape) != 1:
      raise InputError(f"Dense: expected an input of shape (features,), found {input_shape}. "
                       "Put Flatten() before it.")
    return (self.units,)

  def weights(self, input_shape):
    return self._with_bias((input_shape[0], self.units), self.units)


@dataclasses.dataclass(frozen=True)
class Conv2D(_Affine):
  """Cross-correlation: `[batch, h, w, c]` to `[batch, h', w', filters]`; kernel `[kh, kw, c, filters]`.

  h' = ceil(h / stride) with padding 'same', floor((h - kh) / stride) + 1 with 'valid'.
  """
  filters: int
  kernel_size: int | tuple
  stride: int | tuple = 1
  padding: str = "same"

  def __post_init__(self):
    super().__post_init__()
    layer = type(self).__name__
    self._set(filters=check_int(f"{layer}.filters", self.filters, 1),
              kernel_size=_pair(f"{layer}.kernel_size", self.kernel_size),
              stride=_pair(f"{layer}.stride", self.stride, LARGEST_STRIDE))
    check_choice(f"{layer}.padding", self.padding, PADDINGS)

  def output_shape(self, input_shape):
    _is_image("Conv2D", input_shape)
    return tuple(_windows("Conv2D", *axis, self.padding) for axis in
                 zip(input_shape, self.kernel_size, self.stride)) + (self.filters,)

  def weights(self, input_shape):
    return self._with_bias((*self.kernel_size, input_shape[2], self.filters), self.filters)


@dataclasses.dataclass(frozen=True)
class Conv2DTranspose(Conv2D):
  """The transpose of Conv2D: `[batch, h', w', c]` to `[batch, h, w, filters]`; kernel `[kh, kw, filters, c]`.

  `output_size` (h, w) chooses among the sizes that a Conv2D of the same kernel, stride and
  padding takes to (h', w'). Without it: h' * stride with 'same', (h' - 1) * stride + kh with
  'valid'.
  """
  output_size: tuple | None = None

  def __post_init__(self):
    super().__post_init__()
    if self.output_size is not None:
      self._set(output_size=_pair("Conv2DTranspose.output_size", self.output_size))

  def output_shape(self, input_shape):
    _is_image("Conv2DTranspose", input_shape)
    size = self.output_size or tuple(
        n * stride if self.padding == "same" else (n - 1) * stride + window
        for n, window, stride in zip(input_shape, self.kernel_size, self.stride))
    for n, *axis in zip(input_shape, size, self.kernel_size, self.stride):
      if _windows("Conv2DTranspose", *axis, self.padding) != n:
        raise InputError(f"Conv2DTranspose.output_size={self.output_size}: a convolution with "
                         f"kernel {self.kernel_size}, stride {self.stride} and padding "
                         f"{self.padding!r} does not take it to {input_shape[:2]}. Leave it None "
                         "for the usual size.")
    return (*size, self.filters)

  def weights(self, input_shape):
    return self._with_bias((*self.kernel_size, self.filters, input_shape[2]), self.filters)


@dataclasses.dataclass(frozen=True)
class MaxPool(Layer):
  """Maximum over windows: `[batch, h, w, c]` to `[batch, h', w', c]`; sizes as Conv2D's.

  `stride` None means `size`: windows side by side.
  """
  size: int | tuple = 2
  stride: int | tuple | None = None
  padding: str = "same"

  def __post_init__(self):
    self._set(size=_pair("MaxPool.size", self.size, LARGEST_WINDOW))
    self._set(stride=self.size if self.stride is None
              else _pair("MaxPool.stride", self.stride, LARGEST_WINDOW))
    check_choice("MaxPool.padding", self.padding, PADDINGS)

  def output_shape(self, input_shape):
    _is_image("MaxPool", input_shape)
    return tuple(_windows("MaxPool", *axis, self.padding) for axis in
                 zip(input_shape, self.size, self.stride)) + input_shape[2:]


@dataclasses.dataclass(frozen=True)
class Upsample(Layer):
  """Nearest neighbour: each pixel becomes a block of `factor`; `[batch, h, w, c]`.

  `output_size` (h, w) cuts the last row and column of blocks short, or repeats the last pixel.
  """
  factor: int | tuple = 2
  output_size: tuple | None = None

  def __post_init__(self):
    self._set(factor=_pair("Upsample.factor", self.factor, LARGEST_WINDOW))
    if self.output_size is not None:
      self._set(output_size=_pair("Upsample.output_size", self.output_size))

  def output_shape(self, input_shape):
    _is_image("Upsample", input_shape)
    full = tuple(n * factor for n, factor in zip(input_shape, self.factor))
    size = self.output_size or full
    if any(n <= m - factor for n, m, factor in zip(size, full, self.factor)):
      raise InputError(f"Upsample.output_size={self.output_size}: would cut off whole pixels of "
                       f"the {input_shape[:2]} input; at least "
                       f"{tuple(m - f + 1 for m, f in zip(full, self.factor))} is needed.")
    return size + input_shape[2:]


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
  """`[batch, ...]` to `[batch, product]`, in row-major order."""

  def output_shape(self, input_shape):
    return (math.prod(input_shape),)


@dataclasses.dataclass(frozen=True)
class Reshape(Layer):
  """`[batch, ...]` to `[batch, *shape]`, in row-major order."""
  shape: tuple

  def __post_init__(self):
    shape = self.shape if isinstance(self.shape, (tuple, list)) else (self.shape,)
    if not shape:
      raise InputError(f"Reshape.shape={self.shape!r}: expected at least one size.")
    if len(shape) > LARGEST_RANK:
      raise InputError(f"Reshape.shape={shown(self.shape)}: expected at most {LARGEST_RANK} sizes, "
                       f"found {len(shape)}.")
    self._set(shape=tuple(check_int("Reshape.shape", n, 1) for n in shape))

  def output_shape(self, input_shape):
    if math.prod(input_shape) != math.prod(self.shape):
      raise InputError(f"Reshape.shape={self.shape}: holds {math.prod(self.shape)} values, the "
                       f"input {input_shape} has {math.prod(input_shape)}.")
    return self.shape


@dataclasses.dataclass(frozen=True)
class Activation(Layer):
  """A function of each value by itself (softmax: of each vector along the last axis)."""
  function: str

  def __post_init__(self):
    check_choice("Activation.function", self.function, ACTIVATIONS)

  def output_shape(self, input_shape):
    return input_shape


@dataclasses.dataclass(frozen=True)
class Dropout(Layer):
  """In training each value is 0 with probability `rate`, the others are scaled by 1 / (1 - rate).

  Source: Srivastava et al. 2014, section 10 (the inverted form). Identity outside training.
  """
  rate: float

  def __post_init__(self):
    self._set(rate=check_float32("Dropout.rate", self.rate, 0, 1, below=True))

  def output_shape(self, input_shape):
    return input_shape
