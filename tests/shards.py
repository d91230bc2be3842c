"""TFRecord shards for tests, written by TensorFlow: what reads them is not what wrote them."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image


def encoded(image, kind="PNG", **options):
  """The bytes of a file of an image, uint8 `[height, width]` or `[height, width, 3]`."""
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, kind, **options)
  return buffer.getvalue()


def pictures(n, shape=(4, 3), seed=0):
  """n random images as PNG files, and as an array `[n, *shape]`."""
  images = np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)
  return [encoded(image) for image in images], images


def feature(*values):
  """A tf.train.Feature of values of one type."""
  if values and isinstance(values[0], bytes):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
  if values and isinstance(values[0], float):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
  """The bytes of a tf.train.Example."""
  found = {name: feature(*(value if isinstance(value, list) else [value]))
           for name, value in features.items()}
  return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()


def write(path, records, **options):
  """Writes bytes as the records of a shard."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with tf.io.TFRecordWriter(str(path), **options) as writer:
    for record in records:
      writer.write(record)
  return path


def write_images(folder, part, images, labels=None, shards=1):
  """Writes encoded images, and labels, as shards of a part; in order."""
  records = [example(image=image) if labels is None else
             example(image=image, label=int(labels[i]), name=b"image %d" % i)
             for i, image in enumerate(images)]
  for i in range(shards):
    some = records[i * len(records) // shards:(i + 1) * len(records) // shards]
    write(folder / f"film-{part}-{i:03}.tfrecord", some)
  return folder
