"""CRC-32C of bytes, as TFRecord files have it; by tables, in NumPy.

The standard library has none, and the packages that do are no dependency of TensorFlow. A CRC is
linear: that of a block is the exclusive or of what each of its bytes gives at its place.

Source: Castagnoli, Braeuer, Herrmann, "Optimization of cyclic redundancy-check codes with 24 and
32 parity bits", IEEE Transactions on Communications 41, 1993; RFC 3720, appendix B.4.
"""

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_BLOCK = 1024  # bytes: its table has 1 MiB, which a core's own cache holds
_MASK = 0xA282EAD8


def masked(data):
  """Returns the CRC-32C of bytes, rotated and moved as TFRecord files store it: an int."""
  crc = crc32c(data)
  return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def crc32c(data):
  """Returns the CRC-32C of bytes, an int of 32 bits."""
  data = np.frombuffer(data, np.uint8)
  register = 0xFFFFFFFF
  for start in range(0, len(data), _BLOCK):
    block = data[start:start + _BLOCK]
    if len(block) < 4:  # too short to take up a register
      for byte in block:
        register = int(_BYTE[(register ^ int(byte)) & 0xFF]) ^ register >> 8
      continue
    places = _FIRST[_BLOCK - len(block):] + block
    head = np.frombuffer(register.to_bytes(4, "little"), np.uint8)
    places[:4] ^= head
    register = int(np.bitwise_xor.reduce(_TABLE.take(places)))
  return register ^ 0xFFFFFFFF


def _byte_table():
  table = np.arange(256, dtype=np.uint32)
  for _ in range(8):
    table = np.where(table & 1, table >> 1 ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
  return table


def _block_table(byte):
  """Returns the table of what a byte gives at each place of a block, flat [_BLOCK * 256]."""
  table = np.empty((_BLOCK, 256), np.uint32)
  table[-1] = byte
  for place in range(_BLOCK - 2, -1, -1):  # another zero byte behind it
    table[place] = byte[table[place + 1] & 0xFF] ^ table[place + 1] >> 8
  return table.ravel()


_BYTE = _byte_table()
_TABLE = _block_table(_BYTE)
_FIRST = np.arange(_BLOCK, dtype=np.int32) * 256
