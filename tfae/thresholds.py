"""The score above which an image is called an anomaly: chosen, kept with its run, exported.

It is chosen on the scores of normal images that training did not see, lies in the run's folder as
threshold.json, and holds for one checkpoint: other weights score otherwise.
"""

import dataclasses
import json
import pathlib

import numpy as np

from tfae import files
from tfae.errors import InputError, check_choice, check_int, check_number

FILE = "threshold.json"
METHODS = ("quantile", "contamination")
OUTPUT = "is_anomaly"  # beside the output `score` of the signature `score`
QUANTILE = 0.95


@dataclasses.dataclass(frozen=True)
class Threshold:
  """What is scored above `value` is an anomaly.

  value: in the unit of the score; a number of float32, so that every runtime compares alike.
  method: 'quantile': of the scores that it was chosen on; 'contamination': the share of them that
    is taken for anomalous although all pass for normal, so that it is the quantile 1 - level.
  level: that quantile, or share.
  images: how many scores it was chosen on.
  step: of the checkpoint that scored.
  """
  value: float
  method: str
  level: float
  images: int
  step: int

  def __post_init__(self):
    check_number("threshold.value", self.value)
    check_choice("threshold.method", self.method, METHODS)
    check_number("threshold.level", self.level, 0, 1)
    check_int("threshold.images", self.images, 1)
    check_int("threshold.step", self.step, 0, 2**63 - 1)

  @property
  def words(self):
    """How it was chosen: 'quantile 0.95 of 600 validation images'."""
    return f"{self.method} {self.level:g} of {self.images:,} validation images"


def check(quantile=None, contamination=None):
  """Returns (method, level) of two arguments of which one may be given; default: quantile .95.

  Raises:
    InputError: both are given, a quantile outside (0, 1] or a contamination outside [0, 0.5].
  """
  if quantile is not None and contamination is not None:
    raise InputError(f"quantile={quantile}, contamination={contamination}: both say where the "
                     "threshold is. Give one of them.")
  if contamination is not None:
    return "contamination", check_number("contamination", contamination, 0, 0.5)
  level = QUANTILE if quantile is None else quantile
  return "quantile", check_number("quantile", level, 0, 1, above=True)


def choose(scores, step, *, quantile=None, contamination=None):
  """Returns the Threshold that scores of normal images give, interpolated linearly between two.

  Args:
    scores: real numbers [n], n >= 1, finite.
    step: of the checkpoint that scored.
    quantile, contamination: one of them, or neither; see `Threshold` and `check`.

  Raises:
    InputError: scores that are missing or not finite, or as `check`.
  """
  method, level = check(quantile, contamination)
  scores = np.asarray(scores, np.float64)
  if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
    raise InputError(f"scores of shape {scores.shape}: expected finite numbers [n], at least one, "
                     "of normal images.")
  value = np.quantile(scores, level if method == "quantile" else 1 - level)
  return Threshold(float(np.float32(value)), method, level, scores.size, step)


def write(workdir, threshold):
  """Keeps a Threshold with its run; it takes the place of an older one."""
  content = json.dumps(dataclasses.asdict(threshold), indent=2) + "\n"
  files.write(pathlib.Path(workdir) / FILE, content)


def read(workdir):
  """Returns the Threshold of a run, or None if it has none; InputError if the file is damaged."""
  path = pathlib.Path(workdir) / FILE
  try:
    return Threshold(**json.loads(path.read_text(encoding="utf-8")))
  except FileNotFoundError:
    return None
  except (OSError, ValueError, TypeError) as error:
    raise InputError(f"{path}: can't be read ({type(error).__name__}: {error}). Choose the "
                     f"threshold anew: tfae-anomaly --workdir={workdir}") from None


def of_checkpoint(workdir, step):
  """Returns the Threshold of a run, or None if it has none.

  Raises:
    InputError: it was chosen for another checkpoint than that of `step`, or is damaged.
  """
  threshold = read(workdir)
  if threshold is not None and threshold.step != step:
    raise InputError(
        f"{pathlib.Path(workdir) / FILE}: was chosen for the checkpoint of step {threshold.step}, "
        f"not for that of step {step}, which scores otherwise. Choose it anew, with tfae-anomaly "
        f"--workdir={workdir} --checkpoint={step}, take --checkpoint={threshold.step}, or remove "
        "the file.")
  return threshold


def add(signatures, value):
  """Returns the signatures with an output `is_anomaly` of `score`: int32 [batch], 1 or 0.

  It is 1 where the output `score`, as float32, is above `value`. (Integers, for 8-bit converters
  and C callers have no bool.)

  Args:
    signatures: {key: `tfae.graph.Signature`}.
    value: a number of float32.

  Raises:
    InputError: there is no signature 'score'.
  """
  import tensorflow as tf  # heavy: what is checked before does without
  from tfae import graph
  if "score" not in signatures:
    raise InputError(f"threshold={value:g}: the model has no signature 'score'; it has "
                     f"{', '.join(sorted(signatures))}. Leave out the threshold.")
  scoring = signatures["score"]

  def function(**inputs):
    outputs = scoring.function(**inputs)
    above = outputs["score"] > tf.constant(value, outputs["score"].dtype)
    return {**outputs, OUTPUT: tf.cast(above, tf.int32)}

  outputs = {**scoring.outputs, OUTPUT: f"1: an anomaly, its score is above {value:.6g}; 0: none"}
  return {**signatures, "score": graph.Signature(function, scoring.inputs, outputs)}
