"""Builds the C and C++ clients against the TensorFlow of this Python, and reads what they print."""

import importlib.util
import pathlib

from runtimes.table import CLIENTS

LARGE_CALLS = 20  # at the largest batch


def build_command(program, client="c"):
  """Returns the make command that builds the client in the folder `client` as `program`."""
  tensorflow = pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent
  return ["make", "--quiet", "-C", CLIENTS / client, f"TF={tensorflow}",
          f"PROGRAM={pathlib.Path(program).absolute()}"]


def figures(said):
  """Returns the numbers of the line `timing load_ms=.. first_ms=.. p50_ms=.. ...` as a dict."""
  line, = (line for line in said.splitlines() if line.startswith("timing "))
  return {name: float(value) for name, value in
          (pair.split("=") for pair in line.split()[1:])}
