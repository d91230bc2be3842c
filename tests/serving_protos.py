"""The messages of TensorFlow Serving that tfae's files are made of, from their .proto definitions.

Built here, so that a test needs no package but protobuf; where tensorflow-serving-api is installed,
tests marked full compare with its own. A tensor is bytes: on the wire a message and its bytes are
the same.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "int64": _FIELD.TYPE_INT64,
          "bool": _FIELD.TYPE_BOOL}
# message: {field: (number, type)}; a type ends with * if it is repeated, map<K,V> is one of these.
_MESSAGES = {
    "Int64Value": {"value": (1, "int64")},
    # config/model_server_config.proto and file_system_storage_path_source.proto
    "Latest": {"num_versions": (1, "int64")},
    "Specific": {"versions": (1, "int64*")},
    "ServableVersionPolicy": {"latest": (100, "Latest"), "specific": (102, "Specific")},
    "ModelConfig": {"name": (1, "string"), "base_path": (2, "string"),
                    "model_platform": (4, "string"),
                    "model_version_policy": (7, "ServableVersionPolicy"),
                    "version_labels": (8, "map<string,int64>")},
    "ModelConfigList": {"config": (1, "ModelConfig*")},
    "ModelServerConfig": {"model_config_list": (1, "ModelConfigList")},
    # servables/tensorflow/session_bundle_config.proto
    "BatchingParameters": {"max_batch_size": (1, "Int64Value"),
                           "batch_timeout_micros": (2, "Int64Value"),
                           "max_enqueued_batches": (3, "Int64Value"),
                           "num_batch_threads": (4, "Int64Value")},
    # config/monitoring_config.proto
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    # apis/model.proto, predict.proto and prediction_log.proto
    "ModelSpec": {"name": (1, "string"), "version": (2, "Int64Value"),
                  "version_label": (4, "string"), "signature_name": (3, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "map<string,bytes>"),
                       "output_filter": (3, "string*")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}


def _add(message, name, number, kind):
  repeated = kind.endswith("*") or kind.startswith("map<")
  field = message.field.add(name=name, number=number)
  field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
  if kind.startswith("map<"):
    entry = message.nested_type.add(
        name="".join(part.capitalize() for part in name.split("_")) + "Entry")
    entry.options.map_entry = True
    for index, part in enumerate(kind[4:-1].split(","), 1):
      _add(entry, ("key", "value")[index - 1], index, part)
    field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".check.{message.name}.{entry.name}"
  elif kind.rstrip("*") in _TYPES:
    field.type = _TYPES[kind.rstrip("*")]
  else:
    field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".check.{kind.rstrip('*')}"


def _build():
  file = descriptor_pb2.FileDescriptorProto(name="check.proto", package="check", syntax="proto3")
  for name, fields in _MESSAGES.items():
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
      _add(message, field, number, kind)
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"check.{name}"))
          for name in _MESSAGES}


MESSAGES = _build()
