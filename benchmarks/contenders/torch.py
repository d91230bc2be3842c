"""PyTorch: eager, or torch.compile of forward and backward, or of the whole step."""

import itertools
import os
import time

import torch
import torch.nn.functional as F

import workloads


def dense(kernels, x):
  """S04; kernels `[in, out]`."""
  shape = x.shape
  x = x.reshape(shape[0], -1)
  for kernel in kernels:
    x = F.relu(x @ kernel)
  for kernel in reversed(kernels):
    x = F.relu(x @ kernel.T)
  return x.reshape(shape)


def convolutional(kernels, x):
  """S05; images `[n, channels, height, width]`, kernels `[out, in, height, width]`."""
  sides = []
  for kernel in kernels:
    side = x.shape[2]
    sides.append(side)
    if side % 2:  # TensorFlow's SAME pads more after the image than before it
      x = F.relu(F.conv2d(F.pad(x, (1, 2, 1, 2)), kernel, stride=2))
    else:
      x = F.relu(F.conv2d(x, kernel, stride=2, padding=1))
  for kernel, side in zip(reversed(kernels), reversed(sides)):
    x = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    x = F.relu(x[:, :, :side, :side] if side % 2 else x)
  return x


class Contender:
  """`train(steps)` goes on by so many steps."""

  def __init__(self, workload, folder, *, mode="eager", adam="fused", channels_last=False):
    """Puts all in place and defines the step.

    Args:
      workload: name of a `Workload`.
      folder: of the workload's files.
      mode: 'eager'; 'compile': forward and backward compiled; 'whole': with Adam, one graph.
      adam: 'fused' or 'foreach'; not of 'whole', which has its own.
      channels_last: memory format of S05.
    """
    workload = workloads.WORKLOADS[workload]
    self.versions = {"torch": torch.__version__}
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)  # as TensorFlow and XLA do
    weights, images, order = workloads.load(folder, "weights", "images", "order")
    self._convolutional = workload.system == "S05"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    kernels, images = [torch.from_numpy(w) for w in weights], torch.from_numpy(images)
    if self._convolutional:
      kernels = [kernel.permute(3, 2, 0, 1).contiguous(memory_format=layout) for kernel in kernels]
      images = images.permute(0, 3, 1, 2).contiguous(memory_format=layout)
    self._kernels = [torch.nn.Parameter(kernel) for kernel in kernels]
    self._images, self._order, self._step = images, torch.from_numpy(order), 0
    self._forward = convolutional if self._convolutional else dense
    self._call = self._whole_step() if mode == "whole" else self._step_of(mode, adam)

  def _loss(self, kernels, images, index):
    x = images[index]
    return F.mse_loss(self._forward(kernels, x), x)

  def _step_of(self, mode, adam):
    """Returns a step with PyTorch's own optimizer."""
    rate, beta1, beta2, epsilon = workloads.ADAM.values()
    optimizer = torch.optim.Adam(self._kernels, rate, (beta1, beta2), epsilon, **{adam: True})
    (group,) = optimizer.param_groups
    loss = torch.compile(self._loss) if mode == "compile" else self._loss
    number = itertools.count(1)

    def step(images, index):
      optimizer.zero_grad()
      loss(self._kernels, images, index).backward()
      # The others' epsilon is that of the reordered form, see `tfae.Adam`.
      group["eps"] = epsilon / (1 - beta2**next(number))**.5
      optimizer.step()
    return step

  def _whole_step(self):
    """Returns one compiled graph of forward, backward and Adam."""
    rate, beta1, beta2, epsilon = workloads.ADAM.values()
    slots = [(torch.zeros_like(kernel), torch.zeros_like(kernel)) for kernel in self._kernels]
    number = torch.zeros([])

    @torch.compile
    def step(kernels, slots, number, images, index):
      gradients = torch.func.grad(self._loss)(kernels, images, index)
      number += 1
      scale = rate * torch.sqrt(1 - beta2**number) / (1 - beta1**number)
      for kernel, (m, v), gradient in zip(kernels, slots, gradients):
        m.lerp_(gradient, 1 - beta1)
        v.lerp_(gradient * gradient, 1 - beta2)
        kernel -= scale * m / (v.sqrt() + epsilon)

    kernels = [kernel.detach() for kernel in self._kernels]
    return lambda images, index: step(kernels, slots, number, images, index)

  def train(self, steps):
    """Returns (seconds, steps that were timed)."""
    order = self._order[self._step:self._step + steps]
    self._step += steps
    began = time.perf_counter()
    for index in order:
      self._call(self._images, index)
    return time.perf_counter() - began, steps

  def save(self, path):
    kernels = [kernel.detach() for kernel in self._kernels]
    if self._convolutional:
      kernels = [kernel.permute(2, 3, 1, 0) for kernel in kernels]
    workloads.save_weights(path, [kernel.numpy() for kernel in kernels])
