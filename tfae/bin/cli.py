"""What all binaries share: how flags are read, and how a run ends.

Exit codes: 0 done; 1 a check failed; 2 a mistake of the user, told in one line; 3 a loss that is
not finite; 130 and 143 after SIGINT and SIGTERM.
"""

import logging
import os
import pathlib
import sys
import tempfile

from absl import app, flags
from absl import logging as absl_logging
import ml_collections
from ml_collections import config_flags

import tfae
from tfae.errors import InputError, nearest
from tfae.experiment import default_config, from_config

MISTAKE = 2


def run(main):
  """Reads the flags and exits with what `main()` returns; never returns."""
  # absl's logger is TensorFlow's too, and that one talks of every save.
  absl_logging.set_verbosity(absl_logging.WARNING)
  logging.getLogger("tfae").setLevel(logging.INFO)
  app.run(lambda _: sys.exit(_guarded(main)), flags_parser=_parse)


def import_tensorflow():
  """Imports TensorFlow without the lines that its C++ side prints whatever the log level is.

  They are shown if the import fails.
  """
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  sys.stderr.flush()
  stderr = os.dup(2)
  with tempfile.TemporaryFile() as said:
    os.dup2(said.fileno(), 2)
    try:
      import tensorflow  # pylint: disable=unused-import,import-outside-toplevel
    except BaseException:
      said.seek(0)
      os.write(stderr, said.read())
      raise
    finally:
      os.dup2(stderr, 2)
      os.close(stderr)


def _fail(message):
  print(f"error: {message}", file=sys.stderr)
  return MISTAKE


def _guarded(main):
  try:
    return main()
  except InputError as error:
    return _fail(error)
  except KeyboardInterrupt:
    return 130
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _parse(argv):
  argv = [argv[0], *_find_config(argv[1:])]
  try:
    rest = flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    known = [name for name in flags.FLAGS if len(name) > 1]
    sys.exit(_fail(f"unknown flag --{error.flagname}.{nearest(error.flagname, known)}"))
  except flags.Error as error:
    sys.exit(_fail(str(error).splitlines()[0]))
  except (AttributeError, KeyError) as error:
    sys.exit(_fail(_unknown_field(str(error).strip("\"'"), argv)))
  except Exception as error:  # pylint: disable=broad-exception-caught
    # The config file is the user's program: whatever it raises is for its author.
    sys.exit(_fail(f"--config: {type(error).__name__}: {str(error).splitlines()[0]}"))
  if len(rest) > 1:
    sys.exit(_fail(f"unexpected argument {rest[1]!r}. Flags are written --name=value."))
  return rest


def _find_config(argv):
  """Returns argv with --config=PATH; NAME.py is also found among the configs of the package."""
  argv = list(argv)
  for index, argument in enumerate(argv):
    name, equals, value = argument.partition("=")
    if name.lstrip("-") != "config" or not name.startswith("-"):
      continue
    if not equals and index + 1 < len(argv):
      value, argv[index + 1] = argv[index + 1], ""
    path = pathlib.Path(value.partition(":")[0])
    if value and not path.is_file():
      path = _packaged_configs() / path.name
      if not path.is_file():
        names = sorted(p.name for p in path.parent.glob("*.py"))
        sys.exit(_fail(f"--config={value}: no such file.{nearest(path.name, names)} Those of the "
                       f"package are {', '.join(names)}."))
      value = str(path)
    argv[index] = f"{name}={value}"
  return [argument for argument in argv if argument]


def _packaged_configs():
  """Returns the folder configs/: beside tfae in a checkout, inside of it in a wheel."""
  package = pathlib.Path(tfae.__file__).parent
  inside = package / "configs"
  return inside if inside.is_dir() else package.parent / "configs"


def _unknown_field(field, argv):
  prefix = "--config."
  given = [a.split("=")[0][len(prefix):] for a in argv if a.startswith(prefix)]
  known = []
  for name, value in default_config().items():
    known += [f"{name}.{inner}" for inner in value] if hasattr(value, "items") else [name]
  for name in given:
    if name not in known:
      return f"unknown config field {prefix}{name}.{nearest(name, known)}"
  return f"config: {field}"


def define_config():
  """Defines --config; returns the holder for `experiment`."""
  return config_flags.DEFINE_config_file("config", None, "The experiment: a file of configs/.",
                                         lock_config=True)


def experiment(holder):
  """Returns the Experiment that the flags describe."""
  if not flags.FLAGS["config"].present or holder.value is None:
    raise InputError("--config is missing. Example: --config=configs/quickstart.py")
  if not isinstance(holder.value, ml_collections.ConfigDict):
    raise InputError("--config: the file can't be loaded, for the reason above. Its get_config() "
                     "must return a tfae.default_config() that it has filled in.")
  return from_config(holder.value)


def required(name):
  """Returns the value of the flag `name`; InputError if it is missing."""
  value = flags.FLAGS[name].value
  if not value:
    raise InputError(f"--{name} is missing. Give a folder: --{name}=runs/NAME")
  return value
