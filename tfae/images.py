"""Image files from outside, brought to what a model takes: size, channels, units; and back to PNG.

Whatever is changed on the way is said, in words, in a list of notes. NumPy and Pillow; for a model
that was trained on image files what decoded those, `tfae.data.encoded`.
"""

import dataclasses
import io
import pathlib
import struct

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfae import files
from tfae.data import folder
from tfae.errors import InputError
from tfae.specs.data import ENCODED

_LARGEST = 2**14  # pixels of a side: beyond it a file is no picture of a digit
_DARK, _BRIGHT = 0.25, 0.75  # of a border: between them it says nothing about polarity
_ORIENTATION = 0x0112  # the EXIF tag


@dataclasses.dataclass(frozen=True)
class Wanted:
  """What a model takes.

  shape: (height, width, channels).
  max_value: largest pixel value, in the data set's units.
  border: `border` of the data set's images, or None if it is not known.
  dataset: name of the data set that it was trained on, or None if it is not known. With 'images'
    an image file is brought to the model's size as training brought its own.
  """
  shape: tuple
  max_value: float
  border: float | None = None
  dataset: str | None = None

  @property
  def from_files(self):
    """Whether the model was trained on image files."""
    return self.dataset in ENCODED


def border(images, max_value):
  """Returns the median of the outermost pixels of images, in [0, 1].

  `images` `[n, height, width, channels]`, from 0 to `max_value`.
  Near 0 for white on black (MNIST), near 1 for black on white.
  """
  edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
  return float(np.median(np.concatenate([edge.ravel() for edge in edges])) / max_value)


def check(path, wanted, *, resize=False):
  """Raises the InputError of `read` that can be known without TensorFlow, which `read` imports.

  Only where it does: of an image file for a model that was trained on such.
  """
  if wanted.from_files and pathlib.Path(path).suffix != ".npy":
    _listed(path, wanted, resize)


def read(path, wanted, *, resize=False, invert=False):
  """Returns (images float32 `[n, *wanted.shape]` in the data set's units, notes).

  Args:
    path: a PNG, JPEG or other file that Pillow reads, one image; or .npy, `[height, width]`,
      `[height, width, channels]` or `[n, height, width, channels]`, in the data set's units.
    wanted: a `Wanted`. If the model was trained on image files, PNG and JPEG files are taken and
      decoded as `tfae.data.encoded` does, to the bit; what it refuses is refused.
    resize: whether an image of another size is brought to the model's: as `tfae.data.encoded` does,
      if the model was trained on image files; else by averaging over areas, keeping its aspect
      ratio, padded on the shorter side with the median of its border.
    invert: whether bright becomes dark.

  A flipped bit of a PNG is refused; one in the pixels of a JPEG, which has no checksum, may go
  unnoticed: see `tfae.data.encoded`.

  Raises:
    InputError: a file that can't be read, another size without `resize`, values that are not
      finite or out of range, a kind of image that has no one meaning.
  """
  path = pathlib.Path(path)
  height, width, channels = wanted.shape
  if path.suffix == ".npy":
    images, notes = _read_array(path, wanted), []
  elif wanted.from_files:
    listed, notes = _listed(path, wanted, resize)
    images = listed[:].astype(np.float64)
  else:
    if channels not in (1, 3):
      raise InputError(f"{path}: the model takes images of {channels} channels, which no image "
                       "file has. Give a .npy file.")
    image, notes = _read_image(path)
    image = _with_channels(image, channels, notes)
    if image.shape[:2] != (height, width):
      _check_resize(path, image.shape[:2], wanted, resize)
      image = _resized(image, height, width, notes)
    images = image[None] * wanted.max_value
  if invert:
    images = wanted.max_value - images
  found = border(images, wanted.max_value)
  if wanted.border is not None and min(wanted.border, found) < _DARK \
      and max(wanted.border, found) > _BRIGHT:
    kinds = ("bright", "dark") if found > wanted.border else ("dark", "bright")
    notes.append("the image's border is {}, that of the images which the model was trained on was "
                 "{}: ".format(*kinds) + ("leave out --invert" if invert else
                                          "--invert turns bright into dark"))
  return images.astype(np.float32), notes


def write_png(path, image, max_value):
  """Writes `[height, width, 1 or 3]` in the data set's units as PNG; what lies outside is clipped.

  Raises:
    InputError: another number of channels, or a file that can't be written.
  """
  if image.shape[-1] not in (1, 3):
    raise InputError(f"{path}: an image of {image.shape[-1]} channels can't be a PNG. Fetch it as "
                     ".npy with tfae-inspect --tensor.")
  pixels = np.rint(np.clip(image / max_value, 0, 1) * 255).astype(np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "png")
  files.write(path, buffer.getvalue())


def npy(array):
  """Returns the bytes of a .npy file."""
  buffer = io.BytesIO()
  np.save(buffer, array)
  return buffer.getvalue()


def read_array(path):
  """Returns the array of a .npy file; InputError if it can't be read or holds no numbers."""
  try:
    array = np.load(path)  # never pickled objects
  except (OSError, ValueError, EOFError) as error:
    raise InputError(f"{path}: can't be read ({_said(error)}). Give a .npy file of "
                     "numbers.") from None
  if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
    raise InputError(f"{path}: does not hold one array of numbers. Save it with numpy.save.")
  if not np.isfinite(array).all():
    raise InputError(f"{path}: holds values that are not finite. Mend them.")
  return array


def _read_array(path, wanted):
  array = read_array(path).astype(np.float64)
  shape = tuple(wanted.shape)
  if array.shape in ([shape, shape[:2]] if shape[2] == 1 else [shape]):
    array = array.reshape(1, *shape)
  if array.ndim != 4 or array.shape[1:] != shape or not len(array):
    raise InputError(f"{path}: has shape {array.shape}; the model takes {shape}, or (n, "
                     f"{', '.join(map(str, shape))}) for several.")
  if array.min() < 0 or array.max() > wanted.max_value:
    raise InputError(f"{path}: has values from {array.min():g} to {array.max():g}; the model takes "
                     f"0 to {wanted.max_value:g}. Scale them.")
  return array


def _check_resize(path, size, wanted, resize):
  if not resize:
    raise InputError("{}: has {} x {} pixels (height x width), the model takes {} x {}. Crop it to "
                     "what is to be seen, and resize it, or let --resize do that.".format(
                         path, *size, *wanted.shape[:2]))


def _listed(path, wanted, resize):
  """Returns (`tfae.data.stored.StoredImages` of one file, notes); decodes nothing."""
  height, width, channels = wanted.shape
  listed, header = folder.read_one(path, (height, width), channels)
  notes = []
  if (header.height, header.width) != (height, width):
    _check_resize(path, (header.height, header.width), wanted, resize)
    notes.append(f"resized from {header.height} x {header.width} to {height} x {width} as the "
                 "model's training images were: cut around the centre, averaged over areas")
  if _orientation(path) != 1:
    notes.append("its EXIF orientation is not applied, as in training")
  return listed, notes


def _orientation(path):
  """Returns the EXIF orientation that stands before a file's pixels, 1 if none; decodes nothing."""
  exif = Image.Exif()
  try:
    with Image.open(path) as image:
      exif.load(image.info.get("exif", b""))
    return exif.get(_ORIENTATION, 1)
  except (OSError, SyntaxError, ValueError, TypeError, struct.error):
    return 1  # whether the file is taken is not for its EXIF to say


def _read_image(path):
  """Returns (float64 `[height, width, 1 or 3]` in [0, 1], notes)."""
  notes = []
  try:
    with Image.open(path) as image:
      if max(image.size) > _LARGEST:
        raise InputError(f"{path}: has {image.height} x {image.width} pixels; at most {_LARGEST} a "
                         "side are read. Make it smaller first.")
      if getattr(image, "n_frames", 1) > 1:
        notes.append(f"has {image.n_frames} frames; the first is taken")
      image.verify()  # of a PNG every checksum: decoding looks at none of those of the pixels
    with Image.open(path) as image:
      image.load()
      image = ImageOps.exif_transpose(image)
  except FileNotFoundError:
    raise InputError(f"{path}: no such file.") from None
  except UnidentifiedImageError:
    raise InputError(f"{path}: is no image that can be read. Give a PNG or JPEG file, or a .npy "
                     "array.") from None
  except (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError) as error:
    raise InputError(f"{path}: can't be read ({_said(error)}). Mend it, or fetch it again."
                     ) from None
  if image.mode in ("I;16", "I;16B", "I;16L", "I"):
    pixels = np.asarray(image).astype(np.float64)
    if pixels.min() < 0 or pixels.max() > 65535:
      raise InputError(f"{path}: has values from {pixels.min():g} to {pixels.max():g}, beyond 16 "
                       "bits: what is white there is not known. Save it with 8 or 16 bits.")
    notes.append("16 bits a pixel: 65535 is taken for white")
    return pixels[..., None] / 65535, notes
  if image.mode == "F":
    raise InputError(f"{path}: holds floating-point pixels: what is white there is not known. Save "
                     "it with 8 or 16 bits, or as .npy in the data set's units.")
  if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
    image = image.convert("RGBA")
    if image.getextrema()[3][0] < 255:
      notes.append("transparent pixels: laid on white")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
  elif image.mode == "1":
    image = image.convert("L")
  elif image.mode != "L":
    image = image.convert("RGB")
  pixels = np.asarray(image).astype(np.float64) / 255
  return pixels.reshape(*pixels.shape[:2], -1), notes


def _with_channels(image, channels, notes):
  """Colour to grey by luma, ITU-R BT.601; grey to colour by repetition."""
  if image.shape[-1] == channels:
    return image
  if channels == 3:
    notes.append("grey image: taken for colour")
    return np.repeat(image, 3, axis=-1)
  if np.ptp(image, axis=-1).any():
    notes.append("colour image: converted to grey (ITU-R BT.601 luma)")
    return image @ np.array([[0.299], [0.587], [0.114]])
  return image[..., :1]


def _resized(image, height, width, notes):
  scale = min(height / image.shape[0], width / image.shape[1])
  size = [max(1, round(side * scale)) for side in image.shape[:2]]
  # One channel at a time: Pillow resizes floats of one channel only, and 8 bits would round.
  small = np.stack([np.asarray(Image.fromarray(image[..., i].astype(np.float32)).resize(
      (size[1], size[0]), Image.Resampling.BOX)) for i in range(image.shape[-1])], axis=-1)
  result = np.empty((height, width, image.shape[-1]))
  result[:] = border(image[None], 1)
  top, left = (height - size[0]) // 2, (width - size[1]) // 2
  result[top:top + size[0], left:left + size[1]] = small
  note = f"resized from {image.shape[0]} x {image.shape[1]} to {size[0]} x {size[1]} (area filter)"
  if size != [height, width]:
    note += f", padded to {height} x {width} with the median of its border"
  notes.append(note)
  return np.clip(result, 0, 1)


def _said(error):
  return str(getattr(error, "strerror", None) or error)[:200]
