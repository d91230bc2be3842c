"""A converted export in its runtime, by the runtime's program in `export/clients`."""

import importlib
import importlib.metadata
import pathlib
import sys

from contenders import serving

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "export" / "clients"


class Contender(serving.Contender):
  """With the runtime's own number of threads. Loading is that of all signatures."""

  def __init__(self, folder, *, path, client, package):
    """`client` is a module of `export/clients`, `package` what pip calls its runtime."""
    self.versions = {package: importlib.metadata.version(package)}
    super().__init__(folder, path)
    sys.path.append(str(CLIENTS))
    self._client = importlib.import_module(client)

  def _load(self, path):
    call = self._client.load(path)["reconstruct"]
    return lambda images: call(images=images)["reconstruction"]
