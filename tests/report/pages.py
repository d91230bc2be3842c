"""Reads a page as a browser would, and refuses what no browser should have to mend."""

import base64
import html.parser
import io
import re
from xml.etree import ElementTree

from PIL import Image

VOID = {"br", "meta", "img"}
# An element that is not to lie inside of one of these.
_NOT_INSIDE = {"p": {"p", "table", "ul", "dl", "div", "figure", "pre", "details"}}


class Page(html.parser.HTMLParser):
  """A page: its text, headings, tables, pictures.

  headings: (level, text); tables: lists of rows of cells' text; images: (alt, decoded picture);
  values: of all <data value=...>; ids, links: of anchors; texts: all text, without the style.
  """

  def __init__(self, text):
    super().__init__(convert_charrefs=True)
    self.headings, self.tables, self.images, self.values = [], [], [], []
    self.ids, self.links, self.tags, self.texts = [], [], [], []
    self._open = []
    self.feed(text)
    self.close()
    assert not self._open, f"not closed: {self._open}"
    assert text.count("<!DOCTYPE html>") == 1 and text.startswith("<!DOCTYPE html>")

  def handle_starttag(self, tag, attrs):
    given = dict(attrs)
    assert len(given) == len(attrs), f"an attribute twice in {tag}"
    self.tags.append(tag)
    for name, value in attrs:
      assert not name.startswith("on"), f"a script in {name}"
      if name in ("src", "href", "action", "data", "poster", "srcset"):
        assert value.startswith(("data:image/", "#")), f"{tag} asks for {value[:80]}"
      if name == "style" or tag == "style":
        assert "url(" not in (value or "")
    assert tag not in ("script", "link", "iframe", "object", "base", "form"), tag
    for outer, inner in _NOT_INSIDE.items():
      assert not (outer in self._open and tag in inner), f"{tag} inside of {outer}"
    if "id" in given:
      self.ids.append(given["id"])
    if tag == "a":
      self.links.append(given["href"])
    if tag == "img":
      self.images.append((given["alt"], _picture(given["src"])))
    if tag == "data":
      self.values.append(given["value"])
    if tag == "table":
      self.tables.append([])
    if tag == "tr":
      self.tables[-1].append([])
    if tag in ("td", "th"):
      self.tables[-1][-1].append("")
    if re.fullmatch("h[1-6]", tag):
      self.headings.append((int(tag[1]), ""))
    if tag not in VOID:
      self._open.append(tag)

  def handle_endtag(self, tag):
    assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
    self._open.pop()

  def handle_data(self, data):
    if "style" in self._open:
      assert "url(" not in data and "@import" not in data
      return
    self.texts.append(data)
    if self._open and self._open[-1] in ("h1", "h2", "h3"):
      level, text = self.headings[-1]
      self.headings[-1] = level, text + data
    if {"td", "th"} & set(self._open):
      self.tables[-1][-1][-1] += data

  @property
  def text(self):
    return " ".join(" ".join(self.texts).split())

  def table(self, first):
    """The rows below the header of the table whose header starts with `first`."""
    return next(rows[1:] for rows in self.tables if rows[0][0] == first)


def _picture(source):
  kind, content = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", source).groups()
  content = base64.b64decode(content, validate=True)
  if kind == "svg+xml":
    return ElementTree.fromstring(content)
  image = Image.open(io.BytesIO(content))
  image.load()
  assert image.format.lower() == kind
  return image
