"""Views of what is inside: weights, responses, the inputs that layers look for, the diagram.

TensorFlow is imported where something is drawn.
"""

import math

import numpy as np

from tfae.figures import diagram, weights
from tfae.specs import layers as specs
from tfae.views.view import View, has

_UNITS = 36  # that activation maximisation is done for


def _layers(material, *components):
  """Returns the layers of some components in order, those inside branches too; all by default."""
  found = material.model.components
  return [layer for name in components or found if name in found
          for layer in specs.walk(found[name].layers)]


def _kernels(material):
  """Returns the encoder's convolutions."""
  return [layer for layer in _layers(material, "encoder")
          if isinstance(layer.spec, specs.Conv2D)]


def _filters(material):
  return _montage(_kernels(material)[0])


def _deeper_filters(material):
  return _montage(_kernels(material)[1])


def _montage(layer):
  kernel = layer.kernel.numpy()
  high, wide, inputs, outputs = kernel.shape
  return weights.filter_montage(kernel, title=f"{layer.path}: {outputs} filters of {high} x {wide} "
                                f"x {inputs}")


def _encoder_dense(material):
  """Returns the encoder's first layer with a kernel if its columns are images, else None."""
  pixels = math.prod(material.model.input_shape)
  first = next((layer for layer in _layers(material) if layer.kernel is not None), None)
  return first if first is not None and tuple(first.kernel.shape[:-1]) == (pixels,) else None


def _decoder_dense(material):
  """Returns the decoder's last layer with a kernel if its rows are images, else None."""
  pixels = math.prod(material.model.input_shape)
  last = next((layer for layer in reversed(_layers(material, "decoder"))
               if layer.kernel is not None), None)
  return last if last is not None and last.kernel.shape.rank == 2 \
      and math.prod(last.output_shape) == pixels else None


def _columns(layer, kernel, image_shape):
  units = kernel.shape[1]
  shown = "" if units <= 100 else ", the first 100"
  return weights.weight_columns(kernel, image_shape, title=f"{layer.path}: weights of {units:,} "
                                f"units{shown}")


def _encoder_weights(material):
  layer = _encoder_dense(material)
  return _columns(layer, layer.kernel.numpy(), material.model.input_shape)


def _decoder_weights(material):
  layer = _decoder_dense(material)
  return _columns(layer, layer.kernel.numpy().T, material.model.input_shape)


def _responses(material):
  """As maps; those of a dense layer are one map, its units row by row."""
  from tfae.views import responses
  image = material.images[:1] if material.image is None else material.image
  found = responses.layer_outputs(material.model, image * material.max_value)
  path = material.layer or _looked_at(material)
  responses.layer_of(material.model, path)
  value, title = found[path][0], f"Responses of {path}"
  if value.ndim == 3:
    return weights.response_maps(value, image[0], title=f"{title}: {value.shape[2]} channels of "
                                 f"{value.shape[0]} x {value.shape[1]}")
  value = value.ravel()
  rows = max(n for n in range(1, math.isqrt(len(value)) + 1) if len(value) % n == 0)
  return weights.response_maps(value.reshape(rows, -1, 1), image[0],
                               title=f"{title}: {len(value):,} units, row by row")


def _maximised(material):
  from tfae.views import maximisation, responses
  path = material.layer or _looked_at(material)
  units = responses.layer_of(material.model, path).output_shape[-1]
  images, found = maximisation.maximise(material.model, path, range(min(units, _UNITS)),
                                        seed=material.seed)
  shown = "" if units <= _UNITS else f", the first {_UNITS}"
  return weights.activation_grid(images, activations=found, title=f"Inputs that excite {path} "
                                 f"most: {units:,} units{shown}, gradient ascent")


def _looked_at(material):
  """Returns the path of the layer that is looked at by default: the encoder's last convolution, or
  its last layer with a kernel, or the last of all."""
  own = [layer for layer in material.model.components["encoder"].layers
         if layer.kernel is not None]
  if not own:
    own = [layer for layer in _layers(material) if layer.kernel is not None]
  maps = [layer for layer in own if len(layer.output_shape) == 3]
  return (maps or own)[-1].path


def _diagram(material):
  owners = {layer.kernel.ref(): layer.path for layer in _layers(material)
            if layer.kernel is not None and not layer.tied}
  boxes = []
  for component, stack in material.model.components.items():
    for layer in specs.walk(stack.layers):
      own = [] if layer.branches else layer.own_variables
      boxes.append(diagram.Layer(
          layer.path, type(layer.spec).__name__, layer.output_shape,
          sum(math.prod(v.shape) for v in own), component,
          owners[layer.kernel.ref()] if layer.tied else ""))
  return diagram.diagram(boxes, material.model.input_shape)


def _convolutions(number):
  def need(material):
    reason = material.reason("model")
    if reason or len(_kernels(material)) >= number:
      return reason
    return f"the encoder's convolutions: {len(_kernels(material))}; needed: {number}"
  return need


def _encoder_columns(material):
  reason = material.reason("model")
  if reason or _encoder_dense(material) is not None:
    return reason
  return "the first layer with weights is not a Dense on the pixels"


def _decoder_columns(material):
  reason = material.reason("model")
  if reason:
    return reason
  layer = _decoder_dense(material)
  if layer is None:
    return "no Dense of a decoder gives the pixels"
  return f"tied: {layer.path} has the columns of the encoder" if layer.tied else None


VIEWS = (
    View("filters", "filters of the first convolution", "inside", _filters, (_convolutions(1),)),
    View("deeper_filters", "filters of the second convolution, inputs by outputs", "inside",
         _deeper_filters, (_convolutions(2),)),
    View("encoder_weights", "weight columns of the encoder's first Dense as images", "inside",
         _encoder_weights, (_encoder_columns,)),
    View("decoder_weights", "weights of the decoder's last Dense as images", "inside",
         _decoder_weights, (_decoder_columns,)),
    View("responses", "responses of a layer to an image (--layer, --image)", "inside", _responses,
         (has("model"), has("images"))),
    View("maximisation", "inputs that excite a layer's units most (--layer)", "inside", _maximised,
         (has("model"),)),
    View("diagram", "the model's layers, shapes, parameters, shared kernels", "inside", _diagram,
         (has("model"),)),
)
