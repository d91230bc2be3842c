"""The page holds what it was given, whole, and asks for nothing outside itself."""

import pathlib
import re
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import explorer_pages as pages
from tfae.explorer import page

IMAGES = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3, 1)
CODES = np.float32([[.1, -2, 1e-30], [3, 4, 5]])
FACTS = {"name": "</script><!-- {{parts}} \\ é", "codes": {"mean": [1.5]}}
GRAPHS = {"decode": b"graph\0", "encode": b"{{facts}}"}


def built(**changes):
  given = {"runtime": (b"export const a = 1;", b"\0asm"), "graphs": GRAPHS, "weights": b"w" * 5000,
           "facts": FACTS, "images": IMAGES, "codes": CODES, **changes}
  return page.build(**given)


def test_the_page_gives_back_what_it_was_given():
  text = built().decode()
  parts = pages.parts(text)
  assert pages.facts(text) == FACTS
  np.testing.assert_array_equal(np.frombuffer(parts.pop("codes"), "<f4").reshape(2, 3), CODES)
  np.testing.assert_array_equal(np.frombuffer(parts.pop("images"), np.uint8).reshape(2, 4, 3, 1),
                                IMAGES)
  assert parts == {"wasm": b"\0asm", "weights": b"w" * 5000, "decode.onnx": b"graph\0",
                   "encode.onnx": b"{{facts}}"}
  assert "{{" not in re.sub(r'<script type="application/json".*?</script>', "", text)


def test_the_same_arguments_are_the_same_bytes_and_others_are_others():
  assert built() == built()
  assert built() != built(weights=b"v" * 5000)


def test_every_module_that_is_imported_is_in_the_page_and_none_is_there_for_nothing():
  text = built().decode()
  modules = pages.modules(text)
  wanted, left = set(), ["main"]
  while left:
    name = left.pop()
    if name not in wanted:
      wanted.add(name)
      left += re.findall(r' from "([^"]+)"', modules[name].decode())
  assert wanted == set(modules) and modules["onnxruntime-web"] == b"export const a = 1;"


def test_the_page_names_no_address_and_its_policy_refuses_all_but_its_own_data():
  text = built().decode()
  policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
  sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
  assert policy.startswith("default-src 'none'")
  assert sources == {"'none'", "'unsafe-inline'", "'wasm-unsafe-eval'", "data:"}
  own = [content.decode() for name, content in pages.modules(text).items()]
  assert not re.search(r'(src|href)="(?!data:)', text)
  # fetch() stands in the client's model.js too, for its folder; the explorer never calls that.
  assert "://" not in "".join([re.sub(r"base64,[^\"]*", "", text), *own]).lower()


def test_every_element_that_a_module_asks_for_is_in_the_markup():
  text = built().decode()
  ids = set(re.findall(r' id="([\w-]+)"', text))
  asked = {name for content in pages.modules(text).values()
           for name in re.findall(r'\$\("([\w-]+)"\)', content.decode())}
  assert asked and asked <= ids


def test_whole_numbers_of_a_byte_stay_and_others_are_brought_to_one():
  images, white = page.pixels(np.float32([[0, 3, 16]]), 16)
  assert (images.tolist(), images.dtype, white) == ([[0, 3, 16]], np.uint8, 16)
  images, white = page.pixels(np.float32([[0, .5, 1]]), 1)
  assert (images.tolist(), white) == ([[0, 128, 255]], 255)
