"""tf.train.Example without TensorFlow: the message described here, read by protobuf.

Source: tensorflow/core/example/example.proto and feature.proto.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
# {message: [(field, number, type or message, repeated)]}
_MESSAGES = {
    "BytesList": [("value", 1, _FIELD.TYPE_BYTES, True)],
    "FloatList": [("value", 1, _FIELD.TYPE_FLOAT, True)],
    "Int64List": [("value", 1, _FIELD.TYPE_INT64, True)],
    "Feature": [("bytes_list", 1, "BytesList", False), ("float_list", 2, "FloatList", False),
                ("int64_list", 3, "Int64List", False)],
    # A map, as it is written: {key, value} again and again; the last of a key holds.
    "Entry": [("key", 1, _FIELD.TYPE_STRING, False), ("value", 2, "Feature", False)],
    "Features": [("feature", 1, "Entry", True)],
    "Example": [("features", 1, "Features", False)],
}


def _example_class():
  file = descriptor_pb2.FileDescriptorProto(name="example", package="tfae", syntax="proto3")
  for name, fields in _MESSAGES.items():
    described = file.message_type.add(name=name)
    for field, number, kind, repeated in fields:
      label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
      if isinstance(kind, str):
        described.field.add(name=field, number=number, label=label, type=_FIELD.TYPE_MESSAGE,
                            type_name=f".tfae.{kind}")
      else:
        described.field.add(name=field, number=number, label=label, type=kind)
  # A pool of its own: TensorFlow's own messages are in the one that all share.
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName("tfae.Example"))


_Example = _example_class()


def features(data):
  """Returns {name: list of bytes, int or float} of the bytes of a tf.train.Example.

  Raises:
    ValueError: they are none.
  """
  try:
    entries = _Example.FromString(data).features.feature
  except message.DecodeError as error:
    raise ValueError(str(error)) from None
  found = {}
  for entry in entries:
    for kind in ("bytes_list", "int64_list", "float_list"):
      if entry.value.HasField(kind):
        found[entry.key] = list(getattr(entry.value, kind).value)
        break
    else:
      found[entry.key] = []
  return found
