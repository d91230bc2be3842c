"""Anomaly detection: how well a model's score tells images of classes that it never saw.

An image is normal if its class is among those that the run was trained on (`data.normal_classes`,
or whatever labels its training images have), else anomalous. The score is that of an export's
signature `score`; the threshold is chosen on the validation images, which are all normal, so that
the test images and the labels are for the evaluation only.
"""

import dataclasses

import numpy as np

from tfae import build, evaluation, thresholds
from tfae.errors import InputError
from tfae.thresholds import Threshold

POSITIVE = "anomalous images are the positive class"


@dataclasses.dataclass(frozen=True, eq=False)
class Detection:
  """What the score of a run says of a split; what `tfae.figures.scores` draws.

  scores: float32 [n], higher is more anomalous, those of an export.
  anomalous: bool [n], whether an image's class is one that was not trained on; None: no labels.
  threshold: `tfae.thresholds.Threshold` of the checkpoint, or None.
  step: of the checkpoint.
  """
  scores: np.ndarray
  anomalous: np.ndarray | None
  threshold: Threshold | None
  step: int


def of_run(workdir, data, *, split="test", checkpoint="latest", device="auto"):
  """Returns the Detection of a run's model.

  Args:
    workdir: folder of the run.
    data: its `tfae.data.datasets.Dataset`.
    split: 'train', 'validation' or 'test'.
    checkpoint: 'latest', 'best' or a step.
    device: where to compute.

  Raises:
    InputError: no run, checkpoint or split, a model without scores, or a threshold of another
      checkpoint.
  """
  model, _, _, step = build.load_model(workdir, checkpoint, device)
  part = _part(data, split)
  return Detection(score(model, part), anomalous(data, split),
                   thresholds.of_checkpoint(workdir, step), step)


def score(model, split):
  """Returns the scores of a split's images, float32 [n], as an export of the model gives them.

  Raises:
    InputError: a model that has none, such as a classifier.
  """
  if not hasattr(model, "score"):
    raise InputError(f"the model is a {type(model).__name__}: it has no score. Train with task.name"
                     "='reconstruct' or 'variational'.")
  return evaluation.computed(model.score, split, evaluation.chunk_size(model)).astype(np.float32)


def anomalous(data, split="test"):
  """Returns whether the class of each image of a split is none that is trained on, bool [n].

  None where images have no labels.
  """
  labels = _part(data, split).labels
  if labels is None or data.train.labels is None:
    return None
  return ~np.isin(labels, data.train.labels)


def choose(workdir, data, *, quantile=None, contamination=None, checkpoint="latest",
           device="auto"):
  """Chooses a run's Threshold on its validation images, keeps it with the run and returns it.

  Args:
    workdir, data, checkpoint, device: as `of_run`'s.
    quantile, contamination: see `tfae.thresholds.choose`.

  Raises:
    InputError: no run, checkpoint or validation set, or a model without scores.
  """
  thresholds.check(quantile, contamination)
  model, _, _, step = build.load_model(workdir, checkpoint, device)
  found = thresholds.choose(score(model, _part(data, "validation")), step, quantile=quantile,
                            contamination=contamination)
  thresholds.write(workdir, found)
  return found


def measures(detection):
  """Returns how well scores and threshold of a `Detection` tell anomalies: {name: number}.

  Of all: `images`, `flagged` (the score is above the threshold), `threshold`. With labels:
  `anomalies` and `normal`, counts, and `false_positive_rate` (the share of the normal ones that is
  flagged) if there are normal ones. With both kinds also, anomalous images being the positive
  class: `auroc`, `average_precision` of the scores; `precision`, `recall`, `f1` (0 where nothing
  is flagged), `true_positives`, `false_positives`, `true_negatives`, `false_negatives` at the
  threshold. Computed by scikit-learn.

  Raises:
    InputError: no threshold, or scores that are not finite.
  """
  from sklearn import metrics  # heavy
  if detection.threshold is None:
    raise InputError("the run has no threshold. Choose one: tfae-anomaly --workdir=W")
  scores, truth, value = detection.scores, detection.anomalous, detection.threshold.value
  if not np.isfinite(scores).all():
    raise InputError(f"{np.sum(~np.isfinite(scores)):,} of {len(scores):,} scores are not finite. "
                     "Train with a lower learning rate, or take another checkpoint.")
  flagged = scores > value
  found = {"images": len(scores), "flagged": int(flagged.sum()), "threshold": value}
  if truth is None:
    return found
  found.update(anomalies=int(truth.sum()), normal=int((~truth).sum()))
  if not truth.all():
    found["false_positive_rate"] = float(flagged[~truth].mean())
  if not truth.any() or truth.all():
    return found
  (true_negatives, false_positives), (false_negatives, true_positives) = metrics.confusion_matrix(
      truth, flagged, labels=[False, True]).tolist()
  precision, recall, f1, _ = metrics.precision_recall_fscore_support(
      truth, flagged, average="binary", zero_division=0)
  return {**found, "auroc": float(metrics.roc_auc_score(truth, scores)),
          "average_precision": float(metrics.average_precision_score(truth, scores)),
          "precision": float(precision), "recall": float(recall), "f1": float(f1),
          "true_positives": true_positives, "false_positives": false_positives,
          "true_negatives": true_negatives, "false_negatives": false_negatives}


def _part(data, split):
  part = getattr(data, split)
  if part is None:
    raise InputError("data: the run has no validation set. A threshold is chosen on normal images "
                     "that were not trained on: train with --config.data.validation=N.")
  return part
