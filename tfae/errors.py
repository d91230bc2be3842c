"""The one error a user can cause, and the checks that raise it.

Pure Python: configs and flags are checked before TensorFlow is imported.
"""

import difflib
import math
import numbers


class InputError(ValueError):
  """Bad input: the message names the argument, its value, what is allowed and the way out.

  The binaries print it as one line and exit with code 2; any other exception is a fault of
  tfae and keeps its traceback.
  """


def nearest(word, candidates):
  """Returns " Did you mean 'x'?" for the closest of `candidates`, or ''."""
  close = difflib.get_close_matches(str(word), [str(c) for c in candidates], n=1, cutoff=0.5)
  return f" Did you mean {close[0]!r}?" if close else ""


def check_choice(name, value, choices):
  """Returns `value` if it is one of `choices`; raises InputError with the nearest otherwise."""
  if not isinstance(value, str) or value not in choices:
    raise InputError(f"{name}={value!r}: expected one of {', '.join(map(repr, choices))}."
                     + nearest(value, choices))
  return value


def check_bool(name, value):
  """Returns `value` if it is a bool; raises InputError otherwise."""
  if not isinstance(value, bool):
    raise InputError(f"{name}={value!r}: expected True or False.")
  return value


def check_int(name, value, minimum, maximum=2**31 - 1):
  """Returns int(value) if it is an integer in [minimum, maximum]; raises InputError otherwise."""
  if isinstance(value, bool) or not isinstance(value, numbers.Integral) \
      or not minimum <= value <= maximum:
    raise InputError(f"{name}={value!r}: expected an integer from {minimum} to {maximum}.")
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
    raise InputError(f"{name}={value!r}: expected a finite number"
                     + (f" {' and '.join(bounds)}." if bounds else "."))
  return float(value)


def _is_finite(value):
  try:
    return math.isfinite(value)
  except OverflowError:  # an integer beyond the largest float
    return False
