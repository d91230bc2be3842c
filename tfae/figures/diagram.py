"""A model as SVG text, written from the list of its layers: no Graphviz, no matplotlib."""

import dataclasses
from html import escape
import math

from tfae.errors import InputError

_WIDTH, _ROW, _BOX = 800, 40, 30
_MIDDLE, _WIDEST, _NARROWEST = 235, 300, 36
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
    component: such as "encoder"; layers of one component stand together.
    tied_to: name of the layer whose kernel it shares; "" for none.
  """
  name: str
  kind: str
  shape: tuple
  parameters: int
  component: str
  tied_to: str = ""


def diagram(layers, input_shape, title=None):
  """Returns the SVG of a model: a box a layer, as wide as its output is large (logarithmically).

  Layers follow one another from above; a line at the left ties a layer to the one whose kernel it
  shares. 800 units wide, on a white ground.

  Args:
    layers: `Layer`s, in order.
    input_shape: of an image: (height, width, channels).
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
  total = sum(layer.parameters for layer in layers)
  title = title or (f"{len(layers)} layer{'s' if len(layers) > 1 else ''}, {total:,} parameters")
  sizes = [math.prod(input_shape)] + [math.prod(layer.shape) for layer in layers]
  parts, centres = [], {}
  y = 50
  parts.append(_box(y, _wide(sizes[0], sizes), "#ffffff", _FAINT)
               + _words(y, "input", "", input_shape, ""))
  components = list(dict.fromkeys(layer.component for layer in layers))
  for index, layer in enumerate(layers):
    before = y
    y += _ROW
    if index == 0 or layer.component != layers[index - 1].component:
      y += 24
      own = sum(other.parameters for other in layers if other.component == layer.component)
      parts.append(_text(_TEXT, y - 8, f"{layer.component}, {own:,} parameters", 13, _INK, "bold"))
    fill, edge = _FILLS[components.index(layer.component) % len(_FILLS)]
    parts.append(f'<path d="M{_MIDDLE} {before + _BOX}V{y - 2}" stroke="{_FAINT}" '
                 'marker-end="url(#head)"/>')
    parts.append(_box(y, _wide(sizes[index + 1], sizes), fill, edge))
    own = f"{layer.parameters:,} parameters" if layer.parameters else ""
    if layer.tied_to:
      own += (", " if own else "") + f"kernel of {layer.tied_to}"
    parts.append(_words(y, layer.name, layer.kind, layer.shape, own))
    centres[layer.name] = (y + _BOX / 2, _wide(sizes[index + 1], sizes))
  tied = [layer for layer in layers if layer.tied_to]
  for layer in tied:
    (low, one), (high, other) = centres[layer.name], centres[layer.tied_to]
    # Pairs that lie farther apart bend farther to the left, so that the links nest.
    reach = _MIDDLE - _WIDEST / 2 - 12 - 55 * abs(low - high) / (y - 50)
    parts.append(f'<path class="tied" d="M{_MIDDLE - other / 2:.1f} {high:.1f}C{reach:.1f} {high:.1f} '
                 f'{reach:.1f} {low:.1f} {_MIDDLE - one / 2:.1f} {low:.1f}" fill="none" '
                 f'stroke="{_LINK}" stroke-width="1.5" stroke-dasharray="5 3"/>')
  height = y + _BOX + 20 + (20 if tied else 0)
  if tied:
    parts.append(_text(_TEXT, height - 14, "dashed line: one kernel, used twice", 12, _LINK))
  head = (f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
          f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{_FAINT}"/></marker>')
  return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
          f'width="{_WIDTH}" height="{height}" role="img" font-family="Helvetica, Arial, '
          f'DejaVu Sans, sans-serif"><title>{escape(title)}</title><defs>{head}</defs>'
          f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
          + _text(_WIDTH / 2, 28, title, 16, _INK, "bold", "middle") + "\n" + "\n".join(parts)
          + "</svg>\n")


def _wide(size, sizes):
  """The width of a box: the logarithm of its size, between the smallest and the largest."""
  low, high = math.log(max(min(sizes), 1)), math.log(max(*sizes, 1))
  share = (math.log(max(size, 1)) - low) / (high - low) if high > low else 1
  return _NARROWEST + share * (_WIDEST - _NARROWEST)


def _box(y, wide, fill, edge):
  return (f'<rect x="{_MIDDLE - wide / 2:.1f}" y="{y}" width="{wide:.1f}" height="{_BOX}" rx="4" '
          f'fill="{fill}" stroke="{edge}" stroke-width="1.5"/>')


def _words(y, name, kind, shape, own):
  shape = " x ".join(map(str, shape))
  return (_text(_TEXT, y + 13, f"{kind}  {shape}".strip(), 13, _INK)
          + _text(_TEXT, y + 28, f"{name}{', ' if own else ''}{own}", 12, _FAINT))


def _text(x, y, words, size, colour, weight="normal", anchor="start"):
  most = int((_WIDTH - _TEXT) / (0.52 * size)) if anchor == "start" else 90
  words = words if len(words) <= most else words[:most - 1] + "…"
  return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
          f'text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>')
