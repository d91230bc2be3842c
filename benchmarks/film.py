"""Frames as of films, 64x64, from a seed: in TFRecord shards, image files, or IDX files.

A film is 100 frames: a camera that moves over a smooth picture, two lights that pass, and grain.
"""

import concurrent.futures
import io
import os
import pathlib
import struct

import numpy as np
from PIL import Image

SIDE, FRAMES = 64, 100
KINDS = ("tfrecord", "images", "idx")
_MARGIN = 32  # pixels by which the camera moves
_SHARD = 10_000  # frames
_QUALITY = 90  # of JPEG


def film(seed, number):
  """Yields the frames of one film, uint8 `[64, 64, 3]`."""
  random = np.random.default_rng([seed, number])
  side = SIDE + _MARGIN
  scene = np.asarray(Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8)).resize(
      (side, side), Image.Resampling.BICUBIC), np.float32)
  ways = [np.linspace(*random.uniform(0, _MARGIN, 2), FRAMES).astype(int) for _ in range(2)]
  lights = [(np.linspace(*random.uniform(0, SIDE, (2, 2)), FRAMES), random.uniform(3, 9),
             random.uniform(-160, 160, 3)) for _ in range(2)]
  places = np.arange(SIDE)
  for i in range(FRAMES):
    top, left = ways[0][i], ways[1][i]
    frame = scene[top:top + SIDE, left:left + SIDE].copy()
    for way, radius, colour in lights:
      down, across = np.exp(-(((places - way[i][:, None]) / radius) ** 2))
      frame += (down[:, None] * across)[..., None] * colour
    frame += random.standard_normal(frame.shape, np.float32) * 2
    yield np.clip(frame, 0, 255).astype(np.uint8)


def write(kind, folder, frames, seed=0, processes=None):
  """Writes frames in the files of a data set, and a hundredth as many, at least 100, as its test.

  Args:
    kind: one of KINDS. 'idx' has grey frames, the green of the others.
    folder: where to; it is made.
    frames: how many, a multiple of 100.
    seed: int.
    processes: how many write; None: one a core; 1: this one.

  Returns the bytes of all files.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  first, jobs = 0, []
  for part, count in (("train", frames), ("test", max(FRAMES, frames // 100 // FRAMES * FRAMES))):
    if kind == "idx":
      with open(folder / f"{part}-images", "wb") as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", count, SIDE, SIDE))
    for start in range(0, count, _SHARD):
      films = range((first + start) // FRAMES, (first + min(count, start + _SHARD)) // FRAMES)
      jobs.append((kind, folder, part, start, seed, films))
    first += count
  if processes == 1:
    return sum(map(_piece, *zip(*jobs)))
  with concurrent.futures.ProcessPoolExecutor(processes) as pool:
    return sum(pool.map(_piece, *zip(*jobs)))


def _piece(kind, folder, part, start, seed, films):
  """Writes the frames of some films, from the one with the number `start` of its part on."""
  frames = (frame for number in films for frame in film(seed, number))
  return {"tfrecord": _records, "images": _files, "idx": _rows}[kind](folder, part, start, frames)


def _jpeg(frame):
  buffer = io.BytesIO()
  Image.fromarray(frame).save(buffer, "JPEG", quality=_QUALITY)
  return buffer.getvalue()


def _records(folder, part, start, frames):
  from tfae.bin import cli
  cli.import_tensorflow()  # without its greeting
  import tensorflow as tf
  path = folder / f"{part}-{start // _SHARD:05}.tfrecord"
  with tf.io.TFRecordWriter(str(path)) as writer:
    for frame in frames:
      image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[_jpeg(frame)]))
      writer.write(tf.train.Example(features=tf.train.Features(
          feature={"image": image})).SerializeToString())
  return path.stat().st_size


def _files(folder, part, start, frames):
  folder = folder / part  # without sub-folders, which would be classes
  folder.mkdir(exist_ok=True)
  return sum((folder / f"{i:07}.jpg").write_bytes(_jpeg(frame))
             for i, frame in enumerate(frames, start))


def _rows(folder, part, start, frames):
  with open(folder / f"{part}-images", "r+b") as file:
    file.seek(16 + start * SIDE * SIDE)
    return sum(file.write(frame[..., 1].tobytes()) for frame in frames)
