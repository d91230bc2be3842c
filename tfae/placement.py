"""Which device a component is on: what its owner named, or a clear error."""

import dataclasses
import re

import tensorflow as tf
from tensorflow.python.eager import context

from tfae.errors import InputError, check_int, shown

# TensorFlow's parser also takes a wildcard for a number, and whitespace after one.
_NAME = re.compile(r"[A-Za-z0-9_/:.-]+")
_MOST_THREADS = 4096


class _Inherited(str):
  """An empty device name that was meant."""


# Whatever device is current where a component is built and called: a replica's, for instance.
INHERITED = _Inherited()


def canonical(name, argument="device"):
  """Returns TensorFlow's name of a logical device, such as '/device:GPU:0'.

  Args:
    name: 'auto' (GPU:0 where there is one, else CPU:0), or a device: '/GPU:0', 'CPU:1', ...; or
      `INHERITED`.
    argument: how the error names it.

  Raises:
    InputError: no such device here. Inside a `tf.Graph` any well-formed name is taken, as the
      graph may be meant for another machine.
  """
  if name is INHERITED:
    return name
  present = [device.name for device in tf.config.list_logical_devices()]
  if name == "auto":
    name = "/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0"
  try:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
      raise ValueError
    spec = tf.DeviceSpec.from_string(name if name.startswith("/") else "/" + name)
    # One program, one machine: another job or task would be dropped without a word.
    if not spec.device_type or spec.job not in (None, "localhost") or spec.task or spec.replica:
      raise ValueError
  except (ValueError, AttributeError):
    raise InputError(f"{argument}={shown(name)}: not a device name. Use 'auto' or one of "
                     f"{', '.join(map(short, present))}.") from None
  full = f"/device:{spec.device_type}:{spec.device_index or 0}"
  if full not in present and tf.executing_eagerly():
    raise InputError(f"{argument}={shown(name)}: no such device here. Use 'auto' or one of "
                     f"{', '.join(map(short, present))}.")
  return full


def short(device):
  """Returns '/CPU:0' for a device name of any length, '' for ''."""
  return "/" + device.split("/device:")[-1] if device else ""


def resolve(places):
  """Returns {place: full device name}; raises InputError for a device that does not exist.

  Args:
    places: a `tfae.specs.sections.Placement`.
  """
  return {name: canonical(device, f"placement.{name}")
          for name, device in dataclasses.asdict(places).items()}


def configure(memory_growth=True, intra_op_threads=0, inter_op_threads=0):
  """Sets what TensorFlow only takes before it touches a device; 0 threads: its own choice.

  Raises:
    InputError: a number of threads outside 0 to 4096, or TensorFlow has already started its
      devices.
  """
  check_int("intra_op_threads", intra_op_threads, 0, _MOST_THREADS)
  check_int("inter_op_threads", inter_op_threads, 0, _MOST_THREADS)
  try:
    for gpu in tf.config.list_physical_devices("GPU"):
      tf.config.experimental.set_memory_growth(gpu, memory_growth)
    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op_threads)
  except RuntimeError as error:
    raise InputError(f"memory growth and threads must be set before the first operation: {error}. "
                     "Set them at the start of the program.") from error


def executed_ops(run):
  """Calls `run()` and returns (device, op type, name) of every op that its graphs executed.

  These are the graphs after TensorFlow's placer and optimizer, so what really ran, and where.
  Only functions that run for the first time are seen.
  """
  context.context().enable_run_metadata()
  try:
    context.context().export_run_metadata()  # what ran before and was not asked for
    run()
    metadata = context.context().export_run_metadata()
  finally:
    context.context().disable_run_metadata()
  return sorted({(short(node.device), node.op, node.name)
                 for graphs in metadata.function_graphs for graph in graphs.partition_graphs
                 for node in graph.node})
