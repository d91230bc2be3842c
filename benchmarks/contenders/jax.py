"""JAX: a jitted step called from Python, or lax.scan over many steps; buffers are donated."""

import time

import jax
import jax.numpy as jnp
from jax import lax

import workloads

LAYOUT = ("NHWC", "HWIO", "NHWC")


def dense(kernels, x):
  """S04."""
  shape = x.shape
  x = x.reshape(shape[0], -1)
  for kernel in kernels:
    x = jax.nn.relu(x @ kernel)
  for kernel in reversed(kernels):
    x = jax.nn.relu(x @ kernel.T)
  return x.reshape(shape)


def convolutional(kernels, x):
  """S05, with XLA's convolutions."""
  sides = []
  for kernel in kernels:
    sides.append(x.shape[1])
    x = jax.nn.relu(lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=LAYOUT))
  for kernel, side in zip(reversed(kernels), reversed(sides)):
    # As TensorFlow's SAME: one row cut off before the image; after it what is too much.
    padding = [(2, 2 - side % 2)] * 2
    x = jax.nn.relu(lax.conv_transpose(x, kernel, (2, 2), padding, dimension_numbers=LAYOUT,
                                       transpose_kernel=True))
  return x


def patches(kernels, x):
  """S05 as products of matrices: the sixteen taps of a 4x4 kernel side by side."""
  sides = []
  for kernel in kernels:
    side = x.shape[1]
    sides.append(side)
    x = jnp.pad(x, [(0, 0), (1, 1 + side % 2), (1, 1 + side % 2), (0, 0)])
    last = x.shape[1] - 3
    taps = [x[:, i:i + last:2, j:j + last:2] for i in range(4) for j in range(4)]
    x = jax.nn.relu(jnp.concatenate(taps, -1) @ kernel.reshape(-1, kernel.shape[-1]))
  for kernel, side in zip(reversed(kernels), reversed(sides)):
    small, channels = x.shape[1], kernel.shape[2]
    taps = x @ kernel.reshape(-1, kernel.shape[-1]).T
    taps = taps.reshape(*x.shape[:3], 2, 2, 2, 2, channels)  # tap i = 2 * half + parity
    total = 0
    for i in range(2):
      for j in range(2):
        part = taps[:, :, :, i, :, j].transpose(0, 1, 3, 2, 4, 5)
        part = part.reshape(-1, 2 * small, 2 * small, channels)
        total += jnp.pad(part, [(0, 0), (2 * i, 2 - 2 * i), (2 * j, 2 - 2 * j), (0, 0)])
    x = jax.nn.relu(total[:, 1:1 + side, 1:1 + side])
  return x


def adam(kernels, slots, gradients, step):
  """Returns kernels and slots after step number `step`, counted from 0."""
  rate, beta1, beta2, epsilon = workloads.ADAM.values()
  t = step.astype(jnp.float32) + 1
  rate = rate * jnp.sqrt(1 - beta2**t) / (1 - beta1**t)
  m = [beta1 * m + (1 - beta1) * g for m, g in zip(slots[0], gradients)]
  v = [beta2 * v + (1 - beta2) * g * g for v, g in zip(slots[1], gradients)]
  return [w - rate * m / (jnp.sqrt(v) + epsilon) for w, m, v in zip(kernels, m, v)], (m, v)


class Contender:
  """`train(steps)` goes on by so many steps."""

  def __init__(self, workload, folder, *, scan=0, model=None):
    """Puts all on the device and defines the step.

    Args:
      workload: name of a `Workload`.
      folder: of the workload's files.
      scan: steps a call, a divisor of what `train` is asked for; 0: one, without scan.
      model: 'patches' for the other way to compute S05.
    """
    workload = workloads.WORKLOADS[workload]
    self.versions = {"jax": jax.__version__}
    weights, images, self._order = workloads.load(folder, "weights", "images", "order")
    forward = {"S04": dense, "S05": convolutional}[workload.system] if model is None else patches
    images = jax.device_put(images)
    kernels = [jax.device_put(w) for w in weights]
    zeros = lambda: [jnp.zeros_like(w) for w in kernels]
    self._state = (kernels, (zeros(), zeros()), jnp.zeros([], jnp.int32))
    self._step, self._scan = 0, scan

    def step(state, data, index):
      kernels, slots, number = state
      x = data[index]
      gradients = jax.grad(lambda k: jnp.mean((forward(k, x) - x)**2))(kernels)
      kernels, slots = adam(kernels, slots, gradients, number)
      return kernels, slots, number + 1

    def many(state, data, indices):
      return lax.scan(lambda s, index: (step(s, data, index), None), state, indices)[0]

    call = jax.jit(many if scan else step, donate_argnums=0)
    self._call = lambda state, indices: call(state, images, indices)

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    order = self._order[self._step:self._step + steps]
    self._step += steps
    if self._scan:
      order = order.reshape(-1, self._scan, order.shape[-1])
    began = time.perf_counter()
    for indices in order:
      self._state = self._call(self._state, indices)
    jax.block_until_ready(self._state)
    return time.perf_counter() - began, steps

  def save(self, path):
    workloads.save_weights(path, self._state[0])
