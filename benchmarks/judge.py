"""The loss of anybody's weights, by numpy alone: no contender judges itself."""

import numpy as np

import forward
import systems

_CHUNK = 100  # images at a time: patches of convolutions take memory


def loss(name, weights, images, labels=None):
  """Returns the loss of a system without its noise and dropout, computed in float64.

  Args:
    name: of the system.
    weights: as `workloads.write` lays them out.
    images: `[n, 28, 28, 1]`, scaled, minus their mean; n a multiple of 100, or less than that.
    labels: integers `[n]`, of a classifier.
  """
  weights = [np.asarray(weight, np.float64) for weight in weights]
  values = []
  for first in range(0, len(images), _CHUNK):
    chunk = slice(first, first + _CHUNK)
    values.append(forward.loss(
        Numpy, systems.system(name), weights, np.asarray(images[chunk], np.float64),
        None if labels is None else labels[chunk], training=False))
  return float(np.mean(values))


class Numpy:
  """The operations of `forward` on arrays."""
  exp, expm1, mean = staticmethod(np.exp), staticmethod(np.expm1), staticmethod(np.mean)

  @staticmethod
  def dense(x, kernel, bias, layer):
    return _plus(x @ (kernel.T if layer.tied else kernel), bias)

  @staticmethod
  def conv(x, kernel, bias, layer):
    windows = _windows(x, layer)  # [n, y, x, channels, i, j]
    flat = kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[3])
    y = windows.reshape(-1, len(flat)).dot(flat)
    return _plus(y.reshape(len(x), *layer.after), bias)

  @staticmethod
  def transposed(x, kernel, bias, layer):
    """Each pixel adds its kernel to a window of pixels, a stride after the one before."""
    step, (rows, columns) = layer.stride, layer.before[:2]
    taps = np.tensordot(x, kernel, (3, 3))  # [n, y, x, i, j, channels]
    size = [(n - 1) * step + window for n, window in zip(layer.before[:2], layer.kernel_shape)]
    result = np.zeros((len(x), *size, kernel.shape[2]))
    for i in range(kernel.shape[0]):
      for j in range(kernel.shape[1]):
        result[:, i:i + step * rows:step, j:j + step * columns:step] += taps[:, :, :, i, j]
    (top, bottom), (left, right) = systems.same(layer, 0), systems.same(layer, 1)
    return _plus(result[:, top:size[0] - bottom, left:size[1] - right], bias)

  @staticmethod
  def pool(x, layer):
    return _windows(x, layer, -np.inf).max((4, 5))

  @staticmethod
  def upsample(x, layer):
    return x.repeat(layer.stride, 1).repeat(layer.stride, 2)

  @staticmethod
  def reshape(x, shape):
    return x.reshape(len(x), *shape)

  @staticmethod
  def relu(x):
    return np.maximum(x, 0)

  @staticmethod
  def softplus(x):
    return np.logaddexp(x, 0)

  @staticmethod
  def cross_entropy(logits, labels):
    logits = logits - logits.max(1, keepdims=True)
    chosen = np.take_along_axis(logits, np.asarray(labels)[:, None], 1)[:, 0]
    return np.mean(np.log(np.exp(logits).sum(1)) - chosen)


def _plus(x, bias):
  return x if bias is None else x + bias


def _windows(x, layer, value=0):
  """Returns the windows of a layer: `[n, y, x, channels, height, width]`."""
  padding = [(0, 0), systems.same(layer, 0), systems.same(layer, 1), (0, 0)]
  x = np.pad(x, padding, constant_values=value)
  windows = np.lib.stride_tricks.sliding_window_view(x, layer.kernel_shape[:2], (1, 2))
  return windows[:, ::layer.stride, ::layer.stride]
