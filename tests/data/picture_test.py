"""tfae.data.picture: which PNG and JPEG files are taken; the files are Pillow's."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfae.data import picture


def encoded(mode="RGB", size=(9, 7), kind="PNG", **options):
  image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
  stream = io.BytesIO()
  Image.fromarray(image).convert(mode).save(stream, kind, **options)
  return stream.getvalue()


PNG, JPEG = encoded(), encoded(kind="JPEG", size=(90, 70))


@pytest.mark.parametrize("data, size", [
    (PNG, (7, 9)), (encoded("L"), (7, 9)), (encoded("P"), (7, 9)), (encoded("1"), (7, 9)),
    (JPEG, (70, 90)), (encoded("L", kind="JPEG"), (7, 9)),
    (encoded(kind="JPEG", progressive=True), (7, 9)),
    (encoded(kind="JPEG", comment=b"\xff\xd9 is no end here"), (7, 9)),
    (encoded(kind="JPEG", exif=b"Exif\0\0" + bytes(500)), (7, 9)),
    (JPEG + b"more", (70, 90)),
])
def test_common_files_are_taken_and_their_size_is_known(data, size):
  header = picture.check(data)
  assert (header.height, header.width) == size


def sixteen_bits():
  stream = io.BytesIO()
  Image.fromarray(np.zeros((3, 4), np.uint16)).save(stream, "PNG")
  return stream.getvalue()


def huge():
  chunk = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
  return PNG[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + PNG[33:]


@pytest.mark.parametrize("data, part", [
    (b"", "begins with 0x(nothing)"),
    (b"GIF89a", "not a PNG or JPEG file: begins with 0x47494638"),
    (encoded("RGBA"), "alpha channel"), (encoded("LA"), "alpha channel"),
    (encoded("P", transparency=3), "transparent colour"),
    (sixteen_bits(), "16 bits a channel"),
    (encoded("CMYK", kind="JPEG"), "4 channels of 8 bits"),
    (huge(), "found 20000 x 20000 pixels"),
    (PNG[:-1], "truncated PNG"), (PNG[:8], "truncated PNG"), (PNG[:-12], "truncated PNG"),
    (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "wrong checksum of the chunk at byte 33"),
    (PNG[:33] + PNG[-12:], "has no pixels"),
    (PNG[:8] + PNG[33:], "first chunk is no IHDR"),
    (JPEG[:-2], "without an end marker"), (JPEG[:len(JPEG) // 2], "without an end marker"),
    (JPEG[:30], "truncated JPEG: ends at byte 30"), (JPEG[:3], "truncated JPEG"),
    (JPEG[:20] + b"\0\0" + JPEG[22:], "expected a marker 0xff"),
    (JPEG[:2] + b"\xff\xd9" + JPEG[2:], "ends before its pixels"),
    (JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1), "rare kind (frame 0xc9)"),
    (JPEG.replace(b"\xff\xc0", b"\xff\xef", 1), "no frame header"),
])
def test_any_other_file_is_refused_with_what_was_found(data, part):
  with pytest.raises(picture.Bad) as caught:
    picture.check(data)
  assert part in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [PNG, JPEG])
def test_no_cut_and_no_flipped_byte_raises_anything_else(data):
  random = np.random.default_rng(1)
  for cut in range(0, len(data), max(1, len(data) // 150)):
    with pytest.raises(picture.Bad):
      picture.check(data[:cut])
  for at in random.integers(0, len(data), 300):
    try:
      picture.check(data[:at] + bytes([data[at] ^ random.integers(1, 256)]) + data[at + 1:])
    except picture.Bad:
      pass
