"""How well a model decides: score histogram, ROC, precision and recall, confusion matrix."""

import numpy as np

from tfae.errors import InputError, check_number
from tfae.figures import checks, style


def score_histogram(scores, anomalous=None, threshold=None, bins=60, score_name="score",
                    title=None):
  """Returns a Figure of how scores are distributed, normal and anomalous examples apart.

  Args:
    scores: numbers `[n]`; higher is more anomalous.
    anomalous: `[n]`, True or 1 where an example is anomalous; None: not known.
    threshold: drawn as a line, with the share of each part above it; None: none.
    bins: over all scores; on a logarithmic axis where scores above 0 span over two decades.
    score_name: what the scores are, with their unit.
    title: None: how many of each.
  """
  scores = checks.array("scores", scores, ("n",))
  parts = {"all": (scores, style.COLOURS[0])}
  if anomalous is not None:
    anomalous = _truth("anomalous", anomalous, len(scores))
    parts = {name: (scores[chosen], colour) for name, chosen, colour in (
        ("normal", ~anomalous, style.COLOURS[0]), ("anomalous", anomalous, style.WRONG))
             if chosen.any()}
  logarithmic = scores.min() > 0 and scores.max() / scores.min() > 100
  edges = (np.geomspace if logarithmic and scores.max() > scores.min() else np.linspace)(
      scores.min(), scores.max() if scores.max() > scores.min() else scores.min() + 1, bins + 1)
  figure, axes = style.new_figure(
      title or "Scores of " + " and ".join(f"{len(own):,} {'' if name == 'all' else name}".strip()
                                           for name, (own, _) in parts.items()) + " images",
      width=6.4, height=3.8)
  for name, (own, colour) in parts.items():
    above = "" if threshold is None else f": {np.mean(own > threshold):.1%} above the threshold"
    axes.hist(own, edges, weights=np.full(len(own), 1 / len(own)), color=colour, alpha=0.35)
    axes.hist(own, edges, weights=np.full(len(own), 1 / len(own)), color=colour, linewidth=1.4,
              histtype="step", label=f"{name} ({len(own):,}){above}",
              linestyle="--" if name == "anomalous" else "-")
  if threshold is not None:
    check_number("threshold", threshold)
    axes.axvline(threshold, color=style.INK, linewidth=1.2, linestyle=":",
                 label=f"threshold {style.number(threshold)}")
  axes.set(xlabel=score_name, ylabel="share of the examples a bin",
           **({"xscale": "log"} if logarithmic else {}))
  style.legend(axes)
  return figure


def roc(scores, anomalous, threshold=None, title=None):
  """Returns a Figure of the receiver operating characteristic, with its area (scikit-learn).

  Args:
    scores: numbers `[n]`; higher is more anomalous.
    anomalous: `[n]`, True or 1 where an example is anomalous; both kinds must be there.
    threshold: its point is marked; None: none.
    title: None: the area, and how many of each.
  """
  from sklearn import metrics
  scores, anomalous = _two_kinds(scores, anomalous)
  false, true, _ = metrics.roc_curve(anomalous, scores)
  figure, axes = style.new_figure(
      title or f"ROC: area {metrics.roc_auc_score(anomalous, scores):.4f}, {_counts(anomalous)}",
      width=4.6, height=4.6)
  axes.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, linestyle=":", label="chance")
  axes.plot(false, true, color=style.COLOURS[0], linewidth=1.8, label="scores")
  if threshold is not None:
    above = scores > check_number("threshold", threshold)
    _mark(axes, np.mean(above[~anomalous]), np.mean(above[anomalous]), threshold)
  axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal",
           xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
  style.legend(axes, loc="lower right")
  return figure


def precision_recall(scores, anomalous, threshold=None, title=None):
  """Returns a Figure of precision over recall, with the average precision (scikit-learn).

  Args:
    scores, anomalous, threshold: as `roc`'s.
    title: None: the average precision, and how many of each.
  """
  from sklearn import metrics
  scores, anomalous = _two_kinds(scores, anomalous)
  precision, recall, _ = metrics.precision_recall_curve(anomalous, scores)
  figure, axes = style.new_figure(
      title or "Average precision "
      f"{metrics.average_precision_score(anomalous, scores):.4f}, {_counts(anomalous)}",
      width=4.6, height=4.6)
  axes.axhline(anomalous.mean(), color=style.FAINT, linewidth=1, linestyle=":", label="chance")
  axes.step(recall, precision, where="post", color=style.COLOURS[0], linewidth=1.8, label="scores")
  if threshold is not None:
    above = scores > check_number("threshold", threshold)
    if above.any():  # without a positive there is no precision
      _mark(axes, np.mean(above[anomalous]), np.mean(anomalous[above]), threshold)
  axes.set(xlabel="recall", ylabel="precision", aspect="equal", xlim=(-0.02, 1.02),
           ylim=(-0.02, 1.02))
  style.legend(axes, loc="lower left")
  return figure


def confusion_matrix(labels, predictions, class_names=None, title=None):
  """Returns a Figure of counts by label (rows) and prediction; colour is the share of the row.

  Up to 20 classes have their counts written, and the share of the row under them on the diagonal.

  Args:
    labels, predictions: whole numbers `[n]` from 0.
    class_names: the names of all classes; None: the numbers up to the largest.
    title: None: the accuracy, and how many examples.
  """
  labels, names = checks.labels("labels", labels, None, class_names)
  predictions, others = checks.labels("predictions", predictions, len(labels), class_names)
  names = max(names, others, key=len)
  classes = len(names)
  counts = np.zeros((classes, classes), np.int64)
  np.add.at(counts, (labels, predictions), 1)
  share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  side = float(np.clip(0.5 * classes + 1.6, 3.6, 9))
  figure, axes = style.new_figure(
      title or f"Accuracy {np.mean(labels == predictions):.2%}, "
      f"{checks.plural(len(labels), 'example')}", width=side + 0.8, height=side)
  axes.grid(False)
  drawn = axes.imshow(share, cmap=style.SEQUENTIAL, vmin=0, vmax=1)
  ticks = [style.plain(style.shorten(name, 130, style.SMALL)) for name in names]
  for axis in (axes.xaxis, axes.yaxis):
    axis.set_ticks(range(classes), ticks)
    style.thin_ticks(axis, classes, 40)
  if max(map(len, names)) > 3:
    axes.tick_params(axis="x", rotation=60)
  axes.set(xlabel="prediction", ylabel="label")
  if classes <= 20:
    for (row, column), count in np.ndenumerate(counts):
      if count:
        axes.text(column, row, f"{count:,}" + (f"\n{share[row, column]:.1%}" if row == column
                                               else ""),
                  ha="center", va="center", fontsize=style.SMALL - 1,
                  color="black" if share[row, column] > 0.44 else "white")
  style.colour_bar(figure, drawn, "share of the label's examples", shrink=0.8)
  return figure


def _truth(name, values, count):
  found = checks.array(name, values, ("n",))
  checks.same_count(name, found, count)
  if not np.isin(found, (0, 1)).all():
    raise InputError(f"{name}: expected True and False, or 1 and 0.")
  return found.astype(bool)


def _two_kinds(scores, anomalous):
  scores = checks.array("scores", scores, ("n",))
  anomalous = _truth("anomalous", anomalous, len(scores))
  if anomalous.all() or not anomalous.any():
    raise InputError(f"anomalous: all {len(anomalous):,} are {bool(anomalous[0])}; a curve needs "
                     "examples of both kinds.")
  return scores, anomalous


def _counts(anomalous):
  return f"{np.count_nonzero(~anomalous):,} normal and {np.count_nonzero(anomalous):,} anomalous"


def _mark(axes, x, y, threshold):
  axes.plot(x, y, marker="o", color=style.WRONG, markersize=7, linestyle="none",
            label=f"threshold {style.number(threshold)}: {x:.3f}, {y:.3f}")
