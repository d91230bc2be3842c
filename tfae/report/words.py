"""Numbers, times and sizes as they are read."""

import datetime
import pathlib
import shlex

from tfae.report.markup import tag

_PROGRAM = "tfae-train"


def number(value):
  """Returns a number of a metric as text: six significant digits, integers whole."""
  if isinstance(value, int) or (isinstance(value, float) and value.is_integer()
                                and abs(value) < 1e15):
    return f"{int(value):,}"
  return f"{value:.6g}"


def exact(value):
  """Returns Markup of a number that carries all of its digits; '-' for None."""
  return "-" if value is None else tag("data", number(value), value=repr(value))


def size(count):
  """Returns a number of bytes with its unit."""
  for unit in ("bytes", "KB", "MB"):
    if count < 1000:
      return f"{count:,} bytes" if unit == "bytes" else f"{count:.3g} {unit}"
    count /= 1000
  return f"{count:,.3g} GB"


def duration(seconds):
  """Returns seconds in the units that suit them; '-' for None."""
  if seconds is None:
    return "-"
  if seconds < 120:
    return f"{seconds:.3g} s"
  minutes, rest = divmod(round(seconds), 60)
  return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def moment(seconds):
  """Returns a time since 1970 as a date and time of day, UTC."""
  return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
      "%Y-%m-%d %H:%M:%S UTC")


def shape(sizes):
  """Returns (28, 28, 1) as '28 x 28 x 1'."""
  return " x ".join(map(str, sizes))


def metric(name):
  """Returns a metric's name in words."""
  return name.replace("_", " ")


def command(argv):
  """Returns the command line of sys.argv, and whether it is that of tfae-train."""
  path = pathlib.PurePath(argv[0])
  ours = path.name == _PROGRAM or path.parts[-3:] == ("tfae", "bin", "train.py")
  return shlex.join([_PROGRAM if ours else argv[0], *argv[1:]]), ours
