"""Writing a frozen graph as a SavedModel that is the same bytes every time, and verifying it."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys

from google.protobuf import message
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2, meta_graph_pb2, saved_model_pb2
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

from tfae import graph, warmup
from tfae.errors import InputError, check_number

SIGNATURE_FILE = "signature.json"
FILES = ("fingerprint.pb", "saved_model.pb", SIGNATURE_FILE)
SCHEMA_VERSION = 1
_PROTOBUF_LIMIT = 2**31 - 1  # bytes of one message


class VerificationError(RuntimeError):
  """The written model does not do what the live model does: it must not be published."""


def write(directory, frozen, metadata=None, tolerance=1e-5, requests=()):
  """Writes saved_model.pb, fingerprint.pb and signature.json into `directory` (made if missing).

  `frozen` is a graph.Frozen. `metadata` is a JSON-able dict about the model (parameters, dataset,
  units, loss; no times, no paths: every file is a function of `frozen` and `metadata` alone).
  `tolerance` is the bound that the model is verified with; its checkers read it from
  signature.json. `requests` go into the file that TensorFlow Serving warms up with (`warmup`); no
  requests, no file. Returns {file name: sha256 hex}. Raises InputError for metadata that is not
  JSON and for a graph over protobuf's 2 GiB, OSError if a file can't be written.
  """
  directory = pathlib.Path(directory)
  tolerance = check_number("tolerance", tolerance, 0, above=True)
  model = _saved_model(frozen).SerializeToString(deterministic=True)
  digest = hashlib.sha256(model).hexdigest()
  description = {
      "schema_version": SCHEMA_VERSION,
      "saved_model_sha256": digest,
      "tolerance": tolerance,
      "metadata": metadata or {},
      "signatures": {key: {"inputs": _describe(frozen.inputs[key], ranges=True),
                           "outputs": _describe(frozen.outputs[key])}
                     for key in frozen.inputs},
  }
  try:
    text = json.dumps(description, indent=2, sort_keys=True, allow_nan=False) + "\n"
  except (TypeError, ValueError) as error:
    raise InputError(f"metadata={metadata!r}: expected what JSON can hold (dict, list, str, int, "
                     f"finite float, bool, None): {error}.") from error
  directory.mkdir(parents=True, exist_ok=True)
  (directory / "saved_model.pb").write_bytes(model)
  (directory / SIGNATURE_FILE).write_text(text)
  # TensorFlow's own writer of the file answers a full disk with an error that is no OSError.
  fingerprint = fingerprint_pb2.FingerprintDef.FromString(
      fingerprinting.CreateFingerprintDef(str(directory)))
  fingerprint.uuid = str(int(digest[:16], 16))  # TensorFlow draws it at random
  (directory / "fingerprint.pb").write_bytes(fingerprint.SerializeToString(deterministic=True))
  if requests:
    warmup.write(directory, requests)
  return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest()
          for name in (*FILES, *([warmup.FILE] if requests else []))}


def read(content, description):
  """Returns the graph.Frozen that `write` wrote.

  Args:
    content: bytes of saved_model.pb.
    description: signature.json as a dict.

  Raises:
    InputError: they are no export.
  """
  model = saved_model_pb2.SavedModel()
  try:
    model.ParseFromString(content)
    infos = {side: {key: {name: graph.TensorInfo(
        entry["tensor"], tf.as_dtype(entry["dtype"]), tuple(entry["shape"]), entry["meaning"],
        entry.get("value_range") and tuple(entry["value_range"]))
                          for name, entry in signature[side].items()}
                    for key, signature in description["signatures"].items()}
             for side in ("inputs", "outputs")}
    return graph.Frozen(model.meta_graphs[0].graph_def, **infos)
  except (message.DecodeError, IndexError, KeyError, TypeError) as error:
    raise InputError(f"saved_model.pb or signature.json is damaged ({type(error).__name__}: "
                     f"{error}). Export the model again.") from None


def verify(directory, examples, references, tolerance=1e-5, threshold=None):
  """Runs a written model in a fresh process, on the CPU, where importing tfae fails.

  `examples` maps signature -> input -> array [batch, ...], `references` maps signature -> output
  -> array of the live model on those examples; both cover every signature. Each output must be
  within tolerance x max(1, max |reference|) of its reference at its worst element. With a
  `threshold` an output `is_anomaly` is judged by the output `score` beside it instead, exactly: a
  score that is within its bound of the threshold may lie on either side.
  The requests of the warmup file, if there is one, are read back and run too: they are the first
  examples of their signature, so their outputs are the first of the references, and every
  signature has one.
  Returns [(signature, output, max |difference|, bound)] of the examples. Raises VerificationError
  otherwise, InputError for a warmup file that can't be read.
  """
  requests = warmup.read(directory)
  outputs, replies = _run_elsewhere(pathlib.Path(directory).resolve(), examples, requests)
  table = []
  for key in sorted(outputs.keys() | references.keys()):
    table += _compare(f"signature {key!r}", key, outputs.get(key, {}), references.get(key, {}),
                      tolerance, threshold)
  for (key, feeds), reply in zip(requests, replies, strict=True):
    batch = len(next(iter(feeds.values())))
    _compare(f"warmup request of {batch}, signature {key!r}", key, reply,
             {name: warmup.first(value, batch) for name, value in references[key].items()},
             tolerance, threshold)
  cold = set(outputs) - {key for key, _ in requests}
  if requests and cold:
    raise VerificationError(f"the warmup file has no request for {', '.join(sorted(cold))}.")
  return table


def _compare(where, key, found, expected, tolerance, threshold):
  """Returns verify's rows of one run of a signature."""
  if sorted(found) != sorted(expected):
    raise VerificationError(f"{where} has outputs {sorted(found)} in the written model: expected "
                            f"{sorted(expected)}, as in the references.")
  table = []
  for name in sorted(found):
    reference, value = _as_float(expected[name]), found[name]
    if name == "is_anomaly" and threshold is not None:
      reference = _as_float(found["score"] > threshold)
    if value.shape != reference.shape:
      raise VerificationError(f"{where}, output {name!r}: shape {value.shape} in the written "
                              f"model, {reference.shape} in the live one.")
    bound = tolerance * max(1.0, float(np.max(np.abs(reference), initial=0.0)))
    difference = float(np.max(np.abs(value - reference), initial=0.0))
    # Not `difference > bound`: a NaN on either side has to fail.
    if not difference <= bound:
      raise VerificationError(f"{where}, output {name!r}: the written model differs from the live "
                              f"one by {difference:.6g}, the bound is {bound:.6g}.")
    table.append((key, name, difference, bound))
  return table


def _saved_model(frozen):
  with tf.Graph().as_default() as whole:
    tf.import_graph_def(frozen.graph_def, name="")
    meta_graph = tf.compat.v1.train.export_meta_graph(graph=whole, strip_default_attrs=True)
  meta_graph.meta_info_def.tags.append(tf.saved_model.SERVING)
  meta_graph.graph_def.node.sort(key=lambda node: node.name)
  meta_graph.graph_def.library.function.sort(key=lambda function: function.signature.name)
  for key in frozen.inputs:
    signature = meta_graph.signature_def[key]
    signature.method_name = tf.saved_model.PREDICT_METHOD_NAME
    for side, infos in ((signature.inputs, frozen.inputs[key]),
                        (signature.outputs, frozen.outputs[key])):
      for name, info in infos.items():
        side[name].CopyFrom(meta_graph_pb2.TensorInfo(
            name=info.name, dtype=info.dtype.as_datatype_enum,
            tensor_shape=tf.TensorShape(info.shape).as_proto()))
  model = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
  if model.ByteSize() > _PROTOBUF_LIMIT:
    raise InputError(f"the frozen model has {model.ByteSize()} bytes: a SavedModel without a "
                     f"variables folder holds at most {_PROTOBUF_LIMIT}; export a smaller model.")
  return model


def _describe(infos, ranges=False):
  described = {}
  for name, info in infos.items():
    described[name] = {"tensor": info.name, "dtype": info.dtype.name, "shape": list(info.shape),
                       "meaning": info.meaning}
    if ranges:
      described[name]["value_range"] = info.value_range and list(map(float, info.value_range))
  return described


def _as_float(value):
  """float64 of an array or tensor: bfloat16 and bool have no differences of their own."""
  return np.asarray(value).astype(np.float64)


# It only loads, runs and answers; comparing is left to the parent, which holds the references.
# Arrays go through pipes: nothing is left on a disk, and no disk can be full.
_PROGRAM = """
import sys

class Blocker:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] == "tfae":
      raise ImportError(f"{name} cannot be imported here: an export must stand on its own")

sys.meta_path.insert(0, Blocker())
import io, os, threading

def end_with_parent(lifeline):
  os.read(lifeline, 1)  # nobody writes: it returns when the parent is gone, however it went
  os._exit(1)

directory, lifeline = sys.argv[1:]
threading.Thread(target=end_with_parent, args=[int(lifeline)], daemon=True).start()
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever a library prints is no part of the answer

import numpy as np
import tensorflow as tf

inputs = np.load(io.BytesIO(sys.stdin.buffer.read()))
loaded = tf.saved_model.load(directory)
outputs = {}

def run(call, key):
  function, feeds = loaded.signatures[key], {}
  for name, spec in function.structured_input_signature[1].items():
    if f"{call}/{key}/{name}" not in inputs:
      sys.exit(f"signature {key!r} wants input {name!r}, which the examples lack")
    feeds[name] = tf.cast(tf.constant(inputs[f"{call}/{key}/{name}"]), spec.dtype)
  for name, value in function(**feeds).items():
    outputs[f"{call}/{key}/{name}"] = value.numpy().astype(np.float64)

for key in loaded.signatures:
  run("0", key)
for call, key in {tuple(path.split("/")[:2]) for path in inputs.files}:
  if call != "0":
    run(call, key)
with answer:
  np.savez(answer, **outputs)
"""


def _run_elsewhere(directory, examples, requests):
  """Returns what every signature in `directory` makes of the examples, and of each request.

  The first is signature -> output -> float64 array, the second a list of output -> float64 array.
  """
  calls = [examples, *({key: feeds} for key, feeds in requests)]
  arrays = {f"{call}/{key}/{name}": np.asarray(value) for call, fed in enumerate(calls)
            for key, inputs in fed.items() for name, value in inputs.items()}
  question = io.BytesIO()
  np.savez(question, **{
      # npz names neither bfloat16 nor, without pickling, strings that are objects.
      name: value if value.dtype.kind in "biuf" else value.astype("S")
      if value.dtype == object else _as_float(value) for name, value in arrays.items()})
  environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
  lifeline = os.pipe()
  try:
    result = subprocess.run([sys.executable, "-c", _PROGRAM, str(directory), str(lifeline[0])],
                            cwd=directory, env=environment, input=question.getvalue(),
                            capture_output=True, pass_fds=lifeline[:1], check=False)
  finally:
    for descriptor in lifeline:
      os.close(descriptor)
  if result.returncode:
    said = result.stderr.decode(errors="replace").strip().splitlines()
    raise VerificationError(f"a fresh process could not run {directory}: "
                            f"{said[-1] if said else f'exit code {result.returncode}'}")
  outputs = [{} for _ in calls]
  with np.load(io.BytesIO(result.stdout)) as saved:
    for path in saved.files:
      call, key, name = path.split("/")
      outputs[int(call)].setdefault(key, {})[name] = saved[path]
  return outputs[0], [outputs[i][key] for i, (key, _) in enumerate(requests, 1)]
