"""What a run says of itself: metrics.jsonl, TensorBoard, and progress on the terminal."""

import json
import logging
import os
import pathlib
import sys
import time

import tqdm

from tfae import files
from tfae import workdir as workdirs
from tfae.events import Events

_LOG = logging.getLogger(__name__)
_KINDS = ("train", "epoch", "validation")  # of the lines of a run that goes on
_NO_SCALARS = ("kind", "step", "epoch", "closing", "timing")


class MetricsLog:
  """Lines of metrics.jsonl, and the same numbers as TensorBoard scalars.

  A line is one JSON object: `kind` ('train', 'epoch', 'validation' or 'test'; 'pca' and
  'log_likelihood' are tfae-evaluate's, 'anomaly' tfae-anomaly's, see `tfae.workdir.add_line`),
  `step`, `epoch` and the metrics; what depends on the clock stands under `timing`, so that two runs
  can be compared.

  steps: {kind: step of the newest line of that kind}.
  events: the `tfae.events.Events`, or None.
  """

  def __init__(self, workdir, *, step, epochs, tensorboard):
    """Opens the log of a run that stands at `step`: later lines, and torn ones, are cut off.

    A 'test' line, or one that is marked `closing`, closes a run; it is cut off too, as the run
    goes on. Without a workdir nothing is written.

    Args:
      workdir: the run's folder, or None.
      step: how many steps the run has taken.
      epochs: how many whole epochs that is; a warning says if the lines of some are missing.
      tensorboard: whether to write events too.

    Raises:
      InputError: a full disk, or a file that can't be read or written.
    """
    self._file = self.events = None
    self.steps = {}
    if workdir is None:
      return
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    kept = [line for line in workdirs.read_metrics(workdir)
            if line["step"] <= step and line["kind"] != "test" and not line.get("closing")]
    self.steps = {line["kind"]: line["step"] for line in kept}
    found = sum(line["kind"] == "epoch" for line in kept)
    if found < epochs:
      _LOG.warning("%s: lines are missing: those of %d of %d epochs. The run goes on without them.",
                   self._path, epochs - found, epochs)
    files.write(self._path, "".join(json.dumps(line) + "\n" for line in kept))
    with files.writing(self._path):
      # Unbuffered: a line is in the file, or refused, when `write` returns.
      self._file = open(self._path, "ab", buffering=0)
    if tensorboard:
      self.events = Events(workdir, step)
      for line in kept:  # TensorBoard forgets those of this step with what closed the run
        if line["step"] == step and line["kind"] in _KINDS:
          self._show(line)

  def write(self, kind, step, epoch, values, timing=None, *, closing=False):
    """Appends one line; `closing` marks one that is there because the run ends at this step."""
    self.steps[kind] = step
    if self._file is None:
      return
    line = {"kind": kind, "step": step, "epoch": epoch, **values}
    if closing:
      line["closing"] = True
    if timing:
      line["timing"] = timing
    with files.writing(self._path):
      files.append(self._file, (json.dumps(line) + "\n").encode())
    files.reached("metrics line")
    if self.events:
      self._show(line)

  def _show(self, line):
    values = {**line, **line.get("timing", {})}
    self.events.scalars({f"{line['kind']}/{name}": value for name, value in values.items()
                         if name not in _NO_SCALARS}, line["step"])

  def sync(self):
    """Puts all lines on the disk: before a checkpoint, which must not know more than the log."""
    if self._file is None:
      return
    with files.writing(self._path):
      os.fsync(self._file.fileno())
    if self.events:
      self.events.flush()

  def close(self):
    """Closes the files."""
    try:
      self.sync()
    finally:
      if self._file:
        self._file.close()
      if self.events:
        self.events.close()


class InputWait:
  """Which share of the time steps waited for their input, since there is this object.

  waited: a function without arguments, of the seconds waited so far; None: they never wait, as
    with images on the device.
  """

  def __init__(self, waited):
    self._waited = waited
    self._first = self._last = self._now()

  def lap(self):
    """Returns {"input_wait": share since the last call, 0 to 1}, {} if steps never wait."""
    before, self._last = self._last, self._now()
    return {} if self._last[1] is None else {"input_wait": _share(before, self._last)}

  def summary(self):
    """Returns a line about all of the time, or None if steps never wait, or there were none."""
    now = self._now()
    if now[1] in (None, self._first[1]):
      return None
    return f"waited for input {_share(self._first, now):.1%} of {now[0] - self._first[0]:.3g} s"

  def _now(self):
    return time.monotonic(), self._waited()


def _share(before, after):
  (began, waited), (now, in_all) = before, after
  return (in_all - waited) / max(now - began, 1e-9)


class Progress:
  """A tqdm bar on a terminal, else a plain line at most every few seconds; both on stderr.

  Nothing where it is `quiet`: of several processes one speaks.
  """

  SECONDS_BETWEEN_LINES = 5.0

  def __init__(self, total, done=0, unit="step", quiet=False):
    self._bar, self._quiet = None, quiet
    self._last = float("-inf")
    if sys.stderr.isatty() and not quiet:
      self._bar = tqdm.tqdm(total=total, initial=done, unit=unit)

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
    elif not self._quiet and (always or
                              time.monotonic() - self._last > self.SECONDS_BETWEEN_LINES):
      self._last = time.monotonic()
      print(text, file=sys.stderr, flush=True)

  def close(self):
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()
