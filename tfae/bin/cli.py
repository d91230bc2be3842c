"""What all binaries share: how flags are read, and how a run ends.

Exit codes: 0 done; 1 a check failed; 2 a mistake of the user, or a file that can't be read
or written, told in one line; 3 a loss that is not finite; 4 another worker of the run is gone;
130 and 143 after SIGINT and SIGTERM.
"""

import logging
import os
import pathlib
import re
import signal
import sys
import tempfile
import traceback

from absl import app, flags
from absl import logging as absl_logging
import ml_collections
from ml_collections import config_flags

from tfae import images, inspection
from tfae import workdir as workdirs
from tfae.bin import interrupt, lean
from tfae.errors import InputError, nearest
from tfae.experiment import default_config, from_config
from tfae.specs.systems import configs_folder

MISTAKE = 2


def run(main, positional=False):
  """Reads the flags and exits with what `main()` returns; never returns.

  With `positional` there may be arguments that are no flags, and `main` takes their list.
  """
  interrupt.release()
  # absl's logger is TensorFlow's too, and that one talks of every save.
  absl_logging.set_verbosity(absl_logging.WARNING)
  logging.getLogger("tfae").setLevel(logging.INFO)
  try:
    app.run(lambda argv: sys.exit(_guarded(lambda: main(argv[1:]) if positional else main())),
            flags_parser=lambda argv: _parse(argv, main, positional))
  except KeyboardInterrupt:
    print(f"stopped by signal {int(signal.SIGINT)}.", file=sys.stderr)
    sys.exit(interrupt.EXIT_CODE)


def import_tensorflow():
  """Imports TensorFlow without the lines that its C++ side prints whatever the log level is.

  They are shown if the import fails. Ctrl-C ends the process, in one line.
  """
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  sys.stderr.flush()
  stderr = os.dup(2)
  with tempfile.TemporaryFile() as said:
    os.dup2(said.fileno(), 2)
    try:
      with interrupt.held(stderr), lean.importing():
        import tensorflow  # pylint: disable=unused-import,import-outside-toplevel
    except BaseException:
      said.seek(0)
      os.write(stderr, said.read())
      raise
    finally:
      os.dup2(stderr, 2)
      os.close(stderr)


def _fail(message):
  print("error:", " ".join(str(message).split()), file=sys.stderr)
  return MISTAKE


def _guarded(main):
  try:
    return main()
  except InputError as error:
    return _fail(error)
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
  except OSError as error:
    return _fail(f"{type(error).__name__}: {error}")


def _help(main):
  """Prints what the binary is for and its own flags; those of absl are many (--helpfull)."""
  # absl files the flags of the program itself under its path.
  module = sys.argv[0] if main.__module__ == "__main__" else main.__module__
  print(sys.modules[main.__module__].__doc__)
  for flag in [*flags.FLAGS.get_flags_for_module(__name__),
               *flags.FLAGS.get_flags_for_module(module)]:
    default = "" if flag.default in (None, "", []) else f" Default: {flag.default}."
    print(f"  --{flag.name}: {flag.help}{default}")


def _parse(argv, main, positional):
  if {"--help", "-help", "-h"} & set(argv[1:]):
    _help(main)
    sys.exit(0)
  argv = [argv[0], *_find_config(argv[1:])]
  config = next((a.partition("=")[2] for a in reversed(argv)
                 if a.startswith(("-config=", "--config="))), "")
  logging.disable(logging.WARNING)  # ml_collections warns of what is refused here
  try:
    rest = flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    known = [name for name in flags.FLAGS if len(name) > 1]
    sys.exit(_fail(f"unknown flag --{error.flagname}.{nearest(error.flagname, known)}"))
  except flags.Error as error:
    if "Error whilst parsing config file" in str(error):
      # ml_collections, then absl, wrapped what the file raised.
      sys.exit(_fail(_of_config_file(error.__context__.__context__, config)))
    sys.exit(_fail(str(error).splitlines()[0]))
  except (AttributeError, KeyError) as error:
    sys.exit(_fail(_unknown_field(argv) or _of_config_file(error, config)))
  except Exception as error:  # pylint: disable=broad-exception-caught
    # The config file is the user's program: whatever it raises is for its author.
    sys.exit(_fail(_of_config_file(error, config)))
  finally:
    logging.disable(logging.NOTSET)
  if len(rest) > 1 and not positional:
    sys.exit(_fail(f"unexpected argument {rest[1]!r}. Flags are written --name=value."))
  return rest


def _find_config(argv):
  """Returns argv with --config=PATH; NAME.py is also found among the configs of the package."""
  result, rest = [], iter(argv)
  for argument in rest:
    name, equals, value = argument.partition("=")
    if name not in ("-config", "--config"):
      result.append(argument)
      continue
    if not equals:
      value = next(rest, "")
    if not value:
      sys.exit(_fail("--config is empty. Example: --config=configs/quickstart.py"))
    path = pathlib.Path(value.partition(":")[0])
    if not path.is_file():
      packaged = configs_folder() / path.name
      if str(path) != path.name or not packaged.is_file():
        names = sorted(p.name for p in packaged.parent.glob("*.py"))
        sys.exit(_fail(f"--config={value}: no such file.{nearest(path.name, names)} Those of the "
                       f"package, in {packaged.parent}, are found by their name alone."))
      value = value.replace(path.name, str(packaged), 1)
    result.append(f"{name}={value}")
  return result


def _of_config_file(error, config):
  """Returns what a config file raised, in which of its lines, and with which argument.

  `config` is the value of --config: PATH, or PATH:ARGUMENT.
  """
  # A KeyError's str is the repr of its message, and a locked ConfigDict wraps one that lists
  # every field between the unknown one and the nearest.
  said = error.args[0] if error.args and isinstance(error.args[0], KeyError) else error
  text = str(said.args[0] if isinstance(said, KeyError) and said.args else said)
  text = re.sub(r" Other fields present: .*?(?=\nDid you mean |\Z)", "", text, flags=re.DOTALL)
  lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
           if frame.name in ("get_config", "<module>")]
  where = f", line {lines[-1]}" if lines else ""
  kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
  path, colon, argument = config.partition(":")
  # What an int() says of it does not name it.
  hint = (f" The config's argument is {argument!r}: its docstring says what it may be. Or leave it "
          "out." if colon else "")
  return f"--config={pathlib.Path(path).name}{colon}{argument}{where}: {kind}{text}{hint}"


def _unknown_field(argv):
  """Returns the message for a --config.FIELD that does not exist, or None."""
  prefix = "--config."
  given = [a.split("=")[0][len(prefix):] for a in argv if a.startswith(prefix)]
  known = []
  for name, value in default_config().items():
    known += [f"{name}.{inner}" for inner in value] if hasattr(value, "items") else [name]
  for name in given:
    if name not in known:
      return f"unknown config field {prefix}{name}.{nearest(name, known)}"
  return None


def define_config():
  """Defines --config; returns the holder for `experiment`."""
  return config_flags.DEFINE_config_file("config", None, "The experiment: a file of configs/.",
                                         lock_config=True)


def experiment(holder, init_from=None):
  """Returns the Experiment that the flags describe; `init_from`: that of its transfer too."""
  if not flags.FLAGS["config"].present:
    raise InputError("--config is missing. Example: --config=configs/quickstart.py")
  if not isinstance(holder.value, ml_collections.ConfigDict):
    # ml_collections puts an OSError of the file aside until the config is looked at.
    error = getattr(holder.value, "__dict__", {}).get("_error")
    if error:
      raise InputError(_of_config_file(
          error, config_flags.get_config_filename(flags.FLAGS["config"])))
    raise InputError(f"--config: get_config() returned a {type(holder.value).__name__}; it must "
                     "return a tfae.default_config() that it has filled in.")
  if init_from:
    transfer = holder.value.transfer
    if transfer.init_from not in ("", init_from):
      raise InputError(f"--init_from={init_from}: the config has transfer.init_from="
                       f"{transfer.init_from!r}. Give one of the two.")
    transfer.init_from = init_from
  return from_config(holder.value)


def run_of(workdir):
  """Returns (Experiment, config.json as a dict) of the run of `tfae.train` in a folder."""
  found, config = workdirs.read_config(workdir)
  if found is None:
    raise InputError(workdirs.BUILT_BY_HAND.format(workdir=str(workdir)))
  return found, config


def required(name):
  """Returns the value of the flag `name`; InputError if it is missing."""
  value = flags.FLAGS[name].value
  if not value or value.startswith("-"):  # absl takes the next flag for a forgotten value
    raise InputError(f"--{name} is missing. Give a folder: --{name}=runs/NAME")
  return value


def html_file(path):
  """Returns the value of --out as a Path; InputError if no .html file can be written there."""
  path = pathlib.Path(path)
  if path.suffix.lower() not in (".html", ".htm"):
    raise InputError(f"--out={path}: expected a file that ends in .html, such as "
                     "--out=report.html")
  if path.is_dir() or not path.parent.is_dir():
    raise InputError(f"--out={path}: " + ("is a folder. Name a file." if path.is_dir() else
                     f"there is no folder {path.parent}. Make it, or choose another."))
  return path


def define_subject():
  """Defines the flags of a program that looks at a run's model or an export, and at image files."""
  flags.DEFINE_string("workdir", None, "Folder of a run.")
  flags.DEFINE_string("saved_model", None, "Folder of an exported model.")
  flags.DEFINE_string("checkpoint", "latest", "Of a run: latest, best or a step.")
  flags.DEFINE_bool("resize", False, "Bring an image of another size to the model's.")
  flags.DEFINE_bool("invert", False, "Turn bright into dark in the image.")


def subject(device="/CPU:0"):
  """Returns the `inspection.Run` or `inspection.Export` that the flags name."""
  args = flags.FLAGS
  if bool(args.workdir) == bool(args.saved_model):
    raise InputError("give one of --workdir=RUN and --saved_model=EXPORT.")
  if args.workdir:
    return inspection.Run(required("workdir"), args.checkpoint, device)
  if args["checkpoint"].present:
    raise InputError("--checkpoint: an exported model has one only. Leave it out.")
  return inspection.Export(required("saved_model"))


def wanted(subject_):
  """Returns the `images.Wanted` of a subject; InputError if it takes no images of known range."""
  if subject_.wanted is None:
    raise InputError(f"{subject_.path}: signature.json has no input 'images' [batch, height, "
                     "width, channels] with a value range, so image files mean nothing to it.")
  return subject_.wanted


def read_images(paths, wanted_):
  """Returns [(images, notes)] of `tfae.images.read` with the flags of `define_subject`.

  Imports TensorFlow only where reading needs it, and not before all that can be is checked.
  """
  args = flags.FLAGS
  for path in paths:
    images.check(path, wanted_, resize=args.resize)
  if wanted_.from_files:
    import_tensorflow()
  return [images.read(path, wanted_, resize=args.resize, invert=args.invert) for path in paths]


def say_notes(path, notes):
  """Prints on stderr what was done to an image, or looks wrong with it."""
  for note in notes:
    print(f"{path}: {note}", file=sys.stderr)
