"""A double of TensorFlow Serving's PredictionService, for tests: no server, and no substitute.

It reads models.config with TensorFlow Serving's own messages, loads the versions that it names,
replays their warmup requests, and answers GetModelMetadata and Predict by version, by label, or,
where a request has neither, with the highest loaded version.
"""

import concurrent.futures
import pathlib

from google.protobuf import text_format
import grpc
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2


class Refused(Exception):
  """A gRPC status code, and its details."""


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
  """Serves the models of a models.config.

  Attributes:
    warmed: [(version, signature, batch)] of the warmup requests that were replayed.
  """

  def __init__(self, config):
    parsed = text_format.Parse(pathlib.Path(config).read_text(),
                               model_server_config_pb2.ModelServerConfig())
    self._config, = parsed.model_config_list.config
    self._paths = {version: pathlib.Path(self._config.base_path) / str(version)
                   for version in self._config.model_version_policy.specific.versions}
    self._models = {version: tf.saved_model.load(str(path)).signatures
                    for version, path in self._paths.items()}
    self.warmed = []
    for version, path in self._paths.items():
      records = tf.data.TFRecordDataset(str(path / "assets.extra/tf_serving_warmup_requests"))
      for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        outputs = self._run(version, request)
        batch, = {value.tensor_shape.dim[0].size for value in outputs.outputs.values()}
        self.warmed.append((version, request.model_spec.signature_name, batch))

  def _version(self, spec):
    if spec.name != self._config.name:
      raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label" and spec.version_label not in self._config.version_labels:
      raise Refused(grpc.StatusCode.INVALID_ARGUMENT,
                    f"Unrecognized servable version label: {spec.version_label}")
    version = {"version": spec.version.value, None: max(self._models)}.get(
        choice, self._config.version_labels.get(spec.version_label, 0))
    if version not in self._models:
      raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable version {version} is not loaded")
    return version

  def _run(self, version, request):
    function = self._models[version].get(request.model_spec.signature_name or "serving_default")
    try:
      outputs = function(**{name: tf.constant(tf.make_ndarray(value))
                            for name, value in request.inputs.items()})
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
      raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
    response = predict_pb2.PredictResponse()
    response.model_spec.name = self._config.name
    response.model_spec.version.value = version
    for name, value in outputs.items():
      response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    return response

  def GetModelMetadata(self, request, context):  # pylint: disable=invalid-name
    try:
      version = self._version(request.model_spec)
    except Refused as refused:
      context.abort(*refused.args)
    model = saved_model_pb2.SavedModel.FromString(
        (self._paths[version] / "saved_model.pb").read_bytes())
    found = get_model_metadata_pb2.SignatureDefMap(
        signature_def=dict(model.meta_graphs[0].signature_def))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(found)
    return response

  def Predict(self, request, context):  # pylint: disable=invalid-name
    try:
      return self._run(self._version(request.model_spec), request)
    except Refused as refused:
      context.abort(*refused.args)


def start(config):
  """Returns (the Service, a grpc server that answers with it, its HOST:PORT)."""
  service = Service(config)
  server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), options=[
      ("grpc.max_receive_message_length", -1)])
  prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
  port = server.add_insecure_port("localhost:0")
  server.start()
  return service, server, f"localhost:{port}"
