"""What a layer has learnt: filters, weight columns, inputs that excite it most."""

import numpy as np

from tfae.errors import InputError, check_int
from tfae.figures import checks, style
from tfae.figures.cells import coloured, image_grid


def filter_montage(kernel, most=(16, 16), title=None):
  """Returns a Figure of the filters of a convolution.

  With 1 input channel a filter is an image on the diverging map, symmetric about 0; with 3 it is a
  colour image, grey where it is 0. With more, a row is an input channel, a column an output
  channel.

  Args:
    kernel: `[height, width, inputs, outputs]`.
    most: at most how many inputs and outputs of a deeper layer are shown, the first ones.
    title: None: how many filters of which size.
  """
  kernel = checks.array("kernel", kernel, ("height", "width", "inputs", "outputs"))
  high, wide, inputs, outputs = kernel.shape
  size = f"{high} x {wide} x {inputs}"
  title = title or f"{checks.plural(outputs, 'filter')} of {size}"
  if inputs in (1, 3):
    return _signed(np.moveaxis(kernel, -1, 0), None, title=title,
                   captions=[str(index) for index in range(outputs)], cell=48)
  rows, columns = min(inputs, most[0]), min(outputs, most[1])
  if (rows, columns) != (inputs, outputs):
    title += f"; the first {rows} inputs and {columns} outputs"
  shown = kernel[:, :, :rows, :columns].transpose(2, 3, 0, 1)
  return _signed(shown.reshape(-1, high, wide, 1), columns, title=title, cell=28, gap=3,
                 x_label="output channel", y_label="input channel")


def weight_columns(kernel, image_shape, columns=None, most=100, title=None):
  """Returns a Figure of a dense layer's weights, those of each unit as an image.

  Diverging and symmetric about 0; of colour images a colour image, grey where the weight is 0.

  Args:
    kernel: `[pixels, units]`; a decoder's `[units, pixels]` is transposed by the caller.
    image_shape: (height, width, channels) whose product is the pixels.
    columns: images a row; None: near-square.
    most: at most how many units are shown, the first ones.
    title: None: how many units.
  """
  kernel = checks.array("kernel", kernel, ("pixels", "units"))
  if len(image_shape) != 3 or np.prod(image_shape) != len(kernel) or image_shape[2] not in (1, 3):
    raise InputError(f"image_shape={tuple(image_shape)!r}: expected height, width and 1 or 3 "
                     f"channels, whose product is {len(kernel)}, the rows of kernel.")
  units = kernel.shape[1]
  shown = kernel.T[:check_int("most", most, 1)]
  title = title or f"Weights of {checks.plural(units, 'unit')}" + (
      f", the first {most}" if units > most else "")
  return _signed(shown.reshape(-1, *image_shape), columns, title=title, cell=56, gap=3)


def response_maps(responses, image=None, columns=None, title=None):
  """Returns a Figure of the channels of a layer's output for one image, each channel alone.

  Args:
    responses: `[height, width, channels]`.
    image: `[height, width, 1 or 3]` in [0, 1], drawn first; None: none.
    columns: maps a row; None: near-square.
    title: None: how many channels of which size.
  """
  responses = checks.array("responses", responses, ("height", "width", "channels"))
  return channel_maps(responses[None], None if image is None else np.asarray(image)[None], columns,
                      title, "response")


def channel_maps(maps, images=None, columns=None, title=None, value_name="value", most=64):
  """Returns a Figure of the channels of codes or responses as images, each channel alone.

  All share the sequential map, from the smallest to the largest value.

  Args:
    maps: `[n, height, width, channels]`. Of several images each has a row; of one the channels
      are near-square.
    images: `[n, height, width, 1 or 3]` in [0, 1], drawn before their maps; None: none.
    columns: of one image: maps a row.
    title: None: how many channels of which size.
    value_name: what the values are, for the colour bar.
    most: at most how many channels are shown, the first ones; the title says so.
  """
  maps = checks.array("maps", maps, ("n", "height", "width", "channels"))
  images = None if images is None else checks.images("images", images, len(maps))
  count, high, wide, channels = maps.shape
  title = title or f"{checks.plural(channels, 'channel')} of {high} x {wide}"
  if channels > check_int("most", most, 1):
    maps, title = maps[..., :most], f"{title}, the first {most} of {channels:,} channels"
  low, top = float(maps.min()), float(maps.max())
  drawn = coloured(np.moveaxis(maps, -1, 1), style.SEQUENTIAL, low, top)
  cells = []
  for index, row in enumerate(drawn):
    cells += ([] if images is None else [images[index]]) + [*row]
  numbers = [str(channel) for channel in range(maps.shape[-1])]
  names = ([] if images is None else ["image"]) + (numbers if channels > 1 else [value_name])
  options = ({"columns": columns, "captions": names} if count == 1 else
             {"columns": len(names), "column_names": names})
  return image_grid(cells, title=title, bar=(style.SEQUENTIAL, low, top, value_name), **options)


def activation_grid(images, names=None, activations=None, title=None):
  """Returns a Figure of the inputs that excite channels or units most.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1], made by gradient ascent elsewhere.
    names: a string an image; None: its number.
    activations: numbers `[n]` that the images reach, written behind the names; None: none.
    title: None: how many channels.
  """
  images = checks.images("images", images)
  names = [str(index) for index in range(len(images))] if names is None else list(names)
  checks.same_count("names", names, len(images))
  if activations is not None:
    activations = checks.array("activations", activations, ("n",))
    checks.same_count("activations", activations, len(images))
    names = [f"{name}: {style.number(value)}" for name, value in zip(names, activations)]
  return image_grid(images, captions=names,
                    title=title or "Inputs that excite "
                    f"{checks.plural(len(images), 'channel')} most")


def _signed(weights, columns, **options):
  """An image_grid of signed weights `[n, height, width, 1 or 3]`, symmetric about 0."""
  bound = float(np.abs(weights).max())
  if weights.shape[-1] == 3:
    shown = weights / (2 * bound or 1) + 0.5
    options["title"] += f"; grey is 0, white {style.number(bound)}"
    return image_grid(shown, columns, **options)
  return image_grid(coloured(weights[..., 0], style.DIVERGING, -bound, bound), columns,
                    bar=(style.DIVERGING, -bound, bound, "weight"), **options)
