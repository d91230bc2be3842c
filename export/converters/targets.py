"""The targets by name: the function that converts, and what has to be installed for it."""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import typing

from runtimes import aot_client


@dataclasses.dataclass(frozen=True)
class Target:
  """`module`.`function` converts; `packages` {module: pip name} must be installed, tfae's `extra`
  brings them; `decodes` says whether it can decode images; the runtime of the same name checks the
  result."""
  name: str
  module: str
  function: str = "convert"
  packages: tuple = ()
  extra: str | None = None
  decodes: bool = False
  needs: typing.Callable | None = None  # returns what no pip package brings, or None

  def missing(self):
    """Returns the pip command that would bring what is missing here, or None."""
    absent = [package for module, package in self.packages
              if importlib.util.find_spec(module) is None]
    return f"{' and '.join(absent)} not installed: pip install 'tfae[{self.extra}]'" if absent \
        else self.needs() if self.needs else None

  def versions(self):
    """Returns {pip name: version} of what converts."""
    names = ["tensorflow", *(package for _, package in self.packages)]
    return {name: importlib.metadata.version(name) for name in names}

  def convert(self, reference, folder):
    """Returns {signature: entry} of all signatures, as a module of converters does."""
    left_out = {} if self.decodes else {
        key: f"{self.name} can't decode images" for key in reference.encoded}
    module = importlib.import_module(f"converters.{self.module}")
    return {**getattr(module, self.function)(reference.without(left_out), folder), **left_out}


LITERT = (("ai_edge_litert", "ai-edge-litert"),)
TARGETS = {target.name: target for target in (
    Target("onnx", "onnx", packages=(("tf2onnx", "tf2onnx"), ("onnxruntime", "onnxruntime")),
           extra="onnx"),
    Target("litert", "litert", packages=LITERT, extra="litert"),
    Target("litert_int8", "litert", "convert_int8", LITERT, "litert"),
    Target("graphdef", "graphdef", decodes=True),
    Target("openvino", "openvino", packages=(("openvino", "openvino"),), extra="openvino"),
    Target("aot", "aot", needs=aot_client.missing),
)}
