"""tfae.figures.diagram: well-formed SVG with every layer, its size, its ties, all escaped."""

import math
import re
from xml.etree import ElementTree

import pytest

from tfae.errors import InputError
from tfae.figures.diagram import Layer, diagram

SVG = "{http://www.w3.org/2000/svg}"
TIED = [Layer("encoder/layer_0", "Conv2D", (14, 14, 16), 256, "encoder"),
        Layer("encoder/layer_1", "Conv2D", (7, 7, 16), 4096, "encoder"),
        Layer("decoder/layer_0", "Conv2DTranspose", (14, 14, 16), 0, "decoder", "encoder/layer_1"),
        Layer("decoder/layer_1", "Conv2DTranspose", (28, 28, 1), 1, "decoder", "encoder/layer_0")]
VARIATIONAL = [Layer("encoder/layer_0", "Dense", (512,), 10, "encoder"),
               Layer("mean/layer_0", "Dense", (2,), 3, "mean"),
               Layer("log_variance/layer_0", "Dense", (2,), 3, "log_variance"),
               Layer("decoder/layer_0", "Dense", (784,), 20, "decoder")]


def parsed(text):
  """(texts, boxes as (x, y, width, height), arrows as 4 numbers, tied paths) of an SVG."""
  root = ElementTree.fromstring(text)
  texts = [(float(e.get("x")), float(e.get("y")), e.text) for e in root.iter(SVG + "text")]
  boxes = [tuple(float(e.get(k)) for k in ("x", "y", "width", "height"))
           for e in root.iter(SVG + "rect") if e.get("rx")]  # not the ground
  paths = list(root.iter(SVG + "path"))
  arrows = [tuple(map(float, re.findall(r"[\d.]+", e.get("d")))) for e in paths
            if e.get("marker-end")]
  return texts, boxes, arrows, [e.get("d") for e in paths if e.get("class") == "tied"]


def test_every_layer_has_its_box_its_shape_its_parameters_and_its_name():
  texts, boxes, _, _ = parsed(diagram(TIED, (28, 28, 1)))
  words = [text for *_, text in texts]
  assert len(boxes) == 5
  for text in ("4 layers, 4,353 parameters", "encoder, 4,352 parameters", "decoder, 1 parameters",
               "28 x 28 x 1", "Conv2D, 7 x 7 x 16", "encoder/layer_1, 4,096 parameters",
               "decoder/layer_0, kernel of encoder/layer_1"):
    assert text in words


def test_a_larger_output_has_a_wider_box_and_an_equal_one_the_same():
  _, boxes, _, _ = parsed(diagram(TIED, (28, 28, 1)))
  sizes = [784, 3136, 784, 3136, 784]
  widths = [box[2] for box in boxes]
  for (a, b), (one, other) in zip(zip(sizes, sizes[1:]), zip(widths, widths[1:])):
    assert (a < b) == (one < other)
  assert widths[0] == widths[2] == widths[4]


def test_boxes_and_texts_are_inside_and_rows_do_not_touch():
  text = diagram(TIED, (28, 28, 1))
  texts, boxes, _, _ = parsed(text)
  width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
  assert width == 800
  for x, y, wide, high in boxes:
    assert 0 <= x and x + wide < 420 and y + high < height
  for (_, y, _, high), (_, below, _, _) in zip(boxes, boxes[1:]):
    assert y + high < below
  assert all(y < height for _, y, _ in texts)


def test_a_tie_leads_from_the_layer_to_the_one_whose_kernel_it_shares():
  _, boxes, _, ties = parsed(diagram(TIED, (28, 28, 1)))
  middle = {name: y + high / 2 for name, (_, y, _, high) in
            zip(["input", *(layer.name for layer in TIED)], boxes)}
  found = {tuple(float(n) for n in re.search(r" ([\d.]+)H.*V([\d.]+)H", tie).groups())
           for tie in ties}
  assert found == {(middle[layer.tied_to], middle[layer.name]) for layer in TIED if layer.tied_to}


def test_ties_of_many_layers_stay_on_the_page_and_apart():
  many = [Layer(f"e{i}", "Dense", (9,), 9, "encoder") for i in range(30)]
  many += [Layer(f"d{i}", "Dense", (9,), 0, "decoder", f"e{29 - i}") for i in range(30)]
  _, _, _, ties = parsed(diagram(many, (3, 3, 1)))
  lanes = [float(re.search(r"H([\d.-]+)V", tie).group(1)) for tie in ties]
  assert len(set(lanes)) == 30 and min(lanes) > 0


def test_heads_stand_beside_each_other_between_what_they_come_from_and_lead_to():
  _, boxes, arrows, _ = parsed(diagram(VARIATIONAL, (28, 28, 1), heads=("mean", "log_variance")))
  _, encoder, mean, deviation, decoder = [(round(x + wide / 2), y, y + high)
                                          for x, y, wide, high in boxes]
  assert mean[0] < encoder[0] == decoder[0] < deviation[0]
  ends = {(x, y, to_x, math.ceil(to_y) + 1) for x, y, to_x, to_y in arrows}
  join = lambda above, below: (above[0], above[2], below[0], below[1])
  assert {join(encoder, mean), join(encoder, deviation), join(mean, decoder),
          join(deviation, decoder)} <= ends
  assert join(mean, deviation) not in ends and len(ends) == 5


def test_without_heads_each_layer_follows_the_one_before():
  _, boxes, arrows, _ = parsed(diagram(VARIATIONAL, (28, 28, 1)))
  assert len(arrows) == 4 and len({round(x + wide / 2) for x, _, wide, _ in boxes}) == 1


def test_names_are_escaped_and_long_ones_cut():
  hostile = Layer("<script>&\"'" + "x" * 200, "Dense</text>", (2,), 1, "<b>")
  texts, *_ = parsed(diagram([hostile], (2, 2, 1), title="<i>"))
  words = [text for *_, text in texts]
  assert "<i>" in words and "<b>, 1 parameters" in words
  assert any(word.startswith("<script>&\"'x") and word.endswith("…") for word in words)
  assert all(len(word) <= 70 for word in words)


def test_one_layer_and_outputs_of_one_number_are_drawn():
  parsed(diagram([Layer("a", "Dense", (1,), 2, "encoder")], (1, 1, 1)))


@pytest.mark.parametrize("layers, message", [
    ([], "at least one"), ([TIED[0], TIED[0]], "a name of its own"),
    (TIED[2:], "tied_to='encoder/layer_1': is no layer")])
def test_layers_that_make_no_model_are_refused(layers, message):
  with pytest.raises(InputError, match=message):
    diagram(layers, (28, 28, 1))
