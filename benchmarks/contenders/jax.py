"""JAX: a jitted step called from Python, or lax.scan over many steps; buffers are donated."""

import time

import jax
import jax.numpy as jnp
from jax import lax

import forward
import systems
import workloads

LAYOUT = ("NHWC", "HWIO", "NHWC")


class Ops:
  """The operations of `forward`, with XLA's convolutions; a new one a step, for its key."""
  exp, expm1, mean = staticmethod(jnp.exp), staticmethod(jnp.expm1), staticmethod(jnp.mean)
  relu, softplus = staticmethod(jax.nn.relu), staticmethod(jax.nn.softplus)

  def __init__(self, key):
    self._key = key

  def _next(self):
    self._key, key = jax.random.split(self._key)
    return key

  def dense(self, x, kernel, bias, layer):
    return _plus(x @ (kernel.T if layer.tied else kernel), bias)

  def conv(self, x, kernel, bias, layer):
    return _plus(lax.conv_general_dilated(
        x, kernel, (layer.stride,) * 2, layer.padding.upper(), dimension_numbers=LAYOUT), bias)

  def transposed(self, x, kernel, bias, layer):
    # lax.conv_transpose pads what was dilated: the window, less what the convolution had.
    padding = [(size - 1 - before, size - 1 - after) for size, (before, after) in
               zip(layer.kernel_shape, (systems.same(layer, 0), systems.same(layer, 1)))]
    return _plus(lax.conv_transpose(x, kernel, (layer.stride,) * 2, padding,
                                    dimension_numbers=LAYOUT, transpose_kernel=True), bias)

  def pool(self, x, layer):
    window = (1, *layer.kernel_shape, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, (1, layer.stride, layer.stride, 1),
                             layer.padding.upper())

  def upsample(self, x, layer):
    batch, height, width, channels = x.shape
    factor = layer.stride
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, factor, width, factor, channels))
    return x.reshape(batch, *layer.after)

  def reshape(self, x, shape):
    return x.reshape(len(x), *shape)

  def dropout(self, x, layer):
    keep = jax.random.bernoulli(self._next(), 1 - layer.rate, x.shape)
    return jnp.where(keep, x / (1 - layer.rate), 0)

  def normal(self, x):
    return jax.random.normal(self._next(), x.shape)

  def cross_entropy(self, logits, labels):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -jnp.mean(chosen)


def _plus(x, bias):
  return x if bias is None else x + bias


class Patches(Ops):
  """Convolutions as products of matrices: the taps of a kernel side by side."""

  def conv(self, x, kernel, bias, layer):
    step, (height, width, channels, filters) = layer.stride, kernel.shape
    x = jnp.pad(x, [(0, 0), systems.same(layer, 0), systems.same(layer, 1), (0, 0)])
    rows, columns = (step * (n - 1) + 1 for n in layer.after[:2])
    taps = [x[:, i:i + rows:step, j:j + columns:step] for i in range(height) for j in range(width)]
    x = jnp.concatenate(taps, -1) @ kernel.reshape(height * width * channels, filters)
    return _plus(x, bias)

  def transposed(self, x, kernel, bias, layer):
    # Pixel (step * p + a) sums x[p - q] kernel[step * q + a] over q: an image for each a, b, of
    # which the pixels are interleaved.
    step, (height, width, channels, _) = layer.stride, kernel.shape
    taps = x @ kernel.reshape(-1, kernel.shape[-1]).T
    taps = taps.reshape(*x.shape[:3], height, width, channels)
    most = [-(-size // step) for size in (height, width)]  # windows over a pixel
    blocks = []
    for a in range(step):
      for b in range(step):
        total = 0
        for q in range(len(range(a, height, step))):
          for r in range(len(range(b, width, step))):
            total += jnp.pad(taps[:, :, :, a + step * q, b + step * r],
                             [(0, 0), (q, most[0] - 1 - q), (r, most[1] - 1 - r), (0, 0)])
        blocks.append(total)
    batch, rows, columns, _ = blocks[0].shape
    x = jnp.stack(blocks, 3).reshape(batch, rows, columns, step, step, channels)
    x = x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * step, columns * step, channels)
    top, left = systems.same(layer, 0)[0], systems.same(layer, 1)[0]
    return _plus(x[:, top:top + layer.after[0], left:left + layer.after[1]], bias)


def adam(rates, weights, slots, gradients, step):
  """Returns weights and slots after step number `step`, counted from 0, as all updates here do."""
  rate, beta1, beta2, epsilon = (rates[k] for k in ("learning_rate", "beta1", "beta2", "epsilon"))
  t = step.astype(jnp.float32) + 1
  rate = rate * jnp.sqrt(1 - beta2**t) / (1 - beta1**t)
  m = [beta1 * m + (1 - beta1) * g for m, g in zip(slots[0], gradients)]
  v = [beta2 * v + (1 - beta2) * g * g for v, g in zip(slots[1], gradients)]
  return [w - rate * m / (jnp.sqrt(v) + epsilon) for w, m, v in zip(weights, m, v)], (m, v)


def rmsprop(rates, weights, slots, gradients, step):
  del step
  rate, rho, epsilon = (rates[k] for k in ("learning_rate", "rho", "epsilon"))
  ms = [rho * ms + (1 - rho) * g * g for ms, g in zip(slots[0], gradients)]
  return [w - rate * g / (jnp.sqrt(ms) + epsilon)
          for w, ms, g in zip(weights, ms, gradients)], (ms,)


def adadelta(rates, weights, slots, gradients, step):
  del step
  rate, rho, epsilon = (rates[k] for k in ("learning_rate", "rho", "epsilon"))
  a = [rho * a + (1 - rho) * g * g for a, g in zip(slots[0], gradients)]
  u = [jnp.sqrt(b + epsilon) / jnp.sqrt(a + epsilon) * g
       for a, b, g in zip(a, slots[1], gradients)]
  b = [rho * b + (1 - rho) * u * u for b, u in zip(slots[1], u)]
  return [w - rate * u for w, u in zip(weights, u)], (a, b)


UPDATES = {"adam": (adam, 2), "rmsprop": (rmsprop, 1), "adadelta": (adadelta, 2)}


class Contender:
  """`train(steps)` goes on by so many steps."""

  def __init__(self, workload, folder, *, scan=0, model=None):
    """Puts all on the device and defines the step.

    Args:
      workload: name of a `Workload`.
      folder: of the workload's files.
      scan: steps a call, a divisor of what `train` is asked for; 0: one, without scan.
      model: 'patches' for the other way to compute convolutions.
    """
    workload = workloads.WORKLOADS[workload]
    self.versions = {"jax": jax.__version__}
    weights, *data, self._order = workloads.load(folder, "weights", "images", "labels", "order")
    system = systems.system(workload.system)
    ops = {None: Ops, "patches": Patches}[model]
    data = jax.device_put(data)
    weights = [jax.device_put(w) for w in weights]
    update, slots = UPDATES[system.optimizer]
    zeros = tuple([jnp.zeros_like(w) for w in weights] for _ in range(slots))
    self._state = (weights, zeros, jnp.zeros([], jnp.int32))
    self._step, self._scan = 0, scan

    def step(state, data, index):
      weights, slots, number = state
      x, labels = (part[index] for part in data)
      key = jax.random.fold_in(jax.random.key(0), number) if system.random else None
      gradients = jax.grad(lambda w: forward.loss(ops(key), system, w, x, labels))(weights)
      weights, slots = update(system.rates, weights, slots, gradients, number)
      return weights, slots, number + 1

    def many(state, data, indices):
      return lax.scan(lambda s, index: (step(s, data, index), None), state, indices)[0]

    call = jax.jit(many if scan else step, donate_argnums=0)
    self._call = lambda state, indices: call(state, data, indices)

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
