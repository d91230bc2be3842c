"""Requests that TensorFlow Serving answers to itself when it loads a version, before it is ready.

assets.extra/tf_serving_warmup_requests is a TFRecord of PredictionLog messages of
github.com/tensorflow/serving (apis/prediction_log.proto). All of their fields that are needed hold
strings or messages, which have one form on the wire, so a few lines write and read them: neither
an exporter nor a verification needs a package for it.
"""

import pathlib
import uuid

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tfae.errors import InputError, check_int

FILE = "assets.extra/tf_serving_warmup_requests"
# Field numbers: PredictionLog, PredictLog, PredictRequest, ModelSpec, an entry of a map.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS, _SIGNATURE_NAME, _KEY, _VALUE = 6, 1, 1, 2, 3, 1, 2


def requests(inputs, examples, largest):
  """Returns [(signature, {input: array})], for each signature a batch of 1 and one of `largest`.

  Args:
    inputs: signature -> name -> graph.TensorInfo, as of graph.Frozen.
    examples: signature -> name -> array `[n, ...]`, n >= 1; taken again from the first where
      `largest` is more.
    largest: examples of the second batch.
  """
  check_int("warmup", largest, 1)
  return [(key, {name: first(examples[key][name], batch).astype(info.dtype.as_numpy_dtype)
                 for name, info in sorted(inputs[key].items())})
          for key in sorted(inputs) for batch in sorted({1, largest})]


def first(examples, batch):
  """Returns the first `batch` examples of `[n, ...]`, from the start again when they run out."""
  examples = np.asarray(examples)
  return examples[np.arange(batch) % len(examples)]


def write(directory, requests_):
  """Writes the file into a version's folder; the same requests are the same bytes.

  The model's name is left out: it is the server's, and a warmup is for the model it lies in.
  Raises OSError if it can't be written.
  """
  path = pathlib.Path(directory) / FILE
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(_framed([_encode(*request) for request in requests_]))


def read(directory):
  """Returns what `write` was given, or [] if the folder has no such file.

  Raises InputError if the file is damaged or not of predict requests.
  """
  path = pathlib.Path(directory) / FILE
  if not path.is_file():
    return []
  try:
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    # TensorFlow takes fewer than a header's bytes for the end of a file.
    if not records or _framed(records) != path.read_bytes():
      raise ValueError("no records, or bytes after them")
    return [_decode(record) for record in records]
  except (tf.errors.OpError, ValueError, IndexError, KeyError, TypeError) as error:
    raise InputError(f"{path}: damaged, or not of predict requests ({type(error).__name__}). "
                     "Export the model again.") from error


def _framed(messages):
  """Returns the TFRecords of messages; TensorFlow frames them, in memory."""
  path = f"ram://{uuid.uuid4()}"
  with tf.io.TFRecordWriter(path) as writer:
    for message in messages:
      writer.write(message)
  with tf.io.gfile.GFile(path, "rb") as file:
    content = file.read()
  tf.io.gfile.remove(path)
  return content


def _encode(signature, feeds):
  inputs = b"".join(
      _field(_INPUTS, _field(_KEY, name.encode()) + _field(
          _VALUE, tf.make_tensor_proto(value).SerializeToString(deterministic=True)))
      for name, value in feeds.items())
  request = _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, signature.encode())) + inputs
  return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _decode(record):
  (_, log), = _fields(record, only=_PREDICT_LOG)
  (_, request), = _fields(log, only=_REQUEST)
  found = list(_fields(request))
  (_, name), = _fields(dict(found)[_MODEL_SPEC], only=_SIGNATURE_NAME)
  feeds = {}
  for number, content in found:
    if number == _INPUTS:
      entry = dict(_fields(content))
      feeds[entry[_KEY].decode()] = tf.make_ndarray(
          tensor_pb2.TensorProto.FromString(entry[_VALUE]))
  return name.decode(), feeds


def _field(number, content):
  """Returns a field of wire type 2: its tag, its length, its bytes."""
  return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
  out = bytearray()
  while value > 127:
    out.append(value & 127 | 128)
    value >>= 7
  return bytes([*out, value])


def _fields(content, only=None):
  """Yields (number, bytes) of a message's fields, which are all of wire type 2."""
  at = 0

  def varint():
    nonlocal at
    value = shift = 0
    while True:
      byte = content[at]
      at += 1
      value |= (byte & 127) << shift
      shift += 7
      if byte < 128:
        return value

  while at < len(content):
    tag = varint()
    length = varint()
    if tag & 7 != 2 or at + length > len(content) or only not in (None, tag >> 3):
      raise ValueError(f"a field {tag} of {length} bytes")
    yield tag >> 3, content[at:at + length]
    at += length
