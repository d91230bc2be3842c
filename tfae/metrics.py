"""What a run says of itself: metrics.jsonl, TensorBoard, and progress on the terminal."""

import json
import logging
import os
import pathlib
import sys
import time

import tensorflow as tf
import tqdm

from tfae import files

_LOG = logging.getLogger(__name__)


class MetricsLog:
  """Lines of metrics.jsonl, and the same numbers as TensorBoard scalars.

  A line is one JSON object: `kind` ('train', 'epoch', 'validation' or 'test'), `step`, `epoch` and
  the metrics; what depends on the clock stands under `timing`, so that two runs can be compared.
  """

  def __init__(self, workdir, *, step, tensorboard):
    """Opens the log of a run that stands at `step`: later lines, and torn ones, are cut off.

    A 'test' line closes a run; it is cut off too, as the run goes on. Without a workdir nothing
    is written.
    """
    self._file = self._events = None
    if workdir is None:
      return
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    kept = [line for line in read(workdir) if line["step"] <= step and line["kind"] != "test"]
    files.write(self._path, "".join(json.dumps(line) + "\n" for line in kept))
    self._file = open(self._path, "a", encoding="utf-8")
    if tensorboard:
      self._events = tf.summary.create_file_writer(str(pathlib.Path(workdir) / "tensorboard"))

  def write(self, kind, step, epoch, values, timing=None):
    """Appends one line."""
    if self._file is None:
      return
    line = {"kind": kind, "step": step, "epoch": epoch, **values}
    if timing:
      line["timing"] = timing
    self._file.write(json.dumps(line) + "\n")
    if self._events:
      # Summary ops have no GPU kernel.
      with self._events.as_default(), tf.device("/CPU:0"):
        for name, value in {**values, **(timing or {})}.items():
          tf.summary.scalar(f"{kind}/{name}", value, step=step)

  def sync(self):
    """Puts all lines on the disk: before a checkpoint, which must not know more than the log."""
    if self._file is None:
      return
    self._file.flush()
    os.fsync(self._file.fileno())

  def close(self):
    """Closes the files."""
    self.sync()
    if self._file:
      self._file.close()
    if self._events:
      self._events.close()


def read(workdir):
  """Returns the whole lines of a run's metrics.jsonl as dicts; [] if there is no file."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  lines = []
  for number, text in enumerate(path.read_bytes().split(b"\n") if path.exists() else []):
    try:
      line = json.loads(text)
      lines.append({**line, "step": int(line["step"]), "kind": str(line["kind"])})
    except (ValueError, KeyError, TypeError, OverflowError):
      if text:
        _LOG.warning("%s: line %d is not a whole metrics line; left out.", path, number + 1)
  return lines


class Progress:
  """A tqdm bar on a terminal, else a plain line at most every few seconds; both on stderr."""

  SECONDS_BETWEEN_LINES = 5.0

  def __init__(self, total, done):
    self._bar = None
    self._last = float("-inf")
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(total=total, initial=done, unit="step")

  def advance(self, steps):
    """Moves the bar."""
    if self._bar is not None:
      self._bar.update(steps)

  def say(self, text, always=False):
    """Shows one line of progress; `always` even if the last one was a moment ago."""
    if self._bar is not None:
      self._bar.set_postfix_str(text)
      if always:
        self._bar.write(text, file=sys.stderr)
    elif always or time.monotonic() - self._last > self.SECONDS_BETWEEN_LINES:
      self._last = time.monotonic()
      print(text, file=sys.stderr, flush=True)

  def close(self):
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()
