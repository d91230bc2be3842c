"""Moving the labels of published versions, and retiring versions by their numbers.

Every change holds the lock that publishers hold, so changes happen one after the other. It writes
serving.json first, in one step, then what follows from it (`server_configs`): killed between the
two, the server's files are those of the change before, whose versions are all still there; the
same command, or any other change, brings them up to date.
"""

import dataclasses
import errno
import os
import pathlib

from tfae import files, labels, publish, server_configs
from tfae.errors import InputError, shown


@dataclasses.dataclass(frozen=True)
class Version:
  """A version of a folder: its number, the labels that name it, the bytes of all its files."""
  number: int
  labels: tuple
  bytes: int


def versions(export_dir):
  """Returns [Version], ascending; reads only.

  Raises InputError for a folder that can't be read and a damaged serving.json.
  """
  export_dir = pathlib.Path(export_dir)
  serving = labels.read(export_dir)
  named = serving.labels if serving else {}
  found = []
  for number, names in publish.versions(export_dir).items():
    size = sum(_bytes(path) for path in (export_dir / names[0]).rglob("*"))
    found.append(Version(number, tuple(key for key, v in named.items() if v == number), size))
  return found


def _bytes(path):
  try:
    return path.stat().st_size if path.is_file() else 0
  except FileNotFoundError:
    return 0  # retired meanwhile


def promote(export_dir, version):
  """Makes a version `stable`, and the stable one below it `previous`.

  `version` is a number or the label of one. Returns the labels.Serving. As all changes, raises
  InputError for a version that is not there, a label that is none, a folder or a disk that can't
  be written, and a label that names a version that somebody has removed.
  """
  return _change(export_dir, lambda serving, there: serving.promote(
      _number("promote", version, serving, there)))


def roll_back(export_dir):
  """Makes the version `stable` that was it before. Returns the labels.Serving."""
  return _change(export_dir, lambda serving, _: serving.roll_back())


def label(export_dir, name, version):
  """Gives a version the label `name`, which no other version has then; as `promote`."""
  return _change(export_dir, lambda serving, there: serving.mark(
      name, _number(f"label={name}:", version, serving, there)))


def unlabel(export_dir, name):
  """Takes the label `name` away. Returns the labels.Serving."""
  return _change(export_dir, lambda serving, _: serving.unmark(name))


def configure(export_dir, **settings):
  """Sets model_name, base_path or max_batch_size of the labels.Serving, and returns it.

  Until they are set, the model has the name of the folder, and the server sees the versions at
  /models/<model_name>, as in TensorFlow Serving's own container.
  """
  return _change(export_dir, lambda serving, _: serving.configured(**settings))


def retire(export_dir, version):
  """Removes one version, of which nothing is left but a forgotten number.

  Raises InputError for one that is stable or has a label, and for the newest: the next export
  would get its number, and a number never means another model.
  """
  retired = []

  def change(serving, there):
    number = _number("retire", version, serving, there)
    keeps = [key for key, v in serving.labels.items() if v == number and key != labels.PREVIOUS]
    if keeps:
      raise InputError(f"retire={version}: is {' and '.join(keeps)}. Move the label first.")
    if number == max(there):
      raise InputError(f"retire={version}: is the newest, and its number must not be given again. "
                       "Export another version first.")
    retired.extend(there[number])
    return serving.without([number])
  return _change(export_dir, change, then=lambda folder: [
      publish.remove(folder, name) for name in retired])


def _change(export_dir, change, then=None):
  """Applies change(Serving, {number: names}) and writes what it returns; then(export_dir)."""
  export_dir = pathlib.Path(export_dir)
  if not export_dir.is_dir():
    raise InputError(f"export_dir={str(export_dir)!r}: {os.strerror(errno.ENOENT)}; expected a "
                     "folder of versions, as export_saved_model.py makes it.")
  with files.writing(export_dir), publish.locked(export_dir):
    for path in export_dir.glob(f".{labels.FILE}.tmp-*"):
      path.unlink()  # its writer held the lock that is ours now
    there = publish.versions(export_dir)
    before = labels.read(export_dir)
    serving = before or labels.of_folder(export_dir)
    # A rollback returns to what is there.
    serving = change(serving.without({*serving.promoted[:-1]} - {*there}), there)
    _check_all_there(export_dir, serving, there)
    if serving != before:
      labels.write(export_dir, serving)
    server_configs.write(export_dir, serving)
    if then:
      then(export_dir)
  return serving


def _number(argument, version, serving, there):
  """Returns the number of `version`, a number or a label, that must be in the folder."""
  known = serving.labels
  text = str(version)
  number = known.get(text, int(text) if text.isascii() and text.isdecimal() else None)
  if number not in there:
    also = f" or a label of {', '.join(known)}" if known else ""
    raise InputError(f"{argument}{'' if argument.endswith(':') else '='}{shown(text)[1:-1]}: "
                     f"no such version. Expected one of {', '.join(map(str, there)) or 'none'}"
                     f"{also}.")
  return number


def _check_all_there(export_dir, serving, there):
  for name, version in serving.labels.items():
    if version not in there:
      way = ("--promote=VERSION or --roll_back" if name == labels.STABLE else f"--unlabel={name}")
      raise InputError(f"{export_dir}: the version {version} that {name} names is not there any "
                       f"more. Use {way} first.")
