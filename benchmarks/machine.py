"""What the machine can do: peak of matrix products, memory bandwidth, kind of CPU."""

import os
import pathlib
import shlex
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE = 4096
_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


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


def kind():
  """Returns the kind of machine in words: cores, model, and what its vector units know."""
  fields = dict(map(str.strip, line.split(":", 1)) for line in
                pathlib.Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
  flags = [flag for flag in _FLAGS if flag in fields.get("flags", "").split()]
  return (f"{len(os.sched_getaffinity(0))} cores, {fields.get('model name', 'unknown')}, "
          f"{' '.join(flags)}")


def append(path, text, versions):
  """Adds a result to a Markdown file, with commit, versions, kind of machine and the command."""
  git = lambda *words: subprocess.run(["git", *words], cwd=pathlib.Path(__file__).parent, text=True,
                                      capture_output=True, check=False).stdout.strip()
  commit = git("rev-parse", "--short", "HEAD") or "unknown"
  if git("status", "--porcelain", "--untracked-files=no"):
    commit += " with changes"
  packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
  # Where the files lie here is nobody's business.
  flags = [word for word in sys.argv[1:]
           if not word.startswith("--markdown") and word != path]
  command = shlex.join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *flags])
  with open(path, "a", encoding="utf-8") as file:
    file.write(f"\n{text}\nCommit {commit}; {packages}; {kind()}; `{command}`\n")
