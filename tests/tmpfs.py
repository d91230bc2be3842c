"""Small file systems that are really full, for tests; they need root."""

import contextlib
import os
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def mounted(folder, size):
  """Makes `folder` a file system of `size` bytes; skips the test where that is not allowed."""
  folder.mkdir(parents=True)
  if os.geteuid() or not shutil.which("mount"):
    pytest.skip("a full disk: mounting one needs root and mount")
  done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                        capture_output=True, text=True, check=False)
  if done.returncode:
    pytest.skip(f"a full disk: can't be mounted here: {done.stderr.strip()}")
  try:
    room = os.statvfs(folder)
    if room.f_blocks * room.f_frsize > 2**30:
      pytest.skip("a full disk: the size of a tmpfs is not heeded here")
    yield folder
  finally:
    # Lazily: a failed test may hold files open.
    subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder, size):
  """Gives a mounted folder `size` bytes; what it holds stays."""
  subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def fill(folder, left=0):
  """Takes all the room but `left` bytes with a file named filler, in whole pages."""
  filler = folder / "filler"
  with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
    while True:
      file.write(bytes(4096))
  if left:
    os.truncate(filler, filler.stat().st_size - left)
