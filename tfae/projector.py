"""Codes for TensorBoard's embedding projector: positions, labels, and an image for each point."""

import io
import math

from google.protobuf import text_format
import numpy as np
from PIL import Image
from tensorboard.plugins.projector import projector_config_pb2

from tfae import files

MOST_VALUES = 2**18  # of all codes: as text some 3 MB
_CONFIG, _CODES, _LABELS, _SPRITE = "projector_config.pbtxt", "codes.tsv", "labels.tsv", "codes.png"


def shown(images, code_size):
  """Returns how many of so many images have room: at least 1."""
  return max(1, min(images, MOST_VALUES // code_size))


def write(folder, codes, images, labels=None):
  """Writes what the projector shows of a folder of event files, in place of what it showed before.

  Args:
    folder: pathlib.Path, of the event files.
    codes: float `[n, ...]`, flattened.
    images: uint8 `[n, height, width, 1 or 3]`, or None: points without images.
    labels: n numbers or names, or None.

  Raises:
    InputError: a full disk, or a folder that can't be written.
  """
  codes = codes.reshape(len(codes), -1)
  config = projector_config_pb2.ProjectorConfig()
  entry = config.embeddings.add(tensor_name="codes", tensor_path=_CODES, tensor_shape=codes.shape)
  # Nine digits bring a float32 back to the bit.
  files.write(folder / _CODES, "".join("\t".join(f"{value:.9g}" for value in row) + "\n"
                                       for row in codes.tolist()))
  if labels is not None:
    entry.metadata_path = _LABELS
    files.write(folder / _LABELS, "".join(
        f"{' '.join(str(label).split())}\n" for label in labels))  # a tab is another column
  if images is not None:
    height, width = images.shape[1:3]
    entry.sprite.image_path = _SPRITE
    entry.sprite.single_image_dim.extend([width, height])
    buffer = io.BytesIO()
    Image.fromarray(_sprite(images)).save(buffer, "png")
    files.write(folder / _SPRITE, buffer.getvalue())
  files.write(folder / _CONFIG, text_format.MessageToString(config))


def _sprite(images):
  """Returns all images in rows, as many in a row as there are rows: the projector expects that."""
  n, height, width, channels = images.shape
  side = math.ceil(math.sqrt(n))
  cells = np.zeros((side * side, height, width, channels), np.uint8)
  cells[:n] = images
  sheet = cells.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4).reshape(
      side * height, side * width, channels)
  return sheet[..., 0] if channels == 1 else sheet
