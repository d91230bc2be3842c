"""What the machine can do: peak of matrix products, memory bandwidth."""

import os
import pathlib
import shlex
import sys
import time

from tfae import machine

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE = 4096


class Contender:
  """Measures with TensorFlow, in a process of its own like every contender."""

  def __init__(self):
    import tensorflow as tf
    self._tf = tf
    self.versions = {}
    self._matrix = tf.random.stateless_uniform([SIZE, SIZE], (1, 2))
    self._half = tf.cast(self._matrix, tf.bfloat16)
    self._vector = tf.random.stateless_uniform([2**26], (1, 2))

  def peaks(self):
    """Returns {'float32', 'bfloat16': FLOP/s of a 4096^3 product, 'bytes': bytes/s of a + b}.

    The sum of two vectors of 256 MiB reads two and writes one.
    """
    tf = self._tf
    product = 2 * SIZE**3
    return {"float32": product / _seconds(lambda: tf.matmul(self._matrix, self._matrix)),
            "bfloat16": product / _seconds(lambda: tf.matmul(self._half, self._half)),
            "bytes": 12 * 2**26 / _seconds(lambda: self._vector + self._vector)}


def _seconds(work):
  best = float("inf")
  for _ in range(2):
    began = time.perf_counter()
    work()
    best = min(best, time.perf_counter() - began)
  return best


def publish(report, path, versions):
  """Prints `report(markdown=False)`; appends `report(markdown=True)` to a file, if one is given."""
  print(report(markdown=False), flush=True)
  if path:
    append(path, report(markdown=True), versions)


def append(path, text, versions):
  """Adds a result to a Markdown file, with commit, versions, kind of machine and the command."""
  commit = machine.commit(pathlib.Path(__file__).parent) or "unknown"
  packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
  made_on = "; ".join(filter(None, (f"Commit {commit}", packages, machine.kind())))
  # Where the files lie here is nobody's business.
  flags = [word for word in sys.argv[1:]
           if not word.startswith(("--markdown", "--folder")) and word != path]
  command = shlex.join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *flags])
  with open(path, "a", encoding="utf-8") as file:
    file.write(f"\n{text}\n{made_on}; `{command}`\n")
