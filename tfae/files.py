"""Files that are whole or not there."""

import os
import pathlib


def sync(path):
  """Makes a file's bytes, or a folder's entries, survive a power cut."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def write(path, content):
  """Writes bytes or text under a temporary name, syncs, and renames: all of it or nothing."""
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
  try:
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    sync(temporary)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)
  sync(path.parent)
