"""Programs in fresh processes: when they are ready, how they end, what memory they took at most."""

import os
import pathlib
import subprocess
import sys
import time

from worker import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRAIN = ["-m", "tfae.bin.train"]
MEBIBYTE = 2**20


class Program:
  """A Python program of this checkout that was just started.

  Attributes:
    pid: of its process.
    seconds: how long it took to its end; None before `wait`.
    peak: bytes of its largest resident memory, as the kernel counted it; None before `wait`. It
      begins as a copy of this process, so this one is to be small.
  """

  def __init__(self, arguments, log, code=0):
    """Starts `python *arguments`, which ends with `code`; prints go to `log`, errors to log.err."""
    self._log, self._code, self._arguments = pathlib.Path(log), code, arguments
    self._errors = self._log.with_suffix(".err")
    self.seconds = self.peak = None
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    with open(self._log, "wb") as out, open(self._errors, "wb") as errors:
      self._began = time.perf_counter()
      self._process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=out,
                                       stderr=errors, env=environment)
    self.pid = self._process.pid

  def first(self, path=None):
    """Returns the seconds from the start until `path`, else its log, holds a first whole line."""
    path = pathlib.Path(path or self._log)
    while not (path.exists() and b"\n" in path.read_bytes()):
      if self.ended:
        self.wait()
        raise Failed(f"{self._arguments[0]}: ended without a line in {path.name}")
      time.sleep(.001)
    return time.perf_counter() - self._began

  @property
  def ended(self):
    """Whether it has ended; its resources can still be asked for."""
    return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

  def wait(self):
    """Waits for its end; raises Failed, with its last words, for another exit code."""
    _, status, usage = os.wait4(self.pid, 0)
    self.seconds = time.perf_counter() - self._began
    self.peak = usage.ru_maxrss * 1024
    self._process.returncode = code = os.waitstatus_to_exitcode(status)
    if code != self._code:
      said = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
      raise Failed(f"{' '.join(map(str, self._arguments))}: exit code {code}: {said[-1:]}")
    return self

  def kill(self):
    """Ends it, if it has not ended."""
    if self._process.returncode is None:
      self._process.kill()
      self._process.wait()


def resident(pid):
  """Returns the bytes that are resident of a process now."""
  pages = pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
  return int(pages) * os.sysconf("SC_PAGE_SIZE")
