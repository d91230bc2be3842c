"""A contender in a process of its own, kept alive and asked over pipes.

Each framework has its own thread pools, allocator and flags, and none is imported beside another.
The controller's side is `Worker`; run as a program this file is the other side:

    python benchmarks/worker.py '{"module": "contenders.jax", "arguments": [...], "options": {}}'

It answers a line of JSON to each line [method, argument, ...] with what the method returned.
Everything that libraries print goes to standard error.
"""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


class Failed(RuntimeError):
  """A contender ended or raised; the message has the end of what it printed."""


def program(main):
  """Runs a benchmark: a failure is a line, and SIGTERM cleans up as Ctrl-C does."""
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    main()
  except KeyboardInterrupt:
    sys.exit(130)
  except Failed as error:
    sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {error}")


class Worker:
  """The controller's side of one contender."""

  def __init__(self, module, log, *arguments, **options):
    """Starts the process; it is ready at the first answer.

    Args:
      module: such as 'contenders.jax'; its `Contender(*arguments, **options)` is made.
      log: path of a file for what the process prints.
      *arguments, **options: JSON values.
    """
    self._log = pathlib.Path(log)
    request = json.dumps({"module": module, "arguments": arguments, "options": options})
    with open(self._log, "wb") as printed:
      self._process = subprocess.Popen(
          [sys.executable, str(HERE / "worker.py"), request], text=True, stdin=subprocess.PIPE,
          stdout=subprocess.PIPE, stderr=printed)

  def ask(self, method, *arguments):
    """Returns what the contender's method returns, or its attribute of that name.

    Raises:
      Failed: the process has ended, or the method raised.
    """
    try:
      self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
      self._process.stdin.flush()
      answer = self._process.stdout.readline()
    except OSError:
      answer = ""
    if not answer:
      self.close()
      lines = self._log.read_text(errors="replace").strip().splitlines()
      raise Failed("\n".join(lines[-5:]) or f"ended with code {self._process.returncode}")
    return json.loads(answer)

  def cpu_seconds(self):
    """Returns the processor seconds that the process has used, of all its threads."""
    fields = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

  def close(self):
    """Ends the process."""
    self._process.kill()
    self._process.communicate()


def main():
  answers = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)  # what libraries print is no answer
  sys.path.insert(1, str(HERE.parent))  # tfae of this checkout
  request = json.loads(sys.argv[1])
  contender = importlib.import_module(request["module"]).Contender(
      *request["arguments"], **request["options"])
  for line in sys.stdin:
    method, *arguments = json.loads(line)
    answer = getattr(contender, method)
    answers.write(json.dumps(answer(*arguments) if callable(answer) else answer) + "\n")
    answers.flush()
  os._exit(0)  # the threads of some frameworks would not end


if __name__ == "__main__":
  main()
