"""What this machine has: asked before what could never fit is begun, and said with results."""

import json
import os
import pathlib
import platform
import subprocess
import sys

# Of the CPU's features those that decide how fast a model is.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
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


def kind():
  """Returns the kind of machine in words: cores, architecture, model, vector units."""
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:
    text = ""
  fields = dict(map(str.strip, line.split(":", 1)) for line in text.splitlines() if ":" in line)
  cores = len(os.sched_getaffinity(0))
  features = [name for name in _FEATURES if name in fields.get("flags", "").split()]
  return ", ".join(filter(None, [
      f"{cores} {'core' if cores == 1 else 'cores'}", platform.machine(), fields.get("model name"),
      " ".join(features)]))


def commit(folder):
  """Returns the git commit of a folder, 'with changes' where files differ from it; None: no git."""
  def git(*words):
    return subprocess.run(["git", *words], cwd=folder, text=True, capture_output=True,
                          check=False).stdout.strip()
  try:
    found = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
  except OSError:  # no git on this machine
    return None
  return f"{found} with changes" if found and changed else found or None


# A process of its own: the one that asks may live for hours, and has no other use for TensorFlow.
_ASK_TENSORFLOW = """
import json
import numpy
import tensorflow as tf
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")]
print(json.dumps({"tensorflow": tf.__version__, "numpy": numpy.__version__, "gpus": gpus}))
"""


def made_on(folder):
  """Returns what results depend on beside their config, as {name: words}.

  'commit' (of the repository that holds `folder`; 'no git' if none), 'versions' (of python,
  tensorflow and numpy), 'machine' (`kind` and the GPUs that TensorFlow sees).

  Raises:
    RuntimeError: TensorFlow can't be imported.
  """
  done = subprocess.run([sys.executable, "-c", _ASK_TENSORFLOW], text=True, capture_output=True,
                        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, check=False)
  if done.returncode:
    raise RuntimeError(f"TensorFlow can't be imported: {done.stderr.strip()}")
  found = json.loads(done.stdout.splitlines()[-1])
  return {"commit": commit(folder) or "no git",
          "versions": f"python {platform.python_version()}, tensorflow {found['tensorflow']}, "
                      f"numpy {found['numpy']}",
          "machine": f"{kind()}, {' and '.join(found['gpus']) or 'no GPU'}"}
