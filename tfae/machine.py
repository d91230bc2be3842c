"""What this machine has: asked before anything is begun that could never fit."""

import os
import pathlib

# Where the kernel says how much this process group may take, cgroup v2 and v1.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes():
  """Returns the bytes of memory that this machine, or this container of it, has."""
  found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
  for path in _LIMITS:
    try:
      found.append(int(pathlib.Path(path).read_text(encoding="ascii")))
    except (OSError, ValueError):
      pass  # no such limit here, or "max"
  return min(found)
