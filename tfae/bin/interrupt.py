"""Ctrl-C while a program begins: one line and exit code 130, whatever it is importing.

A KeyboardInterrupt would not do: half imported libraries answer it with tracebacks, or with errors
of their own. Nothing has been written at that time, so the process just ends.
"""

import contextlib
import os
import pathlib
import signal
import sys
import threading

EXIT_CODE = 128 + signal.SIGINT


def hold():
  """Lets Ctrl-C end the process in one line until `release`; does nothing but in a program of tfae.

  Whoever imports a program's module for its functions keeps his own ways with signals.
  """
  started = pathlib.PurePath((getattr(sys, "argv", None) or [""])[0])
  # '-m' is what runpy has there while it imports the package of the module that it was given.
  if str(started) == "-m" or started.name.startswith("tfae-") \
      or pathlib.Path(started).absolute().parent == pathlib.Path(__file__).absolute().parent:
    _handle(2)


def release():
  """Gives Ctrl-C back to Python: from here on it is a KeyboardInterrupt."""
  if isinstance(signal.getsignal(signal.SIGINT), _End):
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def held(stderr):
  """As between `hold` and `release`; `stderr` is the descriptor that the line goes to."""
  holds = _handle(stderr)
  try:
    yield
  finally:
    if holds:
      release()


class _End:
  """A handler that says so and ends the process."""

  def __init__(self, stderr):
    self._stderr = stderr

  def __call__(self, number, frame):
    os.write(self._stderr, f"stopped by signal {number} before it began.\n".encode())
    os._exit(EXIT_CODE)


def _handle(stderr):
  """Returns whether Ctrl-C ends the process now: not where somebody ignores or handles it."""
  if threading.current_thread() is not threading.main_thread() \
      or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
    return False
  signal.signal(signal.SIGINT, _End(stderr))
  return True
