"""The page as one file: markup, style, modules, runtime, model and examples.

A browser imports no module from a file beside a page that was opened by a double click, so the
modules are data: addresses in an import map; what is large is base64 of gzip in script elements
that no browser runs. The page's own policy lets it ask for nothing outside itself.
"""

import base64
import gzip
import json
import pathlib
import re

import numpy as np

from tfae.explorer import conversion

GENERATOR = '<meta name="generator" content="tfae-explore">'
_WEB = pathlib.Path(__file__).parent / "web"
_SHARED = ("drawing", "latest", "model", "picture", "pixels")  # those of the browser client
_OWN = ("interpolation", "main", "parts", "picker", "plane", "sliders")


def build(runtime, graphs, weights, facts, images, codes):
  """Returns the bytes of the page; the same arguments give the same bytes.

  Args:
    runtime: (module, WebAssembly) of onnxruntime-web, bytes.
    graphs: {signature: bytes of its .onnx file}, with `weights` outside of them.
    weights: bytes.
    facts: dict of JSON values; see web/main.js.
    images: uint8 `[n, height, width, channels]`.
    codes: float32 `[n, size]`.
  """
  module, wasm = runtime
  parts = {"wasm": wasm, "weights": weights, "images": images.tobytes(),
           "codes": codes.astype("<f4").tobytes(),
           **{f"{key}.onnx": content for key, content in graphs.items()}}
  client = conversion.export_folder() / "clients" / "browser"
  modules = {"onnxruntime-web": module,
             **{name: _module(client / f"{name}.js") for name in _SHARED},
             **{name: _module(_WEB / f"{name}.js") for name in _OWN}}
  addresses = {name: f"data:text/javascript;base64,{_base64(content)}"
               for name, content in modules.items()}
  filled = {
      "style": "".join((folder / "style.css").read_text(encoding="utf-8")
                       for folder in (client, _WEB)),
      "imports": _json({"imports": addresses}),
      "facts": _json(facts),
      "parts": "\n".join(f'<script type="application/gzip" id="part-{name}">'
                         f"{_base64(gzip.compress(content, 9, mtime=0))}</script>"
                         for name, content in parts.items()),
      "generator": GENERATOR,
  }
  markup = (_WEB / "index.html").read_text(encoding="utf-8")
  # In one pass: what is filled in may hold such a mark.
  return re.sub(r"\{\{(\w+)\}\}", lambda mark: filled[mark[1]], markup).encode()


def pixels(images, max_value):
  """Returns (uint8 images, what stands for white in them) of images from 0 to `max_value`.

  Whole numbers of a byte stay as they are, others are brought to 0 to 255.
  """
  if max_value <= 255 and np.array_equal(images, np.rint(images)):
    return images.astype(np.uint8), max_value
  return np.rint(np.asarray(images, np.float64) * 255 / max_value).astype(np.uint8), 255


def _module(path):
  """A module's bytes; what stands beside it is imported by its bare name, as the map has it."""
  return re.sub(r'from "\./(\w+)\.js"', r'from "\1"', path.read_text(encoding="utf-8")).encode()


def _base64(content):
  return base64.b64encode(content).decode()


def _json(value):
  # Inside a script element nothing may look like its end, or like a comment.
  return json.dumps(value, sort_keys=True).replace("<", "\\u003c")
