"""Checks an exported SavedModel as a stranger would: with TensorFlow and numpy, without tfae.

  python export/check_saved_model.py --saved_model=D/1 [--images=FILE.npy|FILE.png ...]
      [--allow_ops=OP,...]

Prints one line for each output, then PASS, or FAIL and the reasons. Runs on the CPU. Images in a
.npy file are in the units that signature.json states; the 0..255 of a PNG are scaled to its range.
A SavedModel is code: one with an op that can do more than compute is not run, unless you name the
op. Exit code: 0 all checks passed, 1 a check failed, 2 the command or a file it names is wrong.
"""

import argparse
import contextlib
import difflib
import gc
import hashlib
import json
import math
import os
import struct
import sys
import tempfile
import time

import numpy as np

BATCHES = (1, 3, 100)
MAX_NUMBERS = 1 << 22  # of one example: the largest batch of them is 3.4 GB of float64
# Ops that only compute: no files, network, Python code, variables, generators, printing.
SAFE_OPS = frozenset("""
Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh AvgPool BatchMatMul
BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd Bitcast BroadcastArgs BroadcastTo Cast Ceil
ClipByValue Concat ConcatV2 Const Conv2D Conv2DBackpropFilter Conv2DBackpropInput Conv3D
Conv3DBackpropInputV2 Cos Cosh Cumprod Cumsum DecodeAndCropJpeg DecodeImage DecodeJpeg DecodePng
DepthToSpace DepthwiseConv2dNative Digamma Div DivNoNan Einsum Elu EnsureShape Equal Erf Erfc Erfinv
Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod FusedBatchNormV3 Gather GatherNd GatherV2 Greater
GreaterEqual Identity IdentityN InvertPermutation IsFinite IsInf IsNan L2Loss LRN LeakyRelu Less
LessEqual Lgamma LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool
MaxPoolV2 MaxPoolWithArgmax Maximum Mean Min Minimum MirrorPad Mod Mul MulNoNan Neg NoOp NotEqual
OneHot OnesLike Pack Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow
PreventGradient Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic
ResizeBilinear ResizeNearestNeighbor ReverseV2 Rint Roll Round Rsqrt ScatterNd Select SelectV2 Selu
Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth
SparseSoftmaxCrossEntropyWithLogits Split SplitV Sqrt Square SquaredDifference Squeeze StatelessIf
StatelessRandomGetKeyCounter StatelessRandomNormalV2 StatelessRandomUniformV2 StatelessWhile
StopGradient StridedSlice Sub Substr Sum Tan Tanh TensorListFromTensor TensorListGetItem
TensorListReserve TensorListSetItem TensorListStack Tile TopKV2 Transpose TruncateDiv Unpack Where
Xdivy Xlog1py Xlogy ZerosLike""".split())
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class UserError(Exception):
  """The command line, or a file that it names, is wrong."""


class Parser(argparse.ArgumentParser):
  """One line and exit code 2, with the nearest flag, instead of a page of usage."""

  def error(self, message):
    raise UserError(message)


def parse(arguments):
  parser = Parser(description=__doc__, allow_abbrev=False,
                  formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--saved_model", required=True, metavar="D/1", help="the exported version")
  parser.add_argument("--images", action="append", default=[], metavar="FILE",
                      help="a .npy file ([n,h,w,c], [n,h,w] or [h,w]) or a PNG")
  parser.add_argument("--allow_ops", default="", metavar="OP,...",
                      help="ops that are run though they can do more than compute")
  parser.add_argument("more_images", nargs="*", metavar="FILE", help="more of them")
  flags = ["--" + name for name in ("saved_model", "images", "allow_ops", "help")]
  for argument in arguments:
    if argument.startswith("--") and argument.split("=")[0] not in flags:
      close = difflib.get_close_matches(argument.split("=")[0], flags, n=1)
      raise UserError(f"unknown flag {argument.split('=')[0]}: expected {', '.join(flags)}."
                      + (f" Did you mean {close[0]}?" if close else ""))
  found = parser.parse_args(arguments)
  return found.saved_model, found.images + found.more_images, set(found.allow_ops.split(","))


def read_signature_file(directory):
  """signature.json as a dict, or a UserError that says what `directory` is instead."""
  if not os.path.isdir(directory):
    raise UserError(f"--saved_model={directory}: no such directory.")
  if not os.path.isfile(os.path.join(directory, "saved_model.pb")):
    versions = [name for name in os.listdir(directory) if name.isdecimal()]
    newest = os.path.join(directory, max(versions, key=int)) if versions else None
    raise UserError(f"--saved_model={directory}: not a SavedModel, it has no saved_model.pb."
                    + (f" Did you mean {newest}?" if newest else ""))
  root = os.path.realpath(directory)
  for folder, folders, names in os.walk(directory):
    for name in folders + names:
      path = os.path.join(folder, name)
      if os.path.commonpath([root, os.path.realpath(path)]) != root:
        raise UserError(f"{path}: a link that leads out of --saved_model: expected a copy.")
  path = os.path.join(directory, "signature.json")
  try:
    with open(path, encoding="utf-8") as file:
      description = json.load(file)
    for signature in description["signatures"].values():
      for entry in [*signature["inputs"].values(), *signature["outputs"].values()]:
        entry["tensor"], entry["dtype"]
        if math.prod(size or 1 for size in entry["shape"][1:]) > MAX_NUMBERS:
          raise ValueError(f"shape {entry['shape']} is over {MAX_NUMBERS} numbers an example")
  except FileNotFoundError as error:
    raise UserError(f"--saved_model={directory}: no signature.json, so not a model that "
                    "export_saved_model.py wrote.") from error
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
    raise UserError(f"{path}: damaged ({type(error).__name__}: {error}).") from error
  return description


def images_entry(description):
  for signature in description["signatures"].values():
    entry = signature["inputs"].get("images")
    if entry and len(entry["shape"]) == 4:
      return entry
  raise UserError("--images: no signature of this model has an input called images of shape "
                  "[batch, height, width, channels].")


def check_image_file(path, shape):
  """Raises UserError unless `path` holds images of `shape` [height, width, channels]."""
  try:
    with open(path, "rb") as file:
      head = file.read(26)
    if path.lower().endswith(".npy"):
      found = np.load(path, mmap_mode="r", allow_pickle=False)
      if not isinstance(found, np.ndarray):  # a .npz by another name
        raise UserError(f"--images={path}: an archive: expected one array.")
      if found.dtype.kind not in "biuf" or found.size == 0:
        raise UserError(f"--images={path}: {found.dtype} {list(found.shape)}: expected numbers.")
      sizes = found.shape[-2:] if found.ndim < 4 else found.shape[1:]
    elif head.startswith(PNG_MAGIC) and len(head) == 26:
      sizes = struct.unpack(">II", head[16:24])[::-1]
    else:
      raise UserError(f"--images={path}: neither a .npy file nor a PNG.")
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f"--images={path}: {getattr(error, 'strerror', None) or error}.") from error
  # A PNG's channels are converted; in an array only a grey image may leave them out.
  without_channels = len(sizes) == 2 and (shape[2] == 1 or not path.lower().endswith(".npy"))
  if list(sizes) != (shape[:2] if without_channels else shape):
    raise UserError(f"--images={path}: found {'x'.join(map(str, sizes))}, expected "
                    f"{'x'.join(map(str, shape))} (height x width x channels).")


@contextlib.contextmanager
def quiet():
  """Holds back TensorFlow's own lines, which no log level silences; shows them with a fault."""
  sys.stderr.flush()
  terminal = os.dup(2)
  with tempfile.TemporaryFile() as lines:
    os.dup2(lines.fileno(), 2)
    try:
      yield
    except UserError:
      raise
    except BaseException:
      lines.seek(0)
      os.write(terminal, lines.read())
      raise
    finally:
      os.dup2(terminal, 2)
      os.close(terminal)


@contextlib.contextmanager
def lean():
  """Keeps from TensorFlow's import what it takes along if it is installed, and nothing here uses.

  Nor is garbage looked for among what it loads, not even at the end. It all takes half the time.
  """
  extras = {"sklearn", "scipy", "matplotlib", "h5py"} - sys.modules.keys()
  sys.modules.update(dict.fromkeys(extras))  # None: they pass for not installed
  gc.disable()
  try:
    yield
  finally:
    for name in extras:
      del sys.modules[name]
    gc.freeze()
    gc.enable()


def import_tensorflow():
  os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
  os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
  with quiet(), lean():
    import tensorflow
  tensorflow.get_logger().setLevel("ERROR")
  return tensorflow


def numpy_type(tf, entry):
  return tf.dtypes.as_dtype(entry["dtype"]).as_numpy_dtype


def read_images(tf, paths, entry):
  """[n, height, width, channels] in the units of `entry`, a `images` input of signature.json."""
  found = []
  for path in paths:
    if path.lower().endswith(".npy"):
      found.append(np.load(path).reshape([-1] + entry["shape"][1:]))
      continue
    with quiet(), open(path, "rb") as file:
      try:
        pixels = tf.io.decode_png(file.read(), channels=entry["shape"][3]).numpy()
      except tf.errors.InvalidArgumentError as error:
        raise UserError(f"--images={path}: damaged PNG.") from error
    low, high = entry["value_range"] or (0, 255)
    found.append(low + pixels[np.newaxis] / 255 * (high - low))
  if not np.isfinite(images := np.concatenate(found)).all():
    raise UserError(f"--images={' '.join(paths)}: holds values that are not finite.")
  return images.astype(numpy_type(tf, entry))


def read_meta_graph(directory):
  """Returns (sha256 of saved_model.pb, its one MetaGraphDef)."""
  from google.protobuf.message import DecodeError
  from tensorflow.core.protobuf import saved_model_pb2
  path = os.path.join(directory, "saved_model.pb")
  with open(path, "rb") as file:
    content = file.read()
  try:
    model = saved_model_pb2.SavedModel.FromString(content)
  except DecodeError as error:
    raise UserError(f"{path}: damaged, not a SavedModel protocol buffer.") from error
  if len(model.meta_graphs) != 1:
    raise UserError(f"{path}: damaged, {len(model.meta_graphs)} graphs: expected 1.")
  return hashlib.sha256(content).hexdigest(), model.meta_graphs[0]


def bodies(graph):
  """Returns [(prefix of names, nodes)] of a GraphDef and of each function in its library."""
  return [("", graph.node)] + [(function.signature.name + "/", function.node_def)
                               for function in graph.library.function]


def unsafe_ops(graph):
  """Returns {op: name of a node} of the ops that can do more than compute.

  A node that calls a function by the function's name is one of them: that name may be an op's.
  """
  return {node.op: prefix + node.name for prefix, nodes in bodies(graph) for node in nodes
          if node.op not in SAFE_OPS}


def check_graph(tf, directory, description, failures):
  """Checks what saved_model.pb says, without running it; appends to `failures`.

  Returns {op: name of a node} of the ops that can do more than compute.
  """
  digest, meta_graph = read_meta_graph(directory)
  graph = meta_graph.graph_def
  if digest != description.get("saved_model_sha256"):
    failures.append("saved_model.pb is not the file that was exported: its sha256 differs from "
                    "the one in signature.json")
  for prefix, nodes in bodies(graph):
    for node in nodes:
      if "Variable" in node.op or node.op == "VarHandleOp" or node.op.startswith("Resource"):
        failures.append(f"node {prefix}{node.name} is a variable op: {node.op}")
      if node.device or any(b"device:" in a.s.lower() or any(b"loc:@" in s for s in a.list.s)
                            for a in node.attr.values()):
        failures.append(f"node {prefix}{node.name} names a device: {node.device or 'in an attr'}")
  found = {
      key: {side: {name: (info.name, tf.dtypes.as_dtype(info.dtype).name,
                          tf.TensorShape(info.tensor_shape).as_list())
                   for name, info in getattr(signature, side).items()}
            for side in ("inputs", "outputs")}
      for key, signature in meta_graph.signature_def.items()}
  stated = {
      key: {side: {name: (entry["tensor"], entry["dtype"], entry["shape"])
                   for name, entry in signature[side].items()}
            for side in ("inputs", "outputs")}
      for key, signature in description["signatures"].items()}
  for key in sorted(found.keys() | stated.keys()):
    if found.get(key) != stated.get(key):
      failures.append(f"signature {key}: saved_model.pb has {found.get(key)}, "
                      f"signature.json {stated.get(key)}")
  return unsafe_ops(graph)


def check_warmup(tf, directory, failures):
  """Reads the records that TensorFlow Serving answers before a version is ready, if there are."""
  path = os.path.join(directory, "assets.extra", "tf_serving_warmup_requests")
  if os.path.isfile(path):
    try:
      sizes = [len(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    except tf.errors.OpError:
      sizes = []
    # A record has 16 bytes of length and checksums. TensorFlow takes a torn one for the end.
    if not sizes or sum(sizes) + 16 * len(sizes) != os.path.getsize(path):
      failures.append(f"{path} is damaged: TensorFlow Serving would not get the version ready")


class Feeder:
  """Makes the inputs of every signature from signature.json alone, for max(BATCHES) examples."""

  def __init__(self, tf, description, run, images):
    self._tf, self._signatures, self._run = tf, description["signatures"], run
    self._made = {} if images is None else {
        "images": np.resize(images, (max(BATCHES), *images.shape[1:]))}

  def __call__(self, key):
    inputs = self._signatures[key]["inputs"]
    return {name: self._make(name, entry) for name, entry in sorted(inputs.items())}

  def _make(self, name, entry):
    if name not in self._made:
      # Codes are what encode answers to images: random ones would be far from any real code.
      source = next((key for key, other in sorted(self._signatures.items())
                     if name in other["outputs"] and set(other["inputs"]) == {"images"} - {name}),
                    None)
      if source:
        self._made[name] = self._run(source, self(source))[name]
      elif entry["dtype"] in ("string", "uint8"):
        self._made[name] = self._bytes(entry["dtype"] == "string")
      else:
        random, shape = np.random.RandomState(0), (max(BATCHES), *entry["shape"][1:])
        values = random.uniform(*entry["value_range"], shape) if entry.get("value_range") \
            else random.normal(size=shape)
        self._made[name] = values.astype(numpy_type(self._tf, entry))
    return self._made[name]

  def _bytes(self, encoded):
    """The images with 255 for the highest value, to the nearest byte; `encoded` as PNGs."""
    entry = images_entry({"signatures": self._signatures})
    (low, high), images = entry["value_range"] or (0, 255), self._make("images", entry)
    pixels = np.rint(np.clip(255 * (images - low) / (high - low), 0, 255)).astype(np.uint8)
    encode = lambda image: self._tf.io.encode_png(image).numpy()
    return np.array(list(map(encode, pixels)), object) if encoded else pixels


def threshold_of(description):
  """The score above which an image is an anomaly, or None: the model has no such output."""
  threshold = description.get("metadata", {}).get("threshold")
  return threshold.get("value") if isinstance(threshold, dict) else None


def expected_of(name, outputs, reference, threshold):
  """What output `name` of an answer must be: as in the reference, or is_anomaly: as its own score
  says. Of two scores within rounding of the threshold one may be above it, the other not."""
  if name == "is_anomaly" and threshold is not None:
    return outputs["score"] > threshold
  return reference[name]


def difference(found, expected):
  """max |found - expected| over max(1, max |expected|); infinite for shapes that differ."""
  if found.shape != expected.shape:
    return np.inf
  found, expected = found.astype(np.float64), expected.astype(np.float64)
  return np.max(np.abs(found - expected), initial=0) / max(1, np.max(np.abs(expected), initial=0))


def run_in_session(tf, directory, description, feeds):
  """{signature: {output: array}} from the TF1 loader, which places exactly or not at all."""
  config = tf.compat.v1.ConfigProto(allow_soft_placement=False)
  with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
    tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], directory)
    return {
        key: session.run(
            {name: entry["tensor"] for name, entry in signature["outputs"].items()},
            {entry["tensor"]: feeds[key][name] for name, entry in signature["inputs"].items()})
        for key, signature in description["signatures"].items()}


def check_runs(tf, directory, description, images, failures):
  """Runs every signature; appends to `failures`, returns the rows of the table."""
  loaded = tf.saved_model.load(directory)
  tolerance, threshold = description.get("tolerance", 1e-5), threshold_of(description)

  def run(key, feeds, examples=slice(None)):
    feeds = {name: tf.constant(value[examples]) for name, value in feeds.items()}
    return {name: value.numpy() for name, value in loaded.signatures[key](**feeds).items()}

  feeder, rows = Feeder(tf, description, run, images), []
  feeds = {key: feeder(key) for key in sorted(description["signatures"])}
  three = {key: {name: value[:3] for name, value in inputs.items()}
           for key, inputs in feeds.items()}
  old = run_in_session(tf, directory, description, three)
  for key, inputs in feeds.items():
    results, milliseconds = {}, {}
    for batch in BATCHES:
      results[batch] = run(key, inputs, slice(batch))
      start = time.perf_counter()
      run(key, inputs, slice(batch))
      milliseconds[batch] = 1e3 * (time.perf_counter() - start)
    alone = [run(key, inputs, slice(i, i + 1)) for i in range(3)]
    answers = (
        ({name: np.concatenate([one[name] for one in alone]) for name in alone[0]},
         "examples run one by one"),
        ({name: value[:3] for name, value in results[100].items()}, "a batch of 100"),
        (old[key], "a TF1 session without soft placement"))
    for name, entry in sorted(description["signatures"][key]["outputs"].items()):
      what = f"signature {key}, output {name}"
      for batch in BATCHES:
        value = results[batch][name]
        if list(value.shape) != [batch] + entry["shape"][1:]:
          failures.append(f"{what}: shape {list(value.shape)} at batch {batch}, stated "
                          f"{entry['shape']}")
        if not np.all(np.isfinite(value.astype(np.float64))):
          failures.append(f"{what}: not finite at batch {batch}")
      for outputs, where in answers:
        far = difference(outputs[name], expected_of(name, outputs, results[3], threshold))
        if not far <= tolerance:
          failures.append(f"{what}: {where} and a batch of 3 differ by {far:.3g} of the larger of "
                          f"1 and the largest value, the bound is {tolerance:g}")
      last = results[max(BATCHES)][name].astype(np.float64)
      rows.append((key, name, str(entry["shape"]).replace("None", "batch"), entry["dtype"],
                   f"{last.min():.5g}", f"{last.max():.5g}",
                   f"{milliseconds[1]:.2f}", f"{milliseconds[100]:.2f}"))
  return rows


def print_table(rows):
  header = ("signature", "output", "shape", "dtype", "min", "max", "ms at 1", "ms at 100")
  widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
  for row in [header, *rows]:
    print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def check(arguments):
  directory, paths, allowed = parse(arguments)
  description = read_signature_file(directory)
  entry = images_entry(description) if paths else None
  for path in paths:
    check_image_file(path, entry["shape"][1:])
  tf = import_tensorflow()
  failures = []
  images = read_images(tf, paths, entry) if paths else None
  try:
    unsafe = check_graph(tf, directory, description, failures)
  except (TypeError, ValueError) as error:  # a dtype or a shape that there is not
    raise UserError(f"{directory}/saved_model.pb: damaged ({error}).") from error
  refused = sorted(unsafe.keys() - allowed)
  check_warmup(tf, directory, failures)
  if os.path.exists(os.path.join(directory, "variables")):
    failures.append("there is a variables folder: a frozen model has none")
  for op in refused:
    failures.append(f"node {unsafe[op]} is of op {op}, which is none that only computes; the model "
                    f"is not run. If you trust whoever made it: --allow_ops={','.join(refused)}")
  try:
    if not refused:
      print_table(check_runs(tf, directory, description, images, failures))
  except (KeyError, TypeError, ValueError, OSError, tf.errors.OpError) as error:
    failures.append(f"running failed: {type(error).__name__}: {str(error).splitlines()[0]}")
  for failure in failures:
    print(f"FAIL: {failure}")
  if not failures:
    print(f"PASS: {directory}")
  return 1 if failures else 0


def main(arguments):
  try:
    return check(arguments)
  except (UserError, OSError) as error:  # OSError: a version that was retired meanwhile, say
    print(f"check_saved_model.py: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("check_saved_model.py: interrupted.", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
