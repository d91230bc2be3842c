"""Publishers that are killed beside a reader, as a program, and what has to be true of a folder.

    publishers.py EXPORT_DIR ROWS KEEP

A line in is a JSON list of publishers that run at once, [{"index": 7, "line": 31}]: one with a
"line" is killed there, one with "seconds" after these. Meanwhile a reader loads what is newest, and
each new version before the answer. TensorFlow is imported once: all of them are forks, which is
safe before the first op.
"""

import hashlib
import json
import os
import pathlib
import select
import signal
import shutil
import sys
import time
import traceback

import numpy as np
import tensorflow as tf

from tfae import graph, publish, saved_model

COLUMNS = 3600
# Whoever dies does so at a line of these.
TRACED = tuple(str(pathlib.Path(module.__file__)) for module in (publish, saved_model, shutil))


def weights(rows):
  """Every row another; `[rows, COLUMNS]`, float32."""
  return np.arange(rows, dtype=np.float32)[:, None] + np.arange(COLUMNS, dtype=np.float32) / 8192


def frozen(rows):
  """A graph of which run(x) = x @ weights + index, made without running an op."""
  with tf.Graph().as_default() as made:
    x = tf.compat.v1.placeholder(tf.float32, [None, rows], "x")
    y = tf.matmul(x, tf.constant(weights(rows), name="weights"))
    tf.add(y, tf.constant([0.0], name="index"), name="run/y")
  info = lambda name, size: graph.TensorInfo(name, tf.float32, (None, size), "numbers")
  return graph.Frozen(made.as_graph_def(), {"run": {"x": info("x:0", rows)}},
                      {"run": {"y": info("run/y:0", COLUMNS)}})


def publish_one(export_dir, made, built, index, keep):
  """Publishes the model with the code of every export.

  Only the verification is a quick one, and the message `built` is there before.
  """
  node, = (n for n in built.meta_graphs[0].graph_def.node if n.name == "index")
  node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([float(index)]))
  saved_model._saved_model = lambda _: built

  def verify(folder):
    described = json.loads((folder / "signature.json").read_text())
    digest = hashlib.sha256((folder / "saved_model.pb").read_bytes()).hexdigest()
    assert digest == described["saved_model_sha256"]

  publish.publish(export_dir, lambda folder: saved_model.write(folder, made, {"index": index}),
                  verify, keep)


def traced(limit, run, lines_to=None):
  """Calls run() and kills this process at line `limit` of TRACED, or says how many there were."""
  lines = 0

  def local(_, event, __):
    nonlocal lines
    if event == "line":
      lines += 1
      if lines == limit:
        os.kill(os.getpid(), signal.SIGKILL)
    return local

  sys.settrace(lambda frame, *_: local if frame.f_code.co_filename in TRACED else None)
  try:
    run()
  finally:
    sys.settrace(None)
    if lines_to:
      pathlib.Path(lines_to).write_text(str(lines))


def fork(run):
  """Calls run() in a new process; returns its pid."""
  pid = os.fork()
  if pid:
    return pid
  try:
    run()
    os._exit(0)
  except BaseException:  # pylint: disable=broad-exception-caught
    traceback.print_exc()
    sys.stderr.flush()
  finally:
    os._exit(1)


def wait(pid, seconds):
  """Waits for a process, kills it after `seconds` (None: never); returns its exit code."""
  descriptor = os.pidfd_open(pid)
  if not select.select([descriptor], [], [], seconds)[0]:
    os.kill(pid, signal.SIGKILL)
  os.close(descriptor)
  return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def load(path, expected, run):
  """Loads a version, on request runs it and compares all that it says; returns its index."""
  served = tf.saved_model.load(str(path)).signatures["run"]
  index = json.loads((path / "signature.json").read_text())["metadata"]["index"]
  if not run:
    return index
  row = index * 17 % len(expected)
  found = served(x=tf.one_hot([row], len(expected)))["y"].numpy()
  np.testing.assert_array_equal(found, expected[row:row + 1] + np.float32(index))
  return index


def read(export_dir, rows, sink):
  """Loads and runs each new version, then loads the newest, for ever; a line of JSON a load."""
  # Optimizing 50 MB of constants takes longer than all the rest.
  tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
  expected, seen = weights(rows), set()
  while True:
    listed, *_ = names(export_dir)
    for version in [*(v for v in listed if v not in seen), listed[-1]]:
      said = {"version": version}
      try:
        said["index"] = load(export_dir / str(version), expected, version not in seen)
      except Exception as error:  # pylint: disable=broad-exception-caught
        said["failed"] = f"{type(error).__name__}: {error}"
      seen.add(version)
      os.write(sink, json.dumps(said).encode() + b"\n")


def names(export_dir):
  """(numbers of the versions, names of the temporaries, all other names)."""
  found = os.listdir(export_dir)
  versions = sorted(int(name) for name in found if name.isdecimal())
  temporary = [name for name in found if name.startswith(".tmp-")]
  return versions, temporary, [
      name for name in found if not name.isdecimal() and name not in temporary]


def assert_whole(version, size):
  """All files are there, with the model that signature.json names: at least `size` bytes."""
  assert {path.name for path in version.iterdir()} - {"assets.extra"} == set(saved_model.FILES)
  model = (version / "saved_model.pb").read_bytes()
  described = json.loads((version / "signature.json").read_text())
  assert hashlib.sha256(model).hexdigest() == described["saved_model_sha256"]
  assert len(model) >= size


def main(export_dir, rows, keep):
  """Answers each line with [exit codes, seconds, loads since the last answer]."""
  made = frozen(rows)
  built = saved_model._saved_model(made)
  seen, reader = set(), None

  def publisher(victim):
    publish_index = lambda: publish_one(export_dir, made, built, victim["index"], keep)
    return fork(lambda: traced(victim["line"], publish_index, victim.get("lines_to"))
                if "line" in victim else publish_index())

  for line in sys.stdin:
    start = time.monotonic()
    pids = [(publisher(victim), victim) for victim in json.loads(line)]
    # The last one first: who is killed at a time must not wait for another's end.
    codes = [wait(pid, victim.get("seconds")) for pid, victim in reversed(pids)]
    seconds = time.monotonic() - start
    if reader is None:
      source, sink = os.pipe()
      reader = fork(lambda: read(export_dir, rows, sink))  # pylint: disable=cell-var-from-loop
      os.close(sink)
      loads = os.fdopen(source)
    said = []
    while not set(names(export_dir)[0]) <= seen:
      said.append(json.loads(loads.readline()))
      seen.add(said[-1]["version"])
    print(json.dumps([codes[::-1], seconds, said]), flush=True)
  os.kill(reader, signal.SIGKILL)
  print(json.dumps([json.loads(said) for said in loads if said.endswith("\n")]))


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
