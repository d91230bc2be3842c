"""PARITY.md: what ran, how far it is from the SavedModel, how fast and how large it is."""

import os
import platform

HEADER = ("runtime", "version", "signatures", "largest difference", "of the bound's unit",
          "load, ms", "first call, ms", "batch 1: p50, ms", "p99, ms", "batch 100: images/s",
          "artefact, bytes", "resident, MB")


def cells(row):
  """Returns the cells of a parity.Row as strings; of one that did not run, the reason."""
  if row.reason:
    return [row.runtime.name, row.reason] + [""] * (len(HEADER) - 2)
  figures, verdict = row.answer.figures, row.verdict
  return [row.runtime.name, row.runtime.version(),
          " ".join(sorted({key for key, _ in row.answer.outputs})),
          f"{verdict.absolute:.2g}", _share(verdict),
          f"{figures['load_ms']:.1f}", f"{figures['first_ms']:.1f}",
          f"{figures['p50_ms']:.3f}", f"{figures['p99_ms']:.3f}", f"{figures['images_s']:,.0f}",
          f"{row.bytes:,}", f"{figures['resident_mb']:.0f}"]


def _share(verdict):
  mark = " (!)" if verdict.faults else ""
  if verdict.loss:
    return f"loss {verdict.loss[0]:.6g}, float {verdict.loss[1]:.6g}{mark}"
  return f"{verdict.worst:.1e}{mark}"


def text(rows, reference, calls, floor_ms):
  """Returns the text of PARITY.md; floor_ms is what floor.measure said, or None."""
  metadata = reference.description.get("metadata", {})
  lines = ["# Parity", "",
           f"One frozen export (saved_model.pb sha256 "
           f"{reference.description['saved_model_sha256'][:16]}, dataset "
           f"{metadata.get('dataset', 'not stated')}, {metadata.get('parameters', '?')} "
           "parameters) in every runtime, each in a process of its own, on the same 100 real "
           "examples. Made by:", "",
           "    python export/parity.py --saved_model=D/1 --examples=W/examples.npy", "",
           "| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
  lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
  lines += ["", *notes(reference, calls), ""]
  if floor_ms:
    lines += [beside_floor(rows, reference, floor_ms), ""]
  for row in rows:
    lines += [f"- {row.runtime.name}: {fault}" for fault in (row.verdict.faults if row.verdict
                                                             else ())]
  return "\n".join(lines).rstrip() + "\n"


def beside_floor(rows, reference, floor_ms):
  """Returns a line: the bare products of the model, and the fastest float runtime beside them."""
  fastest = min((row for row in rows if row.answer and not row.verdict.loss), default=None,
                key=lambda row: row.answer.figures["p50_ms"])
  beside = "" if fastest is None else (
      f"; the fastest float runtime, {fastest.runtime.name}, takes "
      f"{fastest.answer.figures['p50_ms'] / floor_ms:.2f} times that")
  return (f"The {len(reference.products)} bare matrix products of {reference.timed} at batch 1, by "
          f"numpy, take {floor_ms:.3f} ms{beside}.")


def notes(reference, calls):
  return [f"Every output of every signature was compared at batches of 1, 3 and 100 with "
          f"`tf.saved_model.load`; the bound is {reference.tolerance:g} times its unit, the larger "
          "of 1 and the output's largest absolute value; (!) marks what is over it. An 8-bit model "
          "is judged by its loss on the examples that it was not calibrated on.",
          f"Times are of {reference.timed} after the imports, from array to array, p50 and p99 of "
          f"{calls} warm calls, images/s from the median of 20; default threads on "
          f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}. Resident is the whole "
          "process after its calls, in Python with the interpreter and numpy."]
