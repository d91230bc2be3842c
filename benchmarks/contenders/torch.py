"""PyTorch: eager, or torch.compile of forward and backward, or of the whole step."""

import itertools
import os
import time

import torch
import torch.nn.functional as F

import forward
import systems
import workloads


class Ops:
  """The operations of `forward`; images `[n, channels, height, width]`, see `Layout`."""
  exp, expm1, mean = staticmethod(torch.exp), staticmethod(torch.expm1), staticmethod(torch.mean)
  relu, softplus = staticmethod(F.relu), staticmethod(F.softplus)
  normal, cross_entropy = staticmethod(torch.randn_like), staticmethod(F.cross_entropy)

  def __init__(self, channels_last):
    self._channels_last = channels_last

  def dense(self, x, kernel, bias, layer):
    kernel = kernel.T if layer.tied else kernel
    return x @ kernel if bias is None else torch.addmm(bias, x, kernel)

  def conv(self, x, kernel, bias, layer):
    (top, bottom), (left, right) = systems.same(layer, 0), systems.same(layer, 1)
    if (top, left) == (bottom, right):
      return F.conv2d(x, kernel, bias, stride=layer.stride, padding=(top, left))
    return F.conv2d(F.pad(x, (left, right, top, bottom)), kernel, bias, stride=layer.stride)

  def transposed(self, x, kernel, bias, layer):
    (top, bottom), (left, right) = systems.same(layer, 0), systems.same(layer, 1)
    x = F.conv_transpose2d(x, kernel, bias, stride=layer.stride, padding=(top, left))
    height, width, _ = layer.after
    return x if (top, left) == (bottom, right) else x[:, :, :height, :width]

  def pool(self, x, layer):
    return F.max_pool2d(x, layer.kernel_shape, layer.stride, ceil_mode=layer.padding == "same")

  def upsample(self, x, layer):
    return F.interpolate(x, scale_factor=layer.stride, mode="nearest")

  def reshape(self, x, shape):
    if x.dim() == 4:
      x = x.permute(0, 2, 3, 1) if self._channels_last else x
      return x.reshape(len(x), *shape)
    height, width, channels = shape
    if self._channels_last:
      return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    return x.reshape(-1, channels, height, width)

  def dropout(self, x, layer):
    return F.dropout(x, layer.rate)


class Layout:
  """PyTorch's layout of weights: convolutions `[out, in, height, width]`.

  Vectors that come of images, or become some, are in the order in which the images lie in memory,
  so that no step has to turn them; the weights on both sides are turned once instead.
  """

  def __init__(self, system, channels_last):
    self._memory = torch.channels_last if channels_last else torch.contiguous_format
    self._images, self._turns = {}, {}
    layers = system.layers
    for layer, after in zip(layers, layers[1:] + [None]):
      if layer.kernel is None:
        continue
      if layer.kind != "dense":
        self._images[layer.kernel] = True
      elif after and after.kind == "reshape" and len(after.after) == 3 and not layer.tied:
        self._turns[layer.kernel] = (1, after.after)
        if layer.bias is not None:
          self._turns[layer.bias] = (0, after.after)
    for before, layer in zip(layers, layers[1:]):
      if before.kind == "reshape" and len(before.before) == 3 and layer.kind == "dense":
        self._turns[layer.kernel] = (0, before.before)
    if channels_last:
      self._turns = {}

  def take(self, index, weight):
    """Returns a weight of `workloads.load` as a tensor of this layout."""
    weight = torch.from_numpy(weight)
    if index in self._images:
      return weight.permute(3, 2, 0, 1).contiguous(memory_format=self._memory)
    if index in self._turns:
      axis, (height, width, channels) = self._turns[index]
      parts = weight.unflatten(axis, (height, width, channels))
      weight = parts.movedim(axis + 2, axis).flatten(axis, axis + 2)
    return weight.contiguous()

  def give(self, index, weight):
    """Undoes `take`."""
    weight = weight.detach()
    if index in self._images:
      weight = weight.permute(2, 3, 1, 0)
    if index in self._turns:
      axis, (height, width, channels) = self._turns[index]
      parts = weight.unflatten(axis, (channels, height, width))
      weight = parts.movedim(axis, axis + 2).flatten(axis, axis + 2)
    return weight.numpy()


class Contender:
  """`train(steps)` goes on by so many steps."""

  def __init__(self, workload, folder, *, mode="eager", optimizer="foreach", channels_last=False):
    """Puts all in place and defines the step.

    Args:
      workload: name of a `Workload`.
      folder: of the workload's files.
      mode: 'eager'; 'compile': forward and backward compiled; 'whole': with the update, one graph.
      optimizer: 'fused' or 'foreach'; 'whole' has its own.
      channels_last: memory format of images.
    """
    workload = workloads.WORKLOADS[workload]
    self.versions = {"torch": torch.__version__}
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)  # as TensorFlow and XLA do
    self._system = systems.system(workload.system)
    weights, images, labels, order = workloads.load(folder, "weights", "images", "labels", "order")
    self._layout, self._ops = Layout(self._system, channels_last), Ops(channels_last)
    self._weights = [torch.nn.Parameter(self._layout.take(i, w)) for i, w in enumerate(weights)]
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    self._data = images.contiguous(memory_format=memory), torch.from_numpy(labels).long()
    self._order, self._step = torch.from_numpy(order), 0
    self._call = self._whole_step() if mode == "whole" else self._step_of(mode, optimizer)

  def _loss(self, weights, images, labels, index):
    labels = labels[index] if self._system.loss == "classify" else None
    return forward.loss(self._ops, self._system, weights, images[index], labels)

  def _step_of(self, mode, how):
    """Returns a step with PyTorch's own optimizer."""
    rates = self._system.rates
    rate, epsilon = rates["learning_rate"], rates["epsilon"]
    match self._system.optimizer:
      case "adam":
        betas = rates["beta1"], rates["beta2"]
        optimizer = torch.optim.Adam(self._weights, rate, betas, epsilon, **{how: True})
      case "rmsprop":
        optimizer = torch.optim.RMSprop(self._weights, rate, rates["rho"], epsilon,
                                        **{how: True})
      case "adadelta":
        optimizer = torch.optim.Adadelta(self._weights, rate, rates["rho"], epsilon,
                                         **{how: True})
    (group,) = optimizer.param_groups
    loss = torch.compile(self._loss) if mode == "compile" else self._loss
    number = itertools.count(1)

    def step(*data):
      optimizer.zero_grad()
      loss(self._weights, *data).backward()
      if self._system.optimizer == "adam":
        # The others' epsilon is that of the reordered form, see `tfae.Adam`.
        group["eps"] = epsilon / (1 - rates["beta2"]**next(number))**.5
      optimizer.step()
    return step

  def _whole_step(self):
    """Returns one compiled graph of forward, backward and update."""
    rates = self._system.rates
    rate, epsilon = rates["learning_rate"], rates["epsilon"]
    slots = [(torch.zeros_like(w), torch.zeros_like(w)) for w in self._weights]
    number = torch.zeros([])

    def adam(number, weight, m, v, gradient):
      beta1, beta2 = rates["beta1"], rates["beta2"]
      scale = rate * torch.sqrt(1 - beta2**number) / (1 - beta1**number)
      m.lerp_(gradient, 1 - beta1)
      v.lerp_(gradient * gradient, 1 - beta2)
      weight -= scale * m / (v.sqrt() + epsilon)

    def rmsprop(number, weight, ms, _, gradient):
      ms.lerp_(gradient * gradient, 1 - rates["rho"])
      weight -= rate * gradient / (ms.sqrt() + epsilon)

    def adadelta(number, weight, a, b, gradient):
      a.lerp_(gradient * gradient, 1 - rates["rho"])
      u = (b + epsilon).sqrt() / (a + epsilon).sqrt() * gradient
      b.lerp_(u * u, 1 - rates["rho"])
      weight -= rate * u

    update = {"adam": adam, "rmsprop": rmsprop, "adadelta": adadelta}[self._system.optimizer]

    @torch.compile
    def step(weights, slots, number, *data):
      gradients = torch.func.grad(self._loss)(weights, *data)
      number += 1
      for weight, (one, other), gradient in zip(weights, slots, gradients):
        update(number, weight, one, other, gradient)

    weights = [weight.detach() for weight in self._weights]
    return lambda *data: step(weights, slots, number, *data)

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    order = self._order[self._step:self._step + steps]
    self._step += steps
    began = time.perf_counter()
    for index in order:
      self._call(*self._data, index)
    return time.perf_counter() - began, steps

  def save(self, path):
    workloads.save_weights(path, [self._layout.give(i, w) for i, w in enumerate(self._weights)])
