"""The runtimes: the client of each, what it loads, and what has to be installed for it."""

import dataclasses
import importlib.metadata
import importlib.util
import pathlib
import shutil
import typing

from runtimes import aot_client

CLIENTS = pathlib.Path(__file__).parents[1] / "clients"


@dataclasses.dataclass(frozen=True)
class Runtime:
  """A runtime as the flags and PARITY.md name it.

  `target` is what the SavedModel is converted to for it, None where it loads the SavedModel;
  `module` is what its client imports, `package` the pip name, `extra` tfae's own that brings it.
  `client` is a Python file of clients/, or the folder of a client in C or C++. `strings` says
  whether it takes them, for a model that does.
  """
  name: str
  client: str
  module: str
  package: str
  target: str | None = None
  extra: str | None = None
  program: str | None = None  # what must be on the PATH
  strings: bool = True
  needs: typing.Callable | None = None  # returns what else is missing, or None

  def missing(self):
    """Returns why the runtime can't run here and the way out, or None."""
    if importlib.util.find_spec(self.module) is None:
      return (f"{self.package} is not installed: pip install "
              + (f"'tfae[{self.extra}]'" if self.extra else self.package))
    if self.program and shutil.which(self.program) is None:
      return f"{self.program} is not installed"
    return self.needs() if self.needs else None

  def version(self):
    return f"{self.package} {importlib.metadata.version(self.package)}"


RUNTIMES = {runtime.name: runtime for runtime in (
    Runtime("tf", "tf_client.py", "tensorflow", "tensorflow"),
    Runtime("tf1", "tf1_client.py", "tensorflow", "tensorflow"),
    Runtime("c", "c", "tensorflow", "tensorflow", program="gcc", strings=False),
    Runtime("cpp", "cpp", "tensorflow", "tensorflow", program="g++", strings=False),
    Runtime("graphdef", "graphdef_client.py", "tensorflow", "tensorflow", "graphdef"),
    Runtime("onnx", "onnx_client.py", "onnxruntime", "onnxruntime", "onnx", "onnx"),
    Runtime("litert", "litert_client.py", "ai_edge_litert", "ai-edge-litert", "litert", "litert"),
    Runtime("litert_int8", "litert_client.py", "ai_edge_litert", "ai-edge-litert", "litert_int8",
            "litert"),
    Runtime("openvino", "openvino_client.py", "openvino", "openvino", "openvino", "openvino"),
    Runtime("aot", "aot", "tensorflow", "tensorflow", "aot", needs=aot_client.missing),
)}
