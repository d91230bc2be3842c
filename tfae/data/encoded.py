"""Images as PNG and JPEG bytes, in files of their own or within others: how they are decoded.

An image is cut to the proportions of the wanted size around its centre, and resized by area: each
pixel is the mean of what it covers, rounded. Grey files become colour by repetition, colour files
grey as libpng and libjpeg weigh the channels. An EXIF rotation is not applied. What PNG and JPEG
can hold beyond 8 bits and three channels (16 bits, transparency, CMYK) is refused, with the way
out: see `tfae.data.picture`.

Of a PNG every checksum is looked at: damage is an error. A JPEG has none. One that is cut off or
whose tables are wrong is an error too; but a changed bit in its pixels is other pixels, for the
decoder goes on: libjpeg warns at most, in a line on stderr that names no file and that TensorFlow's
op does not return. A run's sha256 tells such a file from the right one, not which of the two is
right.
"""

import functools
import hashlib
import os

import numpy as np

from tfae.data.stored import Store
from tfae.errors import InputError


class EncodedStore(Store):
  """A `tfae.data.stored.Store` of encoded images; a subclass fetches them.

  Attributes:
    whole_files: whether what is fetched are paths, as bytes, of files that TensorFlow is to read;
      else the encoded images.
  """

  fetched = "string"
  whole_files = False

  def __init__(self, sha256):
    """Takes the checksums of the encoded images, uint8 [n, 32]."""
    self._sha256 = sha256

  def __len__(self):
    return len(self._sha256)

  def label(self, row):
    """Returns what of an image beside its bytes is part of a data set's identity: str."""
    raise NotImplementedError

  def size(self, row):
    """Returns how many bytes an encoded image has."""
    raise NotImplementedError

  def decode(self, fetched, shape):
    """As `Store.decode`."""
    import tensorflow as tf  # heavy: listing a folder is done without it
    return tf.map_fn(lambda data: _decode_stored(data, shape, self.whole_files), fetched,
                     fn_output_signature=tf.TensorSpec(shape, tf.uint8))

  def read(self, rows, shape):
    """As `Store.read`: decodes in parallel, in tf.data."""
    import tensorflow as tf
    try:
      with tf.device("/CPU:0"):
        return decoder(shape, self.whole_files)(tf.constant(self.fetch(rows))).numpy()
    except (tf.errors.OpError, OSError) as error:
      self.fail(rows, shape, error)

  def fail(self, rows, shape, error):
    """As `Store.fail`."""
    self.check_unchanged(rows)
    import tensorflow as tf
    for row in rows:
      try:
        with tf.device("/CPU:0"):
          _decode_stored(tf.constant(self.fetch([row])[0]), shape, self.whole_files)
      except OSError as reason:
        raise InputError(f"{self.name(row)}: can't be read: {reason.strerror}.") from error
      except tf.errors.OpError as reason:
        said = reason.message.split("}}")[-1].split("[Op:")[0].strip()[:200]
        raise InputError(f"{self.name(row)}: can't be decoded ({said}). Mend it or take it out."
                         ) from error
    raise error

  def identity(self, rows, shape):
    """As `Store.identity`: over labels, sizes and contents."""
    digest = hashlib.sha256()
    for row in rows:
      digest.update(f"{self.label(row)}\0{self.size(row)}\0".encode(errors="surrogateescape"))
      digest.update(self._sha256[row])
    yield digest.digest()


def decode(data, shape):
  """Returns the image, uint8 `shape`, in the bytes of a PNG or JPEG file; an op of a graph.

  Args:
    data: a string tensor [].
    shape: (height, width, channels).
  """
  return _resized(_pixels(data, shape[2]), shape)


def _decode_stored(data, shape, is_path):
  """As `decode`, quicker for images that have the size already, in a larger graph."""
  import tensorflow as tf
  image = _pixels(tf.io.read_file(data) if is_path else data, shape[2])
  same = tf.reduce_all(tf.equal(tf.shape(image)[:2], shape[:2]))
  return tf.ensure_shape(tf.cond(same, lambda: image, lambda: _resized(image, shape)), shape)


def _pixels(data, channels):
  import tensorflow as tf
  # The accurate transform, as other programs have it: TensorFlow's default is the fast one.
  return tf.cond(tf.io.is_jpeg(data),
                 lambda: tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE"),
                 lambda: tf.io.decode_png(data, channels))


def _resized(image, shape):
  import tensorflow as tf
  height, width, channels = shape
  # The largest centred piece of the wanted proportions, to the nearest pixel, at least one.
  found, wanted = tf.shape(image, tf.int64)[:2], np.array([height, width])
  other = wanted[::-1]
  taken = tf.clip_by_value((2 * found[::-1] * wanted + other) // (2 * other), 1, found)
  image = tf.slice(image, tf.concat([(found - taken) // 2, [0]], 0),
                   tf.concat([taken, [channels]], 0))
  image = tf.raw_ops.ResizeArea(images=image[None], size=(height, width))[0]
  return tf.ensure_shape(tf.cast(tf.floor(image + 0.5), tf.uint8), shape)


@functools.lru_cache(maxsize=8)
def decoder(shape, are_paths):
  """Returns a function of what was fetched, string [n], n >= 1, that gives images [n, *shape]."""
  import tensorflow as tf

  @functools.partial(tf.function, autograph=False,
                     input_signature=[tf.TensorSpec([None], tf.string)])
  def decode_all(fetched):
    images = tf.data.Dataset.from_tensor_slices(fetched).map(
        lambda data: _decode_stored(data, shape, are_paths), num_parallel_calls=os.cpu_count(),
        deterministic=True)
    return images.batch(tf.size(fetched, tf.int64)).get_single_element()

  return decode_all.get_concrete_function()
