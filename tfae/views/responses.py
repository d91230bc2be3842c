"""What the layers of a model answer to images."""

import tensorflow as tf

from tfae.data.pipeline import Batch
from tfae.errors import InputError, nearest, shown


def layer_outputs(model, images):
  """Returns {layer's path: its output, float32 `[n, ...]`} in the order of the forward pass.

  Outside training: no dropout, moving averages; a variational model's decoder sees the mean code.
  Outputs are those after the layer's own activation.

  Args:
    model: a `tfae.models.model.Model`.
    images: `[n, *input_shape]` in the dataset's units.
  """
  return {layer.path: tf.cast(value, tf.float32).numpy()
          for layer, value in _outputs(model, tf.convert_to_tensor(images, tf.float32))}


def output_of(model, path, images):
  """Returns the output tensor of the layer of that path alone; see `layer_outputs`."""
  return next(value for layer, value in _outputs(model, images) if layer.path == path)


def before_activation(model, path, images):
  """Returns a layer's value before its activation, of one with a kernel; else its output."""
  layer, outputs = layer_of(model, path), {}
  x, previous = model.normalised(images), None
  for found, value in _outputs(model, images):
    component = found.path.rpartition("/layer_")[0]
    if component != previous:
      # Both heads of a variational model see what its encoder gives, the decoder the mean.
      x = outputs.get({"log_variance": "encoder", "decoder": "mean"}.get(component), x)
      previous = component
    if found is layer:
      break
    x = outputs[component] = value
  if layer.kernel is None:
    return value
  x = layer.product(x)
  return x if layer.bias is None else tf.nn.bias_add(x, tf.cast(layer.bias, x.dtype))


def layer_of(model, name):
  """Returns the `tfae.layers.Layer` that a user means by 'encoder/layer_1'.

  Raises:
    InputError: no such layer, with the nearest and all that there are.
  """
  layers = {layer.path: layer for stack in model.components.values() for layer in stack.layers}
  if name not in layers:
    raise InputError(f"layer={shown(name)}: the model has no such layer.{nearest(name, layers)} It "
                     f"has {', '.join(layers)}.")
  return layers[name]


def _outputs(model, images):
  return model.outputs(Batch(images, images, None, tf.ones(tf.shape(images)[:1])))
