"""Calls a model that TensorFlow Serving serves, over gRPC.

  python export/clients/grpc_client.py localhost:8500/s04 encode images=images.npy [--out=FOLDER]

A label or a version comes after the model: localhost:8500/s04:stable, localhost:8500/s04/3. Needs
tensorflow, tensorflow-serving-api and grpcio; what a signature takes is asked of the server.
"""

import argparse
import os
import pathlib
import re
import sys

try:
  import grpc
  import tensorflow_serving
except ModuleNotFoundError as error:
  print(f"grpc_client.py: {error.name} is not installed: pip install 'tfae[serving]'",
        file=sys.stderr)
  sys.exit(2)
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

_MODEL = re.compile(r"(?P<address>[^/]+)/(?P<name>[^/:]+)(:(?P<label>[^/:]+)|/(?P<version>\d+))?")
SECONDS = 30  # after which a call is given up
NO_LIMIT = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class UserError(Exception):
  """The command line, a file that it names, or the server's answer to it is wrong."""


def load(model):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name.

  `model` is HOST:PORT/NAME, HOST:PORT/NAME:LABEL or HOST:PORT/NAME/VERSION.
  """
  parts = _MODEL.fullmatch(str(model))
  if not parts:
    raise UserError(f"{model}: expected HOST:PORT/NAME, then nothing, :LABEL or /VERSION.")
  service = prediction_service_pb2_grpc.PredictionServiceStub(
      grpc.insecure_channel(parts["address"], NO_LIMIT))
  request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
  request.model_spec.name = parts["name"]
  if parts["label"]:
    request.model_spec.version_label = parts["label"]
  if parts["version"]:
    request.model_spec.version.value = int(parts["version"])
  found = get_model_metadata_pb2.SignatureDefMap()
  service.GetModelMetadata(request, timeout=SECONDS).metadata["signature_def"].Unpack(found)
  return {key: _function(service, request.model_spec, key, signature)
          for key, signature in found.signature_def.items() if not key.startswith("__")}


def _function(service, model_spec, key, signature):
  def call(**inputs):
    if set(inputs) != set(signature.inputs):
      raise UserError(f"signature {key} takes {', '.join(sorted(signature.inputs))}: found "
                      f"{', '.join(sorted(inputs))}.")
    request = predict_pb2.PredictRequest(model_spec=model_spec)
    request.model_spec.signature_name = key
    for name, value in inputs.items():
      dtype = tf.as_dtype(signature.inputs[name].dtype)
      if (value.dtype == object) != (dtype == tf.string):
        raise UserError(f"{name} takes {dtype.name}: " + (
            "give PNG or JPEG files." if dtype == tf.string else "give a .npy file of numbers."))
      request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype))
    outputs = service.Predict(request, timeout=SECONDS).outputs
    return {name: tf.make_ndarray(value) for name, value in outputs.items()}
  return call


class Parser(argparse.ArgumentParser):
  """One line and exit code 2 instead of a page of usage."""

  def error(self, message):
    raise UserError(message)


def read(files):
  """Returns the array of a .npy file, or the contents of other files as an array of bytes."""
  if files.endswith(".npy"):
    try:
      value = np.load(files, allow_pickle=False)
      if not isinstance(value, np.ndarray):
        raise ValueError("it holds several arrays")
      return value
    except (ValueError, EOFError) as error:
      raise UserError(f"{files}: not a .npy file of numbers ({error}).") from error
  return np.array([pathlib.Path(file).read_bytes() for file in files.split(",")], object)


def main(arguments):
  parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                  allow_abbrev=False)
  parser.add_argument("model", metavar="HOST:PORT/NAME", help="then nothing, :LABEL or /VERSION")
  parser.add_argument("signature", help="such as serving_default")
  parser.add_argument("inputs", nargs="+", metavar="INPUT=FILE",
                      help=".npy, or for encoded images PNG or JPEG files: a,b,c")
  parser.add_argument("--out", metavar="FOLDER", help="write the outputs there as .npy files")
  args = parser.parse_args(arguments)
  inputs = {name: read(files) for name, _, files in (pair.partition("=") for pair in args.inputs)}
  functions = load(args.model)
  if args.signature not in functions:
    raise UserError(f"signature={args.signature!r}: expected one of "
                    f"{', '.join(sorted(functions))}.")
  for name, value in sorted(functions[args.signature](**inputs).items()):
    print(f"{name} {value.dtype} {list(value.shape)} {np.ravel(value)[:6]}")
    if args.out:
      pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
      np.save(pathlib.Path(args.out) / f"{name}.npy", value)


def run(arguments):
  """Calls main; returns the exit code: 0, or 2 after a mistake told in one line."""
  try:
    main(arguments)
    return 0
  except grpc.RpcError as error:
    print(f"grpc_client.py: {error.code().name}: {' '.join(error.details().split())}",
          file=sys.stderr)
  except (UserError, OSError) as error:
    print(f"grpc_client.py: {error}", file=sys.stderr)
  return 2


if __name__ == "__main__":
  sys.exit(run(sys.argv[1:]))
