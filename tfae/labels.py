"""Which versions of an export folder serve, under which labels: one file, serving.json.

It is renamed into its place, so that a reader finds it whole, and it is the only truth: what
TensorFlow Serving reads (`server_configs`) is made from it. Without it the highest version serves.
"""

import dataclasses
import json
import pathlib
import re
from typing import Mapping, Optional, Tuple

from tfae import files
from tfae.errors import InputError, check_int, check_string, shown

FILE = "serving.json"
STABLE, PREVIOUS = "stable", "previous"
SCHEMA_VERSION = 1
MAX_BATCH = 32  # examples of the largest batch that a server makes, and that warms it up
HIGHEST = 2**63 - 1  # a version is an int64 to TensorFlow Serving

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}")


@dataclasses.dataclass(frozen=True)
class Serving:
  """What serving.json holds.

  Attributes:
    model_name: what clients call the model.
    base_path: folder of the versions as the server sees it; "" for /models/<model_name>, where
      TensorFlow Serving's own container looks.
    max_batch_size: examples of the largest batch that the server may make of waiting requests.
    promoted: versions that were stable, ascending; the last one is, the one before is what a
      rollback returns to.
    marked: {label: version} of the labels that a user gave.
  """
  model_name: str
  base_path: str = ""
  max_batch_size: int = MAX_BATCH
  promoted: Tuple[int, ...] = ()
  marked: Mapping[str, int] = dataclasses.field(default_factory=dict)

  def __post_init__(self):
    if not isinstance(self.model_name, str) or not _MODEL.fullmatch(self.model_name):
      raise InputError(f"model_name={shown(self.model_name)}: expected letters, digits and _.-, as "
                       "it is part of a URL. Example: --model_name=digits")
    check_string("base_path", self.base_path)
    absolute = self.server_path.startswith("/") or "://" in self.server_path
    if not absolute or not self.base_path.isprintable() or set(self.base_path) & set('"\\'):
      raise InputError(f"base_path={shown(self.base_path)}: expected an absolute path without \" "
                       "and \\, as the server sees it. Example: --base_path=/models/digits")
    check_int("max_batch_size", self.max_batch_size, 1)
    for version in (*self.promoted, *self.marked.values()):
      check_int("version", version, 0, HIGHEST)
    if list(self.promoted) != sorted(set(self.promoted)):
      raise InputError(f"promoted={shown(self.promoted)}: expected ascending versions.")
    for label in self.marked:
      check_label(label)

  @property
  def server_path(self):
    return self.base_path or f"/models/{self.model_name}"

  @property
  def stable(self) -> Optional[int]:
    return self.promoted[-1] if self.promoted else None

  @property
  def labels(self):
    """{label: version} of all labels, `stable` and `previous` among them, sorted."""
    derived = dict(zip((STABLE, PREVIOUS), self.promoted[:-3:-1]))
    return dict(sorted({**self.marked, **derived}.items()))

  def promote(self, version):
    """`version` is stable.

    Whatever was stable above it is forgotten: loaded beside it, it would get the requests that
    name no label, as a server gives them its highest version.
    """
    return dataclasses.replace(
        self, promoted=(*(v for v in self.promoted if v < version), version))

  def roll_back(self):
    """The version that was stable before is it again; InputError if there was none."""
    if len(self.promoted) < 2:
      stable = "no version is stable" if self.stable is None else (
          f"no lower version was stable before {self.stable}")
      raise InputError(f"roll_back: {stable}. Name one: --promote=VERSION")
    return self.promote(self.promoted[-2])

  def mark(self, label, version):
    """`label` names `version`."""
    return dataclasses.replace(self, marked={**self.marked, check_label(label): version})

  def unmark(self, label):
    """`label` names nothing; InputError if it did not name anything."""
    if check_label(label) not in self.marked:
      raise InputError(f"unlabel={label!r}: no version has this label. Given are: "
                       f"{', '.join(sorted(self.marked)) or 'none'}.")
    return dataclasses.replace(
        self, marked={key: v for key, v in self.marked.items() if key != label})

  def configured(self, **settings):
    """The same labels with another model_name, base_path or max_batch_size."""
    return dataclasses.replace(self, **settings)

  def without(self, gone):
    """What was promoted of the versions `gone` is forgotten."""
    return dataclasses.replace(self, promoted=tuple(v for v in self.promoted if v not in gone))


def of_folder(export_dir):
  """Returns the Serving of a folder without serving.json: the folder's name, and no labels."""
  name = re.sub(r"[^A-Za-z0-9_.-]+", "_", pathlib.Path(export_dir).resolve().name)
  return Serving(name.lstrip("_.-")[:127] or "model")


def check_label(label):
  """Returns `label` if a user may give and take it; raises InputError otherwise."""
  if label in (STABLE, PREVIOUS):
    raise InputError(f"label={label!r}: is moved by --promote=VERSION and --roll_back only.")
  if not isinstance(label, str) or not _LABEL.fullmatch(label):
    raise InputError(f"label={shown(label)}: expected a small letter, then small letters, digits, "
                     "_ and -, at most 63. Example: --label=canary:4")
  return label


def read(export_dir):
  """Returns the Serving of a folder of versions, or None if it has no serving.json.

  Raises InputError if the file can't be read or is damaged.
  """
  path = pathlib.Path(export_dir) / FILE
  try:
    found = json.loads(path.read_bytes())
  except FileNotFoundError:
    return None
  except OSError as error:
    raise InputError(f"{path}: can't be read ({error.strerror}). Make it readable.") from error
  except ValueError as error:
    raise _damaged(path, error) from error
  try:
    if found["schema_version"] != SCHEMA_VERSION:
      raise InputError(f"schema_version={shown(found['schema_version'])}: expected "
                       f"{SCHEMA_VERSION}")
    serving = Serving(found["model_name"], found["base_path"], found["max_batch_size"],
                      tuple(found["promoted"]), dict(found["marked"]))
    if found["labels"] != serving.labels:
      raise InputError(f"labels={shown(found['labels'])}: expected {serving.labels}, which follows "
                       "from promoted and marked")
    return serving
  except (KeyError, TypeError, ValueError) as error:
    raise _damaged(path, error) from error


def _damaged(path, error):
  what = f"{error}" if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
  return InputError(f"{path}: damaged ({what}). Put back a copy, or remove it and give the labels "
                    "again.")


def write(export_dir, serving):
  """Writes serving.json: all of it or nothing.

  `labels` is for readers; it follows from `promoted` and `marked`. Raises InputError if the disk
  is full or the folder can't be written.
  """
  content = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(serving),
             "labels": serving.labels}
  files.write(pathlib.Path(export_dir) / FILE,
              json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
