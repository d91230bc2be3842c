"""What a PNG or JPEG file says of itself: found out without decoding, so that a bad one is named
before a run begins."""

import dataclasses
import struct
import zlib

_MOST_PIXELS = 100_000_000  # of a file: some 300 MB decoded
MOST_BYTES = 2**28  # of a file
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_CONVERT = "Convert it, for example with ImageMagick: magick IN -background white -flatten "
# Start of frame markers: baseline, extended and progressive, all with Huffman codes.
_READABLE_FRAMES = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_NO_LENGTH = (0x01, *range(0xD0, 0xD9))


class Bad(Exception):
  """A file that is not taken: the message says what was found, what is expected, the way out."""


@dataclasses.dataclass(frozen=True)
class Header:
  """Height and width in pixels, as stored."""
  height: int
  width: int


def check(data):
  """Returns the Header of a file's bytes.

  Taken are PNG of 1 to 8 bits a channel, grey, colour or palette, without transparency, all
  checksums right; and JPEG, baseline or progressive, grey or colour, up to its end marker. Damage
  within a JPEG's compressed data has no checksum.

  Raises:
    Bad: anything else.
  """
  if len(data) > MOST_BYTES:
    raise Bad(f"found more than {MOST_BYTES:,} bytes, expected at most that. Scale it down")
  if data.startswith(_PNG):
    header = _png(data)
  elif data.startswith(_JPEG):
    header = _jpeg(data)
  else:
    raise Bad(f"not a PNG or JPEG file: begins with 0x{data[:4].hex() or '(nothing)'}. Convert "
              "it, or leave it out")
  if not 0 < header.height * header.width <= _MOST_PIXELS:
    raise Bad(f"found {header.height} x {header.width} pixels, expected 1 to {_MOST_PIXELS:,}. "
              "Scale it down")
  return header


def _png(data):
  """Source: Portable Network Graphics specification, sections 5 and 11."""
  at, header, pixels = len(_PNG), None, False
  while True:
    if at + 12 > len(data):
      raise Bad(f"truncated PNG: ends at byte {len(data)}, before its IEND. Fetch it again")
    size, kind = struct.unpack_from(">I4s", data, at)
    end = at + 12 + size
    if end > len(data):
      raise Bad(f"truncated PNG: ends at byte {len(data)}, within a chunk that ends at {end}. "
                "Fetch it again")
    if zlib.crc32(memoryview(data)[at + 4:end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
      raise Bad(f"damaged PNG: wrong checksum of the chunk at byte {at}. Fetch it again")
    if header is None:
      if kind != b"IHDR" or size != 13:
        raise Bad("damaged PNG: its first chunk is no IHDR. Fetch it again")
      width, height, depth, colour = struct.unpack_from(">IIBB", data, at + 8)
      if depth == 16:
        raise Bad(f"PNG of 16 bits a channel, expected at most 8. {_CONVERT}-depth 8 OUT.png")
      if colour in (4, 6):
        raise Bad(f"PNG with an alpha channel, expected none. {_CONVERT}OUT.png")
      header = Header(height, width)
    if kind == b"tRNS":
      raise Bad(f"PNG with a transparent colour, expected none. {_CONVERT}OUT.png")
    pixels = pixels or kind == b"IDAT"
    if kind == b"IEND":
      if not pixels:
        raise Bad("damaged PNG: has no pixels (no IDAT). Fetch it again")
      return header
    at = end


def _jpeg(data):
  """Source: ITU-T T.81, annex B."""
  at, header = 2, None
  while True:
    if at + 4 > len(data):
      raise Bad(f"truncated JPEG: ends at byte {len(data)}, before its pixels. Fetch it again")
    if data[at] != 0xFF:
      raise Bad(f"damaged JPEG: found 0x{data[at]:02x} at byte {at}, expected a marker 0xff. Fetch "
                "it again")
    marker = data[at + 1]
    if marker == 0xFF:  # a fill byte
      at += 1
      continue
    if marker in _NO_LENGTH:
      at += 2
      continue
    size, = struct.unpack_from(">H", data, at + 2)
    if marker in _OTHER_FRAMES:
      raise Bad(f"JPEG of a rare kind (frame 0x{marker:02x}), expected baseline or progressive. "
                f"{_CONVERT}OUT.png")
    if marker in _READABLE_FRAMES and at + 10 <= len(data):
      depth, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
      if depth != 8 or components not in (1, 3):
        raise Bad(f"JPEG of {components} channels of {depth} bits, expected 1 or 3 of 8. "
                  f"{_CONVERT}-colorspace sRGB OUT.jpg")
      header = Header(height, width)
    if marker == 0xDA:
      if header is None:
        raise Bad("damaged JPEG: has pixels but no frame header. Fetch it again")
      if data.find(b"\xff\xd9", at) < 0:
        raise Bad(f"truncated JPEG: ends at byte {len(data)} without an end marker. Fetch it again")
      return header
    if marker == 0xD9:
      raise Bad("damaged JPEG: ends before its pixels. Fetch it again")
    at += 2 + size
