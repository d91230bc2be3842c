"""The least that a training step costs: operations, bytes, seconds on a machine of given peaks."""

import math

import systems

# Words that an update reads and writes a parameter: weight, gradient and the slots, and all of
# them again.
_UPDATE = {"adam": 8, "adadelta": 8, "rmsprop": 6}


def products(layer):
  """Returns the multiplications that one pass of an image through a layer's kernel takes.

  A convolution's are output height x width x kernel size, a transposed one's input height x width
  x kernel size; the taps on the padding count, as every library computes them.
  """
  if layer.kernel is None:
    return 0
  places = {"dense": (), "conv": layer.after[:2], "transposed": layer.before[:2]}[layer.kind]
  return math.prod(places) * math.prod(layer.kernel_shape)


def flops(name):
  """Returns the floating-point operations of training system `name` on one image.

  Each use of a kernel costs 2 operations a product forward, 2 for the gradient of the kernel and 2
  for the gradient of its input, but for the images themselves, which need no gradient. Optimizer,
  activations, pooling and losses are left out.
  """
  each = [n for n in map(products, systems.system(name).layers) if n]
  return 6 * sum(each) - 2 * each[0]


def moved_bytes(name, batch):
  """Returns the bytes that one step moves at least, if no cache outlives an operation.

  Words of 4 bytes: the update's (Adam reads weight, gradient and two slots and writes the gradient,
  the weight and both slots: 8 a parameter). The output of each layer with a kernel is written, read
  by the next layer and read by its gradient, and its own gradient is written and read: 5 words; an
  image is read once. What stands between two such layers may be done in passing: of a convolution
  and its pooling or upsampling the smaller output counts. A cache that holds the model needs less:
  no bound for a small model.
  """
  system = systems.system(name)
  parameters = sum(math.prod(shape) for shape in system.shapes)
  stored = []
  for layer in system.layers:
    if layer.kernel is not None:
      stored.append(math.prod(layer.after))
    elif stored:
      stored[-1] = min(stored[-1], math.prod(layer.after))
  activations = sum(stored)
  return 4 * (_UPDATE[system.optimizer] * parameters
              + batch * (math.prod(systems.IMAGE) + 5 * activations))


def seconds(workload, flops_per_second, bytes_per_second):
  """Returns the seconds that a step of a `Workload` takes at least on a machine of such peaks."""
  return max(flops(workload.system) * workload.batch / flops_per_second,
             moved_bytes(workload.system, workload.batch) / bytes_per_second)
