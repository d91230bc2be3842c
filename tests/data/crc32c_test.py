"""tfae.data.crc32c: against published values and TensorBoard's own, byte by byte."""

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from tfae.data import crc32c


@pytest.mark.parametrize("data, expected", [
    (b"", 0), (b"123456789", 0xE3069283),  # the usual check value
    (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),  # RFC 3720, appendix B.4
    (bytes(range(32)), 0x46DD794E), (bytes(range(31, -1, -1)), 0x113FDB5C)])
def test_published_values_come_out(data, expected):
  assert crc32c.crc32c(data) == expected


def test_any_length_gives_what_a_crc_byte_by_byte_gives_across_blocks_too():
  data = np.random.default_rng(0).bytes(4 * 1024 + 100)
  for length in (*range(12), 1023, 1024, 1025, 1027, 1028, 2047, 2049, 3072, len(data)):
    assert crc32c.masked(data[:length]) == pywrap_tensorflow.masked_crc32c(data[:length]), length
