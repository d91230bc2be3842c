"""What a view drew, as the bytes of a file."""

from tfae.figures import montage, style

_SIDE = 900  # pixels, about, that the longer side of a small image array is enlarged to


def encoded(drawn):
  """Returns (suffix, bytes): '.svg' of SVG text, '.png' of a Figure or an image array.

  An image array's pixels become squares of whole pixels. The same picture gives the same bytes.
  """
  if isinstance(drawn, str):
    return ".svg", drawn.encode()
  if hasattr(drawn, "savefig"):
    return ".png", style.png(drawn)
  return ".png", montage.image_png(drawn, max(1, _SIDE // max(drawn.shape[:2])))
