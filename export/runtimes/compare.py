"""How far the answers of a runtime are from the SavedModel's, and how far they may be."""

import dataclasses

import numpy as np

import check_saved_model as checker
from runtimes import process

LOSS_RISE = 0.03  # of an 8-bit model over the float one


@dataclasses.dataclass(frozen=True)
class Verdict:
  """`worst` is the largest difference of an output as a fraction of its bound's unit, the larger
  of 1 and the output's largest absolute value; `absolute` the largest difference as it is; `faults`
  lines that say what is over its bound; `loss` (ours, float) of an 8-bit model, else None."""
  worst: float
  absolute: float
  faults: list
  loss: tuple | None = None


def floats(reference, outputs, tolerance):
  """Compares {(signature, batch): {output: array}} with a Reference, element by element."""
  faults, worst, absolute = [], 0.0, 0.0
  threshold = checker.threshold_of(reference.description)
  for (key, batch), found in sorted(outputs.items()):
    expected = {name: value[:batch] for name, value in reference.outputs[key].items()}
    if sorted(found) != sorted(expected):
      faults.append(f"signature {key}: outputs {sorted(found)}, expected {sorted(expected)}")
      continue
    for name, value in sorted(found.items()):
      far, unit = _difference(value, checker.expected_of(name, found, expected, threshold))
      absolute, worst = max(absolute, far), max(worst, far / unit)
      # Not `far > bound`: a NaN on either side has to fail.
      if not far <= tolerance * unit or np.isinf(far):
        faults.append(f"signature {key}, output {name}, batch {batch}: differs by {far:.3g}, the "
                      f"bound is {tolerance * unit:.3g}")
  return Verdict(worst, absolute, faults)


def losses(reference, outputs):
  """Compares an 8-bit model by its loss: the squared error of outputs that have the shape of an
  input, and the share of classes (integer outputs) that stay; shapes and finiteness of the rest."""
  shapes = floats(reference, outputs, np.inf)
  faults, judged, loss = list(shapes.faults), 0, None
  large = max(process.BATCHES)
  # Every other example is what the model was calibrated on.
  held_out = slice(1, large, 2)
  for key, signature in sorted(reference.description["signatures"].items()):
    for name in sorted(signature["outputs"]) if (key, large) in outputs else ():
      found, expected = outputs[key, large].get(name), reference.outputs[key][name]
      if found is None or found.shape != expected.shape:
        continue
      found, expected = found[held_out], expected[held_out]
      target = next((reference.feeds[key][other][held_out] for other in sorted(signature["inputs"])
                     if reference.feeds[key][other][held_out].shape == expected.shape), None)
      if expected.dtype.kind in "iu":
        ours, theirs, rise = np.mean(found != expected), 0.0, np.mean(found != expected)
      elif target is not None:
        ours, theirs = _squared_error(found, target), _squared_error(expected, target)
        rise = ours / theirs - 1 if theirs else np.inf if ours else 0.0
      else:
        continue
      judged += 1
      loss = (float(ours), float(theirs)) if loss is None else loss
      if not rise <= LOSS_RISE:
        faults.append(f"signature {key}, output {name}: the loss is {ours:.6g}, {rise:.1%} over "
                      f"the float model's {theirs:.6g}; the bound is {LOSS_RISE:.0%}")
  if not judged:
    faults.append("no output is a reconstruction of an input or a class, so the loss of an 8-bit "
                  "model can't be told")
  return Verdict(shapes.worst, shapes.absolute, faults, loss)


def judge(reference, runtime, outputs):
  """Returns the Verdict of a runtime's outputs by the rule that holds for it."""
  if runtime.name.endswith("_int8"):
    return losses(reference, outputs)
  return floats(reference, outputs, reference.tolerance)


def _difference(found, expected):
  """Returns (largest difference, the larger of 1 and the largest expected value)."""
  if found.shape != expected.shape:
    return np.inf, 1.0
  found, expected = found.astype(np.float64), expected.astype(np.float64)
  return (float(np.max(np.abs(found - expected), initial=0)),
          float(max(1, np.max(np.abs(expected), initial=0))))


def _squared_error(one, other):
  return np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
