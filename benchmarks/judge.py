"""The loss of anybody's weights, by numpy alone: no contender judges itself."""

import numpy as np

import workloads


def loss(system, kernels, images):
  """Returns the mean squared error, mean over images and pixels, computed in float64.

  Args:
    system: 'S04' or 'S05'.
    kernels: as `workloads.write` lays them out.
    images: `[n, 28, 28, 1]`, scaled, minus their mean.
  """
  kernels = [np.asarray(kernel, np.float64) for kernel in kernels]
  images = np.asarray(images, np.float64)
  x = images
  if system == "S04":
    x = x.reshape(len(x), -1)
    for kernel in kernels:
      x = np.maximum(x @ kernel, 0)
    for kernel in reversed(kernels):
      x = np.maximum(x @ kernel.T, 0)
    return np.mean((x.reshape(images.shape) - images)**2)
  sides = []
  for kernel in kernels:
    sides.append(x.shape[1])
    x = np.maximum(_convolve(x, kernel), 0)
  for kernel, side in zip(reversed(kernels), reversed(sides)):
    x = np.maximum(_transposed(x, kernel, side), 0)
  return np.mean((x - images)**2)


def _convolve(x, kernel):
  """4x4, stride 2, SAME: one row of zeros before the image, one or two after it."""
  odd = x.shape[1] % 2
  x = np.pad(x, [(0, 0), (1, 1 + odd), (1, 1 + odd), (0, 0)])
  windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), (1, 2))[:, ::2, ::2]
  return np.einsum("nyxcij,ijco->nyxo", windows, kernel, optimize=True)


def _transposed(x, kernel, side):
  """What undoes `_convolve` to an image of `side`: each pixel adds its kernel to 4x4 pixels."""
  small = x.shape[1]
  taps = np.einsum("nyxo,ijco->ijnyxc", x, kernel, optimize=True)
  result = np.zeros((len(x), 2 * small + 2, 2 * small + 2, kernel.shape[2]))
  for i in range(4):
    for j in range(4):
      result[:, i:i + 2 * small:2, j:j + 2 * small:2] += taps[i, j]
  return result[:, 1:1 + side, 1:1 + side]
