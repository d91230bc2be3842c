"""The pictures of a report: the views of the catalogue that apply to a run, as files in memory.

Which views there are, and what they need, is the catalogue's business.
"""

import dataclasses
import io
import struct

from tfae import film as films
from tfae.errors import InputError
from tfae.views import catalogue

_SLENDER = 1.9  # times as wide as high: a strip of images


@dataclasses.dataclass(frozen=True)
class Picture:
  """A view of a run, or why there is none.

  name, title, section: as the `tfae.views.view.View`'s.
  content: bytes of a PNG or GIF file, or text of an SVG file; None: not drawn.
  reason: why the view does not apply to the run; '' if it does.
  error: what was wrong with the user's files when it was drawn; '' for nothing.
  """
  name: str
  title: str
  section: str
  content: bytes | str | None = None
  reason: str = ""
  error: str = ""

  @property
  def wide(self):
    """Whether a column of the page would make it too small to be read."""
    if isinstance(self.content, str):
      return True
    # Where a GIF begins, and a PNG.
    width, height = (struct.unpack("<HH", self.content[6:10]) if self.content[:3] == b"GIF" else
                     struct.unpack(">II", self.content[16:24]))
    return width > _SLENDER * height


def draw(material, tsne=False):
  """Returns the Pictures of all views, in the order of the catalogue.

  Args:
    material: a `tfae.views.material.Material`.
    tsne: whether to draw the t-SNE too, which takes longest.
  """
  chosen = {view.name for view in catalogue.chosen(None, ("tsne",) if tsne else ())}
  return tuple(_picture(view, material) if view.name in chosen else
               Picture(view.name, view.title, view.section, reason="only with --tsne")
               for view in catalogue.VIEWS)


def film(workdir):
  """Returns the Pictures, one or none, of a run's film.

  Of its frames: the GIF of a run that is in training, was killed or diverged is an older one, or
  not there yet.
  """
  named = "film", "the same test images over their reconstructions, as training went on", "training"
  try:
    kept = films.read(workdir)
  except InputError as error:
    return (Picture(*named, error=str(error)),)
  return (Picture(*named, content=films.gif(kept)),) if kept and kept.frames else ()


def _picture(view, material):
  # Without the flags of tfae-figures that some titles end in.
  named = view.name, view.title.partition(" (--")[0], view.section
  reason = view.reason(material)
  if reason:
    return Picture(*named, reason=reason)
  try:
    return Picture(*named, content=encoded(view.draw(material)))
  except InputError as error:
    return Picture(*named, error=str(error))


def encoded(drawn):
  """Returns what a view drew as bytes of a PNG file, at most 256 colours of it, or SVG text."""
  from tfae.views import picture
  suffix, content = picture.encoded(drawn)
  if suffix == ".svg":
    return content.decode()
  from PIL import Image
  image = Image.open(io.BytesIO(content))
  if image.mode == "L":
    return content
  # Half the size; a figure has few colours, and their shades.
  smaller = io.BytesIO()
  image.convert("RGB").quantize(256).save(smaller, "PNG", optimize=True)
  return min(content, smaller.getvalue(), key=len)
