"""Builds the client of a model that was compiled ahead of time, and says what that needs."""

import importlib.util
import os
import pathlib
import shutil

VARIABLE = "ABSL"  # the folder of Abseil's sources, as the Makefile calls it, too


def missing():
  """Returns what is missing on this machine and the command that brings it, or None."""
  absent = [program for program in ("g++", "make") if shutil.which(program) is None]
  if absent:
    return f"{' and '.join(absent)} not installed: apt-get install g++ make"
  if not (pathlib.Path(os.environ.get(VARIABLE, "")) / "absl/base/config.h").is_file():
    return (f"{VARIABLE} names no sources of Abseil: pip download --no-deps --no-binary grpcio "
            "grpcio==1.85.3 && tar xzf grpcio-1.85.3.tar.gz && "
            f"export {VARIABLE}=$PWD/grpcio-1.85.3/third_party/abseil-cpp")
  return None


def build_command(clients, model, program):
  """Returns the make command that builds `model`, a converted folder, into `program`."""
  tensorflow = pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent
  return ["make", "--quiet", f"-j{os.cpu_count()}", "-C", clients / "aot",
          f"MODEL={pathlib.Path(model).absolute()}", f"TF={tensorflow}",
          f"{VARIABLE}={pathlib.Path(os.environ[VARIABLE]).absolute()}",
          f"PROGRAM={pathlib.Path(program).absolute()}"]
