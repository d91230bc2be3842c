"""onnxruntime-web, which runs ONNX in a browser, from the cache or from npm.

The version is that of export/clients/browser/package.json. Licensed under the MIT License, which
its module says.
"""

from tfae.data import fetchers, sources
from tfae.data.sources import File
from tfae.errors import InputError

VERSION = "1.30.0"
FILES = {
    "module": File("ort.wasm.bundle.min.mjs",
                   "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90", 73_054),
    "wasm": File("ort-wasm-simd-threaded.wasm",
                 "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2", 14_239_897),
}
_MOST_UNPACKED = 512 << 20  # bytes of the package
_NPM_SECONDS = 600  # it has 33 MB


def find():
  """Returns (the module's bytes, the WebAssembly's), each with the sha256 above.

  Raises:
    InputError: they are not in the cache, and npm can't deliver them.
  """
  cache = sources.cache_dir() / f"onnxruntime-web-{VERSION}"
  fetch = fetchers.npm_package("onnxruntime-web", VERSION, "package/dist/", _MOST_UNPACKED,
                               _NPM_SECONDS)
  try:
    found = sources.locate(FILES, None, cache, {"npm": fetch})
  except InputError as error:
    reason = str(error).partition(" Ways out:")[0]  # those are of data sets
    raise InputError(f"onnxruntime-web {VERSION}, which runs the model in the page, can't be had: "
                     f"{reason} Install npm, or put the files into {cache}.") from error
  return found["module"].data, found["wasm"].data
