"""A run's folder: one writer at a time, and one identity for its whole life."""

import contextlib
import fcntl
import hashlib
import io
import json
import logging
import os
import pathlib
import time

import numpy as np

import tfae
from tfae import experiment as experiments
from tfae import files
from tfae.errors import InputError, check_int, check_number, shown

_LOG = logging.getLogger(__name__)
SCHEMA = 1  # of config.json
BUILT_BY_HAND = ("workdir={workdir!r}: was trained by tfae.fit, on a model built by hand. Build it "
                 "again in your program: tfae.fit resumes it, tfae.export publishes it.")
_LISTED = 5  # torn lines of metrics.jsonl that are named in a warning
EXAMPLES = 100  # test images kept in the folder, for the verification of exports


def check_name(workdir):
  """Raises InputError for a folder whose name can't be one, or in which no run could be resumed."""
  name = str(workdir)
  try:
    os.lstat(name)
  except (FileNotFoundError, NotADirectoryError, PermissionError):
    pass  # it is made later, or refused there
  except (OSError, ValueError) as error:  # too long; a loop; NUL; no Unicode
    reason = getattr(error, "strerror", None) or str(error)
    raise InputError(f"workdir={shown(name)}: can't be the name of a folder ({reason}). Choose "
                     "another.") from None
  try:
    name.encode()
  except UnicodeEncodeError:
    raise InputError(f"workdir={shown(name)}: is not UTF-8. Choose another name.") from None
  # TensorFlow reads the name of a checkpoint as a pattern: it would save, and never restore.
  found = [character for character in "*?[\\" if character in name]
  if found:
    raise InputError(f"workdir={shown(name)}: TensorFlow takes {' '.join(found)} for a pattern and "
                     "would not find its checkpoints again. Choose another name.")


@contextlib.contextmanager
def locked(workdir):
  """Makes the folder and holds it: two processes that train in one folder would destroy the run.

  The kernel releases the lock when the process dies, however it dies.

  Raises:
    InputError: another process trains there, or the folder can't be made.
  """
  check_name(workdir)
  path = pathlib.Path(workdir)
  try:
    path.mkdir(parents=True, exist_ok=True)
    file = open(path / "lock", "w", encoding="utf-8")
  except OSError as error:
    raise InputError(f"workdir={str(workdir)!r}: can't be written to ({error.strerror}). Choose "
                     "another folder.") from None
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      raise InputError(f"workdir={str(workdir)!r}: another process is training there. Wait for "
                       "it, or choose another folder.") from None
    # Before anything is written: what a killed writer left may be what fills the disk.
    for folder in (path, path / "checkpoints"):
      files.clear_stale(folder)
    yield path


def read_config(workdir):
  """Returns (Experiment, the whole of config.json as a dict).

  The Experiment is None for a run of `tfae.fit`, whose model was built by hand.

  Raises:
    InputError: no run there, a config.json that is damaged, or one of a newer tfae.
  """
  path = pathlib.Path(workdir) / "config.json"
  try:
    values = json.loads(path.read_text(encoding="utf-8"))
    schema, version = check_int("schema", values["schema"], 1), values["tfae"]
    if schema <= SCHEMA:
      # Runs of tfae before it had checksums have none.
      if values.get("checksum", _checksum(values)) != _checksum(values):
        raise ValueError("its content does not have its checksum; it is not meant to be edited")
      data = values["data"]
      check_number("data.max_value", data["max_value"], 0, above=True)
      for name, kind in (("sha256", str), ("image_shape", list)):
        if not isinstance(data[name], kind):
          raise TypeError(f"data.{name}={data[name]!r}")
      return (None if "fit" in values else experiments.from_json(values["experiment"])), values
  except (FileNotFoundError, NotADirectoryError):
    raise InputError(f"workdir={str(workdir)!r}: holds no run (no config.json). Train one: "
                     "tfae-train --config=... --workdir=...") from None
  except OSError as error:
    raise InputError(f"{path}: can't be read ({error.strerror}).") from None
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise InputError(f"{path}: damaged ({type(error).__name__}: {error}). Restore it from a copy, "
                     "or use another workdir.") from None
  raise InputError(f"{path}: schema {schema} was written by tfae {version}; this one (tfae "
                   f"{tfae.__version__}) reads up to {SCHEMA}. Upgrade tfae.")


def read_transfer(workdir):
  """Returns the record of `tfae.transfer` of the run in a folder; None if there is no run."""
  check_name(workdir)
  if not (pathlib.Path(workdir) / "config.json").exists():
    return None
  return read_config(workdir)[1].get("transfer", {})


def check_identity(workdir, kind, identity, data):
  """Returns whether the folder holds this run; False: it holds none.

  Args:
    workdir: the folder.
    kind: 'experiment' for `tfae.train`, 'fit' for `tfae.fit`.
    identity: what the run is, as JSON values; see `tfae.experiment.differences`.
    data: a `tfae.data.datasets.Dataset`.

  Raises:
    InputError: it holds another run; the message lists the fields that differ.
  """
  check_name(workdir)
  path = pathlib.Path(workdir)
  if not (path / "config.json").exists():
    strangers = [p.name for p in (path / "checkpoints").glob("ckpt-*.index")
                 if p.name != "ckpt-0.index"]
    if strangers:
      raise InputError(f"workdir={str(workdir)!r}: has checkpoints but no config.json. Restore it "
                       "from a copy, or use another workdir.")
    return False
  _, values = read_config(path)
  if kind not in values:
    raise InputError(f"workdir={str(workdir)!r}: holds a run of the other of tfae.train and "
                     "tfae.fit. Use another workdir.")
  differing = experiments.differences(values[kind], identity)
  if values["data"]["sha256"] != data.sha256:
    differing.append(f"data: sha256 {values['data']['sha256'][:12]}... -> {data.sha256[:12]}...")
  if differing:
    raise InputError(f"workdir={str(workdir)!r} holds another run. What differs: "
                     f"{'; '.join(differing)}. Use another workdir, or the values of the run.")
  return True


def check_data(workdir, data):
  """Raises InputError unless a `Dataset` is the one that the run in a folder was trained on."""
  trained_on = read_config(workdir)[1]["data"]["sha256"]
  if data.sha256 != trained_on:
    raise InputError(f"data: not those of the run in {workdir} (sha256 {data.sha256[:12]}..., the "
                     f"run had {trained_on[:12]}...). Name their folder with --data_dir.")


def write_examples(workdir, data):
  """Keeps a few test images, so that an export is verified where the data set is not."""
  buffer = io.BytesIO()
  np.save(buffer, data.test.images[:EXAMPLES])
  files.write(pathlib.Path(workdir) / "examples.npy", buffer.getvalue())


def read_examples(workdir):
  """Returns test images of the run, `[n, height, width, channels]` in the dataset's units."""
  path = pathlib.Path(workdir) / "examples.npy"
  try:
    return np.load(path)
  except (OSError, ValueError, EOFError) as error:
    raise InputError(f"{path}: can't be read ({error}). Run tfae-train on this workdir again: it "
                     "writes the file anew.") from None


def write_config(workdir, kind, identity, data, transfer=None):
  """Writes config.json: schema, version, what the run is, and what the data were.

  Args:
    workdir, kind, identity, data: as `check_identity`'s.
    transfer: the record of `tfae.transfer`, if weights were moved.
  """
  values = {
      "schema": SCHEMA,
      "tfae": tfae.__version__,
      kind: identity,
      "data": {"name": data.name, "sha256": data.sha256, "max_value": data.max_value,
               "image_shape": list(data.train.images.shape[1:]), "classes": data.classes,
               "train": len(data.train.images),
               "validation": 0 if data.validation is None else len(data.validation.images),
               "test": len(data.test.images)},
  }
  if data.class_names:
    values["data"]["class_names"] = list(data.class_names)
  if transfer:
    values["transfer"] = transfer
  values["checksum"] = _checksum(values)
  files.write(pathlib.Path(workdir) / "config.json", json.dumps(values, indent=2) + "\n")


def export_metadata(config):
  """Returns what the signature.json of an export says of the run's data, from its config.json."""
  data = config["data"]
  found = {"dataset": data["name"], "dataset_sha256": data["sha256"]}
  return {**found, "class_names": data["class_names"]} if "class_names" in data else found


def _checksum(values):
  """Returns the sha256 of config.json's values: a changed digit is still JSON, and another model.
  """
  rest = {name: value for name, value in values.items() if name != "checksum"}
  return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def add_line(workdir, kind, step, epoch, values, seconds):
  """Adds a line to the metrics.jsonl of a run that is not in training; whole, or not at all.

  A resumed run keeps it as those of its own, but for kind 'test', if it has taken that many steps.

  Args:
    workdir: the run's folder.
    kind, step, epoch: str, int, int, as `tfae.metrics.MetricsLog` has them.
    values: {name: number or text}.
    seconds: how long it took to find them.

  Raises:
    InputError: the run is in training, or the file can't be read or written.
  """
  line = {"kind": kind, "step": step, "epoch": epoch, **values,
          "timing": {"time": time.time(), "seconds": seconds}}
  # A training that began meanwhile would write a file of its own over this one.
  with locked(workdir) as path:
    content = _metrics_content(path)
    if content and not content.endswith(b"\n"):
      content += b"\n"  # a kill tore the last line: it is not to be glued to this one
    files.write(path / "metrics.jsonl", content + json.dumps(line).encode() + b"\n")


def read_metrics(workdir):
  """Returns the whole lines of a run's metrics.jsonl as dicts; [] if there is no file.

  Raises:
    InputError: it can't be read.
  """
  path = pathlib.Path(workdir) / "metrics.jsonl"
  lines, torn = [], []
  for number, text in enumerate(_metrics_content(workdir).split(b"\n")):
    try:
      line = json.loads(text)
      lines.append({**line, "step": int(line["step"]), "kind": str(line["kind"])})
    except (ValueError, KeyError, TypeError, OverflowError):
      if text:
        torn.append(number + 1)
  if torn:
    _LOG.warning("%s: %s %s%s no whole metrics line; left out.", path,
                 "lines" if len(torn) > 1 else "line", ", ".join(map(str, torn[:_LISTED])),
                 f" and {len(torn) - _LISTED} more are" if len(torn) > _LISTED else
                 " are" if len(torn) > 1 else " is")
  return lines


def _metrics_content(workdir):
  path = pathlib.Path(workdir) / "metrics.jsonl"
  try:
    return path.read_bytes() if path.exists() else b""
  except OSError as error:
    raise InputError(f"{path}: can't be read ({error.strerror}). Move it away: the run goes on "
                     "without the lines that it held.") from None
