"""HTML as text: everything that is no markup is escaped, in one place."""

import base64
import html
import re

from tfae.report.style import CSS

_VOID = ("br", "img", "meta")


class Markup(str):
  """Text that is HTML already."""
  __slots__ = ()


def escaped(value):
  """Returns anything as Markup that shows it, in a text and in an attribute alike."""
  if isinstance(value, Markup):
    return value
  # What is no character of a file name in UTF-8, and control characters, which HTML can't hold.
  text = str(value).encode("utf-8", "replace").decode()
  return Markup(html.escape(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", text)))


def join(parts, between="\n"):
  """Returns Markup of several parts; None and '' are left out."""
  return Markup(between.join(escaped(part) for part in parts if part))


def tag(name, /, *content, **attributes):
  """Returns Markup of an element.

  Args:
    name: of the element.
    *content: Markup, or anything else, which is escaped.
    **attributes: `class_` is class; None leaves an attribute out.
  """
  given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
                  for key, value in attributes.items() if value is not None)
  if name in _VOID:
    return Markup(f"<{name}{given}>")
  return Markup(f"<{name}{given}>{''.join(map(escaped, content))}</{name}>")


def table(header, rows, numbers=(), caption=None):
  """Returns a table that scrolls by itself where the window is narrow.

  Args:
    header: the cells of the first row.
    rows: lists of cells; the first of each is a row's heading.
    numbers: indices of the columns that are set to the right.
    caption: what the table shows; None: its heading says it.
  """
  def cell(kind, index, value, scope=None):
    return tag(kind, value, scope=scope, class_="number" if index in numbers else None)

  head = tag("tr", *(cell("th", index, value, "col") for index, value in enumerate(header)))
  body = (tag("tr", *(cell("td", index, value) if index else cell("th", index, value, "row")
                      for index, value in enumerate(row))) for row in rows)
  return tag("div", tag("table", tag("caption", caption) if caption else "", tag("thead", head),
                        tag("tbody", *body)), class_="scroll")


def pairs(items):
  """Returns a list of terms and what they are; items without a value are left out."""
  return tag("dl", *(tag("div", tag("dt", name), tag("dd", value))
                     for name, value in items if value))


def folded(summary, *content):
  """Returns what is shown when its summary is clicked; on paper it stays closed."""
  return tag("details", tag("summary", summary), *content)


def code(text):
  """Returns a block of program text."""
  return tag("pre", tag("code", text))


def picture(content, alt, caption=None, wide=False):
  """Returns a figure with a picture inside the page.

  Args:
    content: bytes of a PNG or GIF file, or text of an SVG file.
    alt: what it shows, for those who don't see it.
    caption: None: none.
    wide: whether it may be as wide as the page.
  """
  kind, data = (("svg+xml", content.encode()) if isinstance(content, str)
                else ("gif" if content[:3] == b"GIF" else "png", content))
  source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
  return tag("figure", tag("img", src=source, alt=alt),
             tag("figcaption", caption) if caption else "", class_="wide" if wide else None)


def document(title, *body):
  """Returns a whole page as text; it needs nothing from elsewhere, and has no script."""
  head = tag("head", tag("meta", charset="utf-8"),
             tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
             # Not even by mistake: what a name or a data set could smuggle in would not run.
             tag("meta", http_equiv="Content-Security-Policy",
                 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"),
             tag("title", title), tag("style", Markup(CSS)))
  return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *body), lang='en')}\n"
