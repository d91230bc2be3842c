"""The decoder that undoes an encoder, as specs.

Tied-weight autoencoders: Vincent et al. 2010, "Stacked denoising autoencoders", section 2.3.
"""

import dataclasses

from tfae.errors import InputError, check_bool, check_choice
from tfae.specs import layers as specs


@dataclasses.dataclass(frozen=True)
class Mirrored:
  """One decoder layer: its spec, and the index of the encoder layer it undoes (None: none)."""
  layer: specs.Layer
  source: int | None


def _inverse(layer, shape, activation, use_bias):
  """Returns the spec that takes `layer`'s output back to `shape`, or None for nothing to undo."""
  affine = lambda: {"activation": activation,
                    "use_bias": layer.use_bias if use_bias is None else use_bias,
                    "kernel_initializer": layer.kernel_initializer}
  match layer:
    case specs.Dense():
      return specs.Dense(shape[0], **affine())
    # Before Conv2D, whose subclass it is.
    case specs.Conv2DTranspose():
      return specs.Conv2D(shape[2], layer.kernel_size, layer.stride, layer.padding, **affine())
    case specs.Conv2D():
      return specs.Conv2DTranspose(shape[2], layer.kernel_size, layer.stride, layer.padding,
                                   output_size=shape[:2], **affine())
    case specs.MaxPool():
      return specs.Upsample(layer.stride, output_size=shape[:2])
    case specs.Upsample():
      # A window as large as the last block, cut short or not, sees one pixel's copies only:
      # their maximum is that pixel.
      last = tuple(size - (n - 1) * factor for size, n, factor
                   in zip(layer.output_shape(shape), shape, layer.factor))
      if any(size > factor for size, factor in zip(last, layer.factor)):
        raise InputError(f"mirror: can't undo {layer}, which repeats its last pixels. Write the "
                         "decoder out.")
      return specs.MaxPool(last, layer.factor, "valid")
    case specs.Flatten() | specs.Reshape():
      return specs.Reshape(shape)
    case specs.Branch():
      raise InputError("mirror: can't undo a Branch: what was merged can't be taken apart. Write "
                       "the decoder out.")
    case _:
      return None


def mirror(encoder, input_shape, *, output_activation="linear", use_bias=None):
  """Returns the decoder of `encoder` as a list of `Mirrored`, first decoder layer first.

  Every encoder layer is undone in reverse order: Dense by Dense, Conv2D by Conv2DTranspose (and
  the other way round) to the recorded input shape, MaxPool by Upsample, Flatten and Reshape by
  Reshape; Dropout and activations leave nothing to undo. The activation that stands between two
  affine layers of the encoder stands between their inverses too; one before the first shapes the
  input, one after the last the code, and neither is repeated.

  BatchNorm and LayerNorm are not undone, nor repeated: the statistics of the decoder are its own,
  and whether it should normalise is not the encoder's to say. A decoder with layers of this kind,
  and one for an encoder with a Branch, is written out.

  Args:
    encoder: sequence of layer specs.
    input_shape: shape of one encoder input, without the batch; the decoder's output shape.
    output_activation: activation of the reconstruction.
    use_bias: whether decoder layers have biases; None: where the encoder layer has one.

  Raises:
    InputError: a layer can't be undone, or an argument is not allowed.
  """
  check_choice("mirror: output_activation", output_activation, specs.ACTIVATIONS)
  if use_bias is not None:
    check_bool("mirror: use_bias", use_bias)
  shapes = specs.shapes(encoder, input_shape, "encoder")
  # activations[i]: those between the affine layer before layer i and layer i, or the output's.
  activations, pending = [], [output_activation]
  for layer in encoder:
    if hasattr(layer, "activation"):
      activations.append(pending)
      pending = [layer.activation]
    else:
      activations.append([])
      if isinstance(layer, specs.Activation) and any(activations):
        pending = pending + [layer.function]
  decoder = []
  for index in reversed(range(len(encoder))):
    first, *rest = [a for a in activations[index] if a != "linear"] or ["linear"]
    inverse = _inverse(encoder[index], shapes[index], first, use_bias)
    if inverse is not None:
      decoder.append(Mirrored(inverse, index))
    decoder.extend(Mirrored(specs.Activation(name), None) for name in rest)
  if not any(hasattr(layer, "activation") for layer in encoder) and output_activation != "linear":
    decoder.append(Mirrored(specs.Activation(output_activation), None))
  if not decoder:
    raise InputError("mirror: the encoder has no layer to undo. Give it a Dense or Conv2D layer.")
  return decoder
