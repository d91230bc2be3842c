"""A folder that is whole or not there, and the signature.json in it."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil

SIGNATURE_FILE = "signature.json"
SCHEMA_VERSION = 1
_TEMPORARY = re.compile(r"\.tmp-[0-9]+-[0-9a-f]{8}")


@contextlib.contextmanager
def whole(path):
  """Yields a new folder beside `path` that gets this name, on the disk, when the block ends well.

  If the block raises, nothing is left. What a killed process left is removed here, once nobody
  holds its lock. Raises FileExistsError or OSError if `path` is there by then.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  _clear_stale(path.parent)
  folder = path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
  folder.mkdir()
  owner = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(owner, fcntl.LOCK_EX)
    yield folder
    for child, _, names in os.walk(folder):
      for name in names:
        _sync(os.path.join(child, name))
      _sync(child)
    try:
      os.rename(folder, path)
    except OSError as error:
      if not path.exists():
        raise
      raise FileExistsError(f"{path}: another process has written it meanwhile; it is left as it "
                            "is.") from error
    _sync(path.parent)
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise
  finally:
    os.close(owner)


def write_signatures(folder, target, description, entries, versions):
  """Writes signature.json: the SavedModel's, with the file and tensor names of `entries`.

  A signature whose entry is a string is listed under `left_out` with it.
  """
  signatures = {}
  for key, entry in entries.items():
    if isinstance(entry, str):
      continue
    source = description["signatures"][key]
    fixed = {"batch": entry["batch"]} if "batch" in entry else {}
    signatures[key] = {"file": entry["file"], **fixed, **{
        side: {name: {**info, "tensor": entry[side][name]} for name, info in source[side].items()}
        for side in ("inputs", "outputs")}}
  text = json.dumps({
      "schema_version": SCHEMA_VERSION,
      "format": target,
      "converted_from_sha256": description["saved_model_sha256"],
      "converted_by": versions,
      "files_sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                       for path in sorted(folder.iterdir())},
      "tolerance": description.get("tolerance", 1e-5),
      "metadata": description.get("metadata", {}),
      "left_out": {key: entry for key, entry in entries.items() if isinstance(entry, str)},
      "signatures": signatures}, indent=2, sort_keys=True)
  (folder / SIGNATURE_FILE).write_text(text + "\n", encoding="utf-8")


def left_out(folder):
  """Returns {signature: why the converted model in a folder lacks it}."""
  return json.loads((folder / SIGNATURE_FILE).read_text(encoding="utf-8"))["left_out"]


def size(path):
  """Returns the bytes of the model in a folder: all files but those that only describe it."""
  return sum(file.stat().st_size for file in pathlib.Path(path).iterdir()
             if file.is_file() and file.name not in (SIGNATURE_FILE, "fingerprint.pb"))


def _clear_stale(parent):
  for path in parent.iterdir():
    if not _TEMPORARY.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
      continue
    descriptor = os.open(path, os.O_RDONLY)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
      shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
      pass  # its owner lives
    finally:
      os.close(descriptor)


def _sync(path):
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
