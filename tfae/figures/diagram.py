"""A model as SVG text, written from the list of its layers: no Graphviz, no matplotlib."""

import dataclasses
from html import escape
import itertools
import math

from tfae.errors import InputError

_WIDTH, _ROW, _BOX = 800, 40, 30
_MIDDLE, _WIDEST, _NARROWEST = 240, 300, 10
_ASIDE = 75  # from the middle to that of a head
_TEXT = 430  # where the words begin
_INK, _FAINT, _LINK = "#222222", "#6b6b6b", "#832db6"
# Fill and edge of the boxes of a component, by the order in which they come.
_FILLS = (("#d9e8f7", "#3f90da"), ("#ffe9c2", "#c77f00"), ("#e4e8e7", "#717581"),
          ("#f2ddd6", "#a96b59"))


@dataclasses.dataclass(frozen=True)
class Layer:
  """A layer of the diagram.

  Attributes:
    name: as the model names it, such as "encoder/layer_0"; no two layers have the same.
    kind: such as "Conv2D".
    shape: of its output without the batch: (28, 28, 16).
    parameters: how many are its own; a tied layer's kernel is not.
    component: such as "encoder"; layers of one component follow one another.
    tied_to: name of the layer whose kernel it shares; "" for none.
  """
  name: str
  kind: str
  shape: tuple
  parameters: int
  component: str
  tied_to: str = ""


def diagram(layers, input_shape, heads=(), title=None):
  """Returns the SVG of a model: a box a layer, as wide as its output is large (logarithmically).

  Layers follow one another from above; a dashed line at the left ties a layer to the one whose
  kernel it shares. 800 units wide, on a white ground.

  Args:
    layers: `Layer`s, in order.
    input_shape: of an image: (height, width, channels).
    heads: the components that all take what comes before the first of them, and all lead to what
      follows, such as ("mean", "log_variance"): they stand left and right of the middle.
    title: None: how many layers and parameters.

  Raises:
    InputError: no layers, two of one name, or one that is tied to none of them.
  """
  layers = list(layers)
  names = [layer.name for layer in layers]
  if not layers or len(set(names)) < len(names):
    raise InputError(f"layers={names}: expected at least one, each with a name of its own.")
  for layer in layers:
    if layer.tied_to and layer.tied_to not in names:
      raise InputError(f"layer {layer.name!r}: tied_to={layer.tied_to!r}: is no layer. The layers "
                       f"are {', '.join(names)}.")
  largest = max(math.prod(shape) for shape in (input_shape, *(layer.shape for layer in layers)))
  y = 50
  wide = _wide(input_shape, largest)
  parts = [_box(_MIDDLE, y, wide, "#ffffff", _FAINT), *_words(y, "input", "", input_shape, "")]
  ends, fork, lefts = [(_MIDDLE, y + _BOX)], None, {}
  for index, (component, group) in enumerate(itertools.groupby(layers, lambda l: l.component)):
    group = list(group)
    y += 24
    own = sum(layer.parameters for layer in group)
    parts.append(_text(_TEXT, y + _ROW - 8, f"{component}, {own:,} parameters", 13, _INK, "bold"))
    x = _MIDDLE
    if component in heads:
      fork, ends = (ends, []) if fork is None else (fork, ends)
      x += _ASIDE * (2 * heads.index(component) / (len(heads) - 1) - 1) if len(heads) > 1 else 0
    before = ends if component not in heads else fork
    for layer in group:
      y += _ROW
      # Heads share the width.
      wide = _wide(layer.shape, largest) * (0.4 if component in heads else 1)
      parts += [_arrow(*end, x, y) for end in before]
      parts += [_box(x, y, wide, *_FILLS[index % len(_FILLS)]),
                *_words(y, layer.name, layer.kind, layer.shape, _own(layer))]
      lefts[layer.name] = (x - wide / 2, y + _BOX / 2)
      before = [(x, y + _BOX)]
    fork, ends = (fork, ends + before) if component in heads else (None, before)
  links = [(lefts[layer.tied_to], lefts[layer.name]) for layer in layers if layer.tied_to]
  # The nearer two layers are, the nearer is their line to the boxes: lines of a mirror nest.
  links.sort(key=lambda link: abs(link[1][1] - link[0][1]))
  for index, ((x, top), (other, bottom)) in enumerate(links):
    lane = _MIDDLE - _WIDEST / 2 - 8 - min(10, 70 / len(links)) * index
    parts.append(f'<path class="tied" d="M{x:.1f} {top:g}H{lane:.1f}V{bottom:g}H{other:.1f}" '
                 f'fill="none" stroke="{_LINK}" stroke-width="1.3" stroke-dasharray="5 3"/>')
  height = y + _BOX + 20
  if links:
    height += 20
    parts.append(_text(_TEXT, height - 14, "dashed line: one kernel, used twice", 12, _LINK))
  total = sum(layer.parameters for layer in layers)
  many = "s" if len(layers) > 1 else ""
  return _svg(height, title or f"{len(layers)} layer{many}, {total:,} parameters", parts)


def _svg(height, title, parts):
  return "\n".join((
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
      f'height="{height}" role="img" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
      f"<title>{escape(title)}</title>",
      '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
      f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{_FAINT}"/></marker></defs>',
      f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
      _text(_WIDTH / 2, 28, title, 16, _INK, "bold", "middle"), *parts, "</svg>\n"))


def _wide(shape, largest):
  """The width of a box: the logarithm of its size beside that of the largest."""
  share = math.log1p(math.prod(shape)) / math.log1p(largest)
  return _NARROWEST + share * (_WIDEST - _NARROWEST)


def _own(layer):
  parts = [f"{layer.parameters:,} parameters"] if layer.parameters else []
  parts += [f"kernel of {layer.tied_to}"] if layer.tied_to else []
  return ", ".join(parts)


def _box(x, y, wide, fill, edge):
  return (f'<rect x="{x - wide / 2:.1f}" y="{y}" width="{wide:.1f}" height="{_BOX}" rx="4" '
          f'fill="{fill}" stroke="{edge}" stroke-width="1.5"/>')


def _arrow(x, y, to_x, to_y):
  return (f'<path d="M{x:g} {y:g}L{to_x:g} {to_y - 1:g}" stroke="{_FAINT}" '
          'marker-end="url(#head)"/>')


def _words(y, name, kind, shape, own):
  """Returns the two lines beside a box."""
  shape = " x ".join(map(str, shape))
  return [_text(_TEXT, y + 13, ", ".join(filter(None, (kind, shape))), 13, _INK),
          _text(_TEXT, y + 28, ", ".join(filter(None, (name, own))), 12, _FAINT)]


def _text(x, y, words, size, colour, weight="normal", anchor="start"):
  # A letter is about half as wide as it is high.
  most = int((_WIDTH - x) * (1 if anchor == "start" else 2) / (0.54 * size))
  words = words if len(words) <= most else words[:most - 1] + "…"
  return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
          f'text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>')
