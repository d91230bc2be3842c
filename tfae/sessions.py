"""sessions.jsonl: when a run was trained, by which command, on what, and how that ended.

A session is one process that trains in the folder. Its first line is written before the first step,
its last one when it ends by itself; one that was killed has none. No part of a run's identity:
nothing but a report reads it.
"""

import dataclasses
import json
import logging
import pathlib
import platform
import sys
import time

import tfae
from tfae import files
from tfae.errors import InputError

_LOG = logging.getLogger(__name__)
FILE = "sessions.jsonl"


@dataclasses.dataclass(frozen=True)
class Session:
  """One process that trained.

  began, ended: seconds since 1970; ended is None while it trains, and for ever if it was killed.
  command: its sys.argv.
  step, total_steps: where it began, and where it was to end.
  made_on: `versions()`, and 'machine' in words.
  devices: {component, or 'data': short device name}.
  jit: in words, whether XLA compiled the steps, and why.
  end_step: where it ended.
  how: 'complete', 'stopped early', 'signal', 'not finite', or None as `ended`.
  why: of 'signal' its number, of 'not finite' what was, and where; else ''.
  """
  began: float
  command: tuple
  step: int
  total_steps: int
  made_on: dict
  devices: dict
  jit: str
  ended: float | None = None
  end_step: int | None = None
  how: str | None = None
  why: str = ""


def versions():
  """Returns {'tfae', 'python', 'tensorflow', 'numpy': version} of this process."""
  import numpy as np
  import tensorflow as tf
  return {"tfae": tfae.__version__, "python": platform.python_version(),
          "tensorflow": tf.__version__, "numpy": np.__version__}


def begin(workdir, **facts):
  """Writes the first line of this process; the caller has locked the folder.

  Args:
    workdir: the run's folder.
    **facts: step, total_steps, made_on, devices and jit of a `Session`, as JSON values.

  Raises:
    InputError: the file can't be read or written.
  """
  _add(workdir, {"began": time.time(), "command": sys.argv, **facts})


def end(workdir, how, step, why=""):
  """Writes the last line of this process: how, end_step and why of a `Session`.

  Raises:
    InputError: the file can't be read or written.
  """
  _add(workdir, {"ended": time.time(), "how": how, "end_step": step, "why": str(why)})


def _add(workdir, line):
  path = pathlib.Path(workdir) / FILE
  content = _content(path)
  if content and not content.endswith(b"\n"):
    content += b"\n"
  files.write(path, content + json.dumps(line).encode() + b"\n")


def _content(path):
  try:
    return path.read_bytes() if path.exists() else b""
  except OSError as error:
    raise InputError(f"{path}: can't be read ({error.strerror}). Move it away: the run goes on "
                     "without it.") from None


def read(workdir):
  """Returns the Sessions of a run, oldest first; [] of one of tfae before it kept them.

  Lines that are damaged are named in a warning and left out.

  Raises:
    InputError: the file can't be read.
  """
  path = pathlib.Path(workdir) / FILE
  found = []
  for number, text in enumerate(_content(path).splitlines(), 1):
    try:
      line = json.loads(text)
      if "began" in line:
        found.append(Session(**{**line, "command": tuple(line["command"])}))
      else:
        found[-1] = dataclasses.replace(found[-1], **line)
    except (ValueError, TypeError, KeyError, IndexError):
      _LOG.warning("%s: line %d is damaged; left out.", path, number)
  return found
