"""What TensorBoard shows of a run: the event files in W/tensorboard."""

import contextlib
import io
import pathlib
import struct
import time

from PIL import Image
import tensorflow as tf
from tensorboard.compat.proto import (event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2,
                                      types_pb2)
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from tfae import files
from tfae.data import crc32c

FOLDER = "tensorboard"
# One file for what a run has once, written anew at every start and at the end. Its name sorts before
# those of the others.
_ABOUT = "events.out.tfevents.0.about"
_SCALAR = scalar_pb("", 0.0).value[0].metadata
_IMAGE = create_summary_metadata("", "")
_THREE = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=3)])


class Events:
  """Writes events in the order of the steps."""

  def __init__(self, workdir, step):
    """Opens an event file for a run that stands at `step`.

    TensorBoard forgets what it knew of that step and of later ones: it is to be written again.

    Raises:
      InputError: a full disk, or a folder that can't be written.
    """
    self._path = pathlib.Path(workdir) / FOLDER
    files.clear_stale(self._path)
    with self._writing():
      self._writer = tf.summary.create_file_writer(str(self._path))
    self._import(step, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

  def _import(self, step, **content):
    event = event_pb2.Event(step=step, wall_time=time.time(), **content)
    with self._writing():
      # tf.summary has no public way to write one.
      tf.raw_ops.ImportEvent(writer=self._writer._resource,  # pylint: disable=protected-access
                             event=event.SerializeToString())

  @contextlib.contextmanager
  def _writing(self):
    with files.writing(self._path, (OSError, tf.errors.OpError)):
      with tf.device("/CPU:0"):  # summary ops have no GPU kernel
        yield

  def scalars(self, values, step):
    """Adds {tag: number}, in one event: tf.summary.scalar takes many times as long."""
    self._import(step, summary=summary_pb2.Summary(value=[
        summary_pb2.Summary.Value(tag=tag, metadata=_SCALAR, tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_FLOAT, float_val=[value])) for tag, value in values.items()]))

  def image(self, tag, pixels, step):
    """Adds one image, uint8 `[height, width, 1 or 3]`."""
    buffer, (height, width, channels) = io.BytesIO(), pixels.shape
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, "png")
    strings = [str(width).encode(), str(height).encode(), buffer.getvalue()]
    self._import(step, summary=summary_pb2.Summary(value=[summary_pb2.Summary.Value(
        tag=tag, metadata=_IMAGE, tensor=tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING, string_val=strings, tensor_shape=_THREE))]))

  def histograms(self, values, step):
    """Adds {tag: tensor or array}."""
    with self._writing(), self._writer.as_default():
      for tag, value in values.items():
        tf.summary.histogram(tag, value, step=step)

  def about(self, graph_def, hparams, began, ended=False):
    """Writes the graph and the hyperparameters, in place of those written before.

    Args:
      graph_def: a GraphDef, or None.
      hparams: {name: bool, number or str}, or None.
      began: time.time() at which this process began.
      ended: whether the run is complete.
    """
    from tensorboard.plugins.hparams import api_pb2, summary, summary_v2  # once a run
    events = [event_pb2.Event(file_version="brain.Event:2")]
    if graph_def:
      events.append(event_pb2.Event(
          graph_def=graph_def.SerializeToString(deterministic=True)))
    if hparams:
      summaries = [summary_v2.hparams_pb(hparams, start_time_secs=began)]
      if ended:
        summaries.append(summary.session_end_pb(api_pb2.STATUS_SUCCESS))
      for one in summaries:  # of two classes of the same message
        events.append(event_pb2.Event())
        events[-1].summary.ParseFromString(one.SerializeToString())
    for event in events:
      event.wall_time = began
    files.write(self._path / _ABOUT, b"".join(
        _record(event.SerializeToString()) for event in events))

  def flush(self):
    """Hands all events to the operating system."""
    with self._writing():
      self._writer.flush()

  def close(self):
    """Closes the file."""
    with self._writing():
      self._writer.close()


def _record(data):
  """Returns bytes as a record of a TFRecord file."""
  size = struct.pack("<Q", len(data))
  return b"".join([size, struct.pack("<I", crc32c.masked(size)),
                   data, struct.pack("<I", crc32c.masked(data))])
