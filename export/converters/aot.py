"""XLA ahead of time: an object and a header for each signature, linked without TensorFlow.

The batch is fixed. Weights are stored once, in weights.bin, for all signatures. What XLA can't
compile, such as strings, is left out.
"""

import json
import pathlib
import sys

from runtimes import process

BATCH = 1


def convert(reference, folder, batch=BATCH):
  signatures = reference.description["signatures"]
  worker = pathlib.Path(__file__).with_name("aot_compile.py")
  said = process.call([sys.executable, worker, reference.directory, folder, batch,
                       ",".join(sorted(signatures))])
  entries = {}
  for key, found in json.loads(said.splitlines()[-1]).items():
    if isinstance(found, dict):
      entries[key] = f"XLA does not compile it: {found['failed']}"
      continue
    # By these names a caller of the executable gives and gets them.
    entries[key] = {"file": found, "batch": batch, **{
        side: {name: name for name in signatures[key][side]} for side in ("inputs", "outputs")}}
  if all(isinstance(entry, str) for entry in entries.values()):
    raise process.Failed(next(iter(entries.values())))
  return entries
