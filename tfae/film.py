"""The film of a run: what the model makes of the same few images as training goes on.

A frame at step 0, at each tenth of the first epoch and at the end of every epoch; after 50 epochs
at every second, after 100 at every fourth, and so on. W/film.frames holds the pixels, W/film.gif
shows them. NumPy and Pillow.
"""

import functools
import io
import json
import pathlib
import typing

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfae import files
from tfae.errors import InputError

FRAMES, GIF = "film.frames", "film.gif"
MOST_SHOWN = 100  # frames of the GIF
MOST_BYTES = 3 * 10**6  # of the GIF
_CLOSE_EPOCHS = 50
_MOST_PIXELS = 64  # a side: larger images are made smaller
_SEEN_PIXELS = 24  # a side: smaller ones are enlarged in the GIF
_LINE = 14  # pixels: height of the line of text
_MILLISECONDS, _LAST_MILLISECONDS = 100, 1500  # that a frame is shown


def next_frame(step, steps_per_epoch):
  """Returns the first step after `step` that has a frame."""
  if step < steps_per_epoch:
    return next(tenth for i in range(11) if (tenth := -(-steps_per_epoch * i // 10)) > step)
  epoch = step // steps_per_epoch + 1
  distance = 1 << ((epoch - 1) // _CLOSE_EPOCHS).bit_length()
  return -(-epoch // distance) * distance * steps_per_epoch


class Film(typing.NamedTuple):
  """What W/film.frames holds.

  steps_per_epoch: int.
  originals: uint8 `[n, height, width, 1 or 3]`, white is 255; at most 64 pixels a side.
  steps: list of ints, ascending.
  frames: list of arrays as `originals`: the reconstructions at each of the steps.
  """
  steps_per_epoch: int
  originals: np.ndarray
  steps: list
  frames: list


def to_bytes(images, max_value):
  """Returns images of 0 to `max_value` as uint8 of 0 to 255; what lies outside is clipped.

  Those of more than 64 pixels a side are made smaller, by averages over areas.

  Args:
    images: `[n, height, width, 1 or 3]`.
    max_value: what is white.
  """
  scaled = np.nan_to_num(np.asarray(images, np.float64) / max_value)
  pixels = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
  height, width, channels = pixels.shape[1:]
  if (side := max(height, width)) <= _MOST_PIXELS:
    return pixels
  size = [max(1, s * _MOST_PIXELS // side) for s in (width, height)]
  return np.stack([np.asarray(_image(one).resize(size, Image.Resampling.BOX))
                   for one in pixels]).reshape(len(pixels), size[1], size[0], channels)


def pairs(originals, reconstructions):
  """Returns uint8 `[height, width, 1 or 3]`: a row of originals over one of reconstructions.

  Args:
    originals, reconstructions: uint8 `[n, height, width, 1 or 3]`. Image i of row j stands at
      `[j * (height + 2) + 1, i * (width + 2) + 1]`; black between them.
  """
  cells = np.pad(np.stack([originals, reconstructions]), [(0, 0)] * 2 + [(1, 1)] * 2 + [(0, 0)])
  rows, n, height, width, channels = cells.shape
  return cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, n * width, channels)


def read(workdir):
  """Returns the `Film` of a run, None if it has none; what a killed run left torn is left out.

  Raises:
    InputError: the file can't be read.
  """
  path = pathlib.Path(workdir) / FRAMES
  try:
    content = path.read_bytes()
  except FileNotFoundError:
    return None
  except OSError as error:
    raise InputError(f"{path}: can't be read ({error.strerror}). Move it away: the film begins "
                     "anew.") from None
  head, _, rest = content.partition(b"\n")
  try:
    head = json.loads(head)
    shape, steps_per_epoch = tuple(head["shape"]), int(head["steps_per_epoch"])
    record = np.dtype([("step", "<i8"), ("pixels", "u1", shape)])
  except (ValueError, KeyError, TypeError):
    return None  # torn, or no film
  if len(shape) != 4 or shape[-1] not in (1, 3) or min(shape) < 1 or steps_per_epoch < 1:
    return None
  records = np.frombuffer(rest, record, len(rest) // record.itemsize)
  if not len(records) or records["step"][0] != -1:
    return None
  # A power cut may leave zeros at the end.
  rising = np.concatenate([[True], np.diff(records["step"]) > 0])
  records = records[:len(records) if rising.all() else int(np.argmin(rising))]
  return Film(steps_per_epoch, records["pixels"][0], records["step"][1:].tolist(),
              list(records["pixels"][1:]))


def gif(film):
  """Returns the bytes of the GIF of a `Film` with at least one frame.

  At most 100 frames, evenly chosen, the first and the last among them; fewer where it would have
  more than 3 MB.
  """
  count = MOST_SHOWN
  while True:
    shown = np.unique(np.linspace(0, len(film.frames) - 1, count).round().astype(int))
    drawn = [_draw(film, i) for i in shown]
    buffer = io.BytesIO()
    drawn[0].save(buffer, "GIF", save_all=True, append_images=drawn[1:], loop=0, optimize=False,
                  duration=[_MILLISECONDS] * (len(drawn) - 1) + [_LAST_MILLISECONDS])
    if buffer.tell() <= MOST_BYTES or len(drawn) == 1:
      return buffer.getvalue()
    count = len(drawn) // 2


def _draw(film, index):
  image = _image(pairs(film.originals, film.frames[index]))
  factor = max(1, _SEEN_PIXELS // max(film.originals.shape[1:3]))
  image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
  step = film.steps[index]
  epoch = round(step / film.steps_per_epoch, 1)
  text, font = f"epoch {epoch:.10g}, step {step}", _font()
  canvas = Image.new(image.mode, (max(image.width, 4 + int(font.getlength(text))),
                                  image.height + _LINE))
  canvas.paste(image)
  ImageDraw.Draw(canvas).text((2, image.height), text, "white", font)
  return canvas if canvas.mode == "L" else canvas.quantize(
      256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


@functools.cache
def _font():
  return ImageFont.load_default()


def _image(pixels):
  return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


class Camera:
  """Takes the frames of a run, and keeps them in its folder."""

  def __init__(self, workdir, originals, *, step, steps_per_epoch):
    """Opens the film of a run that stands at `step`: later frames, and torn ones, are cut off.

    A film of other images, such as of another number of them, is begun anew.

    Args:
      workdir: the run's folder.
      originals: uint8 `[n, height, width, 1 or 3]`.
      step: how many steps the run has taken.
      steps_per_epoch: int.

    Raises:
      InputError: a full disk, or a file that can't be read or written.
    """
    self._workdir, self._path = workdir, pathlib.Path(workdir) / FRAMES
    film = read(workdir)
    if film is None or film.originals.shape != originals.shape \
        or (film.originals != originals).any():
      film = Film(steps_per_epoch, originals, [], [])
    kept = [i for i, taken in enumerate(film.steps) if taken <= step]
    self._film = Film(steps_per_epoch, originals, [film.steps[i] for i in kept],
                      [film.frames[i] for i in kept])
    head = {"shape": originals.shape, "steps_per_epoch": steps_per_epoch}
    files.write(self._path, json.dumps(head).encode() + b"\n" + b"".join(
        map(_record, (-1, *self._film.steps), (originals, *self._film.frames))))

  def take(self, step, frame):
    """Adds the frame of a step, uint8 as the originals, unless the film has it."""
    if self._film.steps[-1:] == [step]:
      return
    with files.writing(self._path), open(self._path, "ab", buffering=0) as file:
      files.append(file, _record(step, frame))
    self._film.steps.append(step)
    self._film.frames.append(frame)

  def develop(self):
    """Writes the GIF."""
    if self._film.frames:
      files.write(pathlib.Path(self._workdir) / GIF, gif(self._film))


def _record(step, pixels):
  return np.int64(step).astype("<i8").tobytes() + pixels.tobytes()
