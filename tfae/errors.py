"""The one error a user can cause, and the checks that raise it.

Pure Python: configs and flags are checked before TensorFlow is imported.
"""

import difflib
import math
import numbers
import struct

SMALLEST_FLOAT32 = 2.0**-126  # the smallest normal one: what lies below is flushed to zero
LARGEST_FLOAT32 = (2 - 2.0**-23) * 2.0**127
_SHOWN = 200  # characters of a value in a message


class InputError(ValueError):
  """Bad input: the message names the argument, its value, what is allowed and the way out.

  The binaries print it as one line and exit with code 2; any other exception is a fault of
  tfae and keeps its traceback.
  """


def shown(value):
  """Returns repr(value) on one line and of bounded length, whatever the value is."""
  try:
    text = repr(value)
  except Exception as error:  # pylint: disable=broad-exception-caught
    # Python does not print an integer of 4,301 digits, and a foreign __repr__ may do anything.
    return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"
  text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
  return text if len(text) <= _SHOWN else f"{text[:_SHOWN - 20]}...{text[-17:]}"


def nearest(word, candidates):
  """Returns " Did you mean 'x'?" for the closest of `candidates`, or ''."""
  close = difflib.get_close_matches(str(word)[:_SHOWN], [str(c) for c in candidates], n=1,
                                    cutoff=0.5)
  return f" Did you mean {close[0]!r}?" if close else ""


def check_choice(name, value, choices):
  """Returns `value` if it is one of `choices`; raises InputError with the nearest otherwise."""
  if not isinstance(value, str) or value not in choices:
    raise InputError(f"{name}={shown(value)}: expected one of {', '.join(map(repr, choices))}."
                     + (nearest(value, choices) if isinstance(value, str) else ""))
  return value


def check_bool(name, value):
  """Returns `value` if it is a bool; raises InputError otherwise."""
  if not isinstance(value, bool):
    raise InputError(f"{name}={shown(value)}: expected True or False.")
  return value


def check_string(name, value):
  """Returns `value` if it is a string that can be written to a file; InputError otherwise."""
  if not isinstance(value, str):
    raise InputError(f"{name}={shown(value)}: expected a string.")
  try:
    value.encode()
  except UnicodeEncodeError:
    raise InputError(f"{name}={shown(value)}: is not UTF-8.") from None
  return value


def check_int(name, value, minimum, maximum=2**31 - 1):
  """Returns int(value) if it is an integer in [minimum, maximum]; raises InputError otherwise."""
  if isinstance(value, bool) or not isinstance(value, numbers.Integral) \
      or not minimum <= value <= maximum:
    raise InputError(f"{name}={shown(value)}: expected an integer from {minimum} to {maximum}.")
  return int(value)


def check_number(name, value, minimum=-math.inf, maximum=math.inf, *, above=False, below=False):
  """Returns float(value) if it is finite and within the bounds; raises InputError otherwise.

  `above` excludes `minimum` itself, `below` excludes `maximum`.
  """
  bad = isinstance(value, bool) or not isinstance(value, numbers.Real) or not _is_finite(value)
  if not bad:
    bad = value <= minimum if above else value < minimum
    bad = bad or (value >= maximum if below else value > maximum)
  if bad:
    bounds = []
    if minimum > -math.inf:
      bounds.append(f"{'>' if above else '>='} {minimum:g}")
    if maximum < math.inf:
      bounds.append(f"{'<' if below else '<='} {maximum:g}")
    raise InputError(f"{name}={shown(value)}: expected a finite number"
                     + (f" {' and '.join(bounds)}." if bounds else "."))
  return float(value)


def check_float32(name, value, minimum=0.0, maximum=math.inf, *, above=False, below=False):
  """As `check_number`, for a number that float32 computes with: it must mean the same there.

  Refuses what float32 turns into infinity, a nonzero number that it flushes to zero, and, with
  `below`, one that it rounds up to `maximum`.
  """
  number = check_number(name, value, minimum, maximum, above=above, below=below)
  if number and not SMALLEST_FLOAT32 <= abs(number) <= LARGEST_FLOAT32:
    zero = "0, or " if minimum <= 0 and not above else ""
    raise InputError(f"{name}={shown(value)}: is {'zero' if abs(number) < 1 else 'infinite'} in "
                     f"float32. Use {zero}a number from {SMALLEST_FLOAT32:g} to "
                     f"{min(maximum, LARGEST_FLOAT32):g}.")
  if below and struct.unpack("f", struct.pack("f", number))[0] >= maximum:
    raise InputError(f"{name}={shown(value)}: is {maximum:g} in float32. Use at most 0.9999999.")
  return number


def set_fields(spec, **fields):
  """Sets fields of a frozen dataclass to what the checks made of them: NumPy's numbers, lists."""
  for name, value in fields.items():
    object.__setattr__(spec, name, value)


def _is_finite(value):
  try:
    return math.isfinite(value)
  except OverflowError:  # an integer beyond the largest float
    return False
