"""Several runs beside each other: in what their configs differ, what came of it, their curves."""

import dataclasses
import pathlib

from tfae.errors import InputError
from tfae.report import facts, words

# Which of two values of a metric is the better one; of others none is.
_LOWER = ("loss", "squared_error", "clean_loss", "clean_squared_error", "false_positive_rate")
_HIGHER = ("accuracy", "clean_accuracy", "elbo", "log_likelihood", "auroc", "average_precision",
           "precision", "recall", "f1")
# Their value depends on how a task is set, not on the images alone.
_OF_TASK = ("loss", "clean_loss", "elbo")
_WIDEST = 44  # characters of a cell on the terminal
_TOGETHER = 4  # runs beside each other there
_KINDS = ("test", "validation", "pca", "log_likelihood", "anomaly")


@dataclasses.dataclass(frozen=True)
class Row:
  """A result of each run.

  name: what it is.
  texts: a text a run, '-' where it has none.
  values: the numbers behind them, None where there is none.
  best: indices of the runs that have the best value; () where none is better than another.
  """
  name: str
  texts: tuple
  values: tuple
  best: tuple = ()


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Runs beside each other.

  names: short, each its own.
  runs: `tfae.report.facts.Facts`, as many.
  damaged: of each folder that could not be read, what is wrong with it.
  fields: ((name, value a run), ...) of config fields that differ; '-' where a run has none.
  results: Rows.
  notes: sentences on what can't be compared.
  """
  names: tuple
  runs: tuple
  damaged: tuple
  fields: tuple
  results: tuple
  notes: tuple


def compare(workdirs):
  """Returns the Comparison of the runs in folders; one that can't be read is told, not fatal.

  Raises:
    InputError: fewer than two folders, one of them twice, or fewer than two that can be read.
  """
  paths = [pathlib.Path(workdir).resolve() for workdir in workdirs]
  if len(workdirs) < 2:
    raise InputError("give at least two runs. Example: tfae-compare runs/a runs/b")
  twice = [str(workdir) for workdir, path in zip(workdirs, paths) if paths.count(path) > 1]
  if twice:
    raise InputError(f"{twice[-1]}: is given twice. Give each run once.")
  runs, damaged = [], []
  for workdir in workdirs:
    try:
      runs.append(facts.gather(workdir))
    except InputError as error:
      damaged.append(str(error))
  if len(runs) < 2:
    raise InputError(f"there are fewer than two runs to compare: {' '.join(damaged)}")
  same_data = len({run.data["sha256"] for run in runs}) == 1
  same_task = same_data and len({_task(run) for run in runs}) == 1
  notes = []
  if not same_data:
    notes.append("The runs have different data, or splits of them: no result is marked as the "
                 "best.")
  elif not same_task:
    notes.append("The runs are trained for different losses: only what does not depend on them is "
                 "marked as the best.")
  return Comparison(tuple(_short_names(runs)), tuple(runs), tuple(damaged),
                    tuple(_fields(runs)), tuple(_results(runs, same_data, same_task)),
                    tuple(notes))


def _task(run):
  """Returns what the loss of a run depends on."""
  return run.loss, *((s.name, s.value) for s in run.settings if s.name.startswith("task."))


def _short_names(runs):
  """Returns the last parts of each run's path, as many as tell the runs apart."""
  paths = [pathlib.Path(run.workdir).resolve() for run in runs]
  longest = max(len(path.parts) for path in paths)
  found = (["/".join(path.parts[-count:]) for path in paths] for count in range(1, longest + 1))
  return next(names for names in found if len(set(names)) == len(names))


def _fields(runs):
  found = [{s.name: s.value for s in run.settings} for run in runs]
  for values, run in zip(found, runs):
    values["made by"] = "tfae.fit" if run.experiment is None else "tfae-train"
    values["data, sha256"] = run.data["sha256"][:12] + "..."
  for name in dict.fromkeys(name for values in found for name in values):
    row = [values.get(name, "-") for values in found]
    # What the folder of a run of tfae.fit does not say need not differ.
    known = {value for value, run in zip(row, runs)
             if run.experiment or name.split(".")[0] not in facts.NOT_OF_FIT}
    if len(known) > 1:
      yield name, *row


def _results(runs, same_data, same_task):
  yield Row("state", tuple(run.state.word for run in runs), (None,) * len(runs))
  for kind in _KINDS:
    last = [run.last(kind) for run in runs]
    for name in dict.fromkeys(name for values in last for name in values):
      values = tuple(found.get(name) for found in last)
      comparable = same_task if name in _OF_TASK else same_data
      yield Row(f"{words.metric(kind)}: {words.metric(name)}",
                tuple("-" if v is None else words.number(v) for v in values), values,
                _best(name, values) if comparable else ())
  for name, values, text in (
      ("steps", [run.step for run in runs], words.number),
      ("seconds of training", [run.seconds[-1] if run.seconds else None for run in runs],
       lambda seconds: f"{seconds:.3g}"),
      ("seconds an epoch", [run.epoch_seconds for run in runs],
       lambda seconds: f"{seconds:.3g}"),
      ("parameters", [run.parameters for run in runs], words.number)):
    yield Row(name, tuple("-" if v is None else text(v) for v in values), tuple(values))


def _best(name, values):
  """Returns the indices of the best of at least two values."""
  there = [value for value in values if value is not None and value == value]  # not NaN
  if len(there) < 2 or name not in (*_LOWER, *_HIGHER):
    return ()
  best = min(there) if name in _LOWER else max(there)
  return tuple(index for index, value in enumerate(values) if value == best)


def tables(comparison):
  """Returns the two tables as plain text, in lines; '*' marks the best, long values are cut.

  Of many runs four stand beside each other, then the next four.
  """
  results = [[row.name, *(text + " *" * (index in row.best) for index, text in
                          enumerate(row.texts))] for row in comparison.results]
  fields = comparison.fields or [("(none)", *("" for _ in comparison.names))]
  lines = []
  for title, rows in (("result", results), ("config field", fields)):
    for first in range(1, 1 + len(comparison.names), _TOGETHER):
      lines += ["", *_aligned([[row[0], *row[first:first + _TOGETHER]]
                               for row in ([title, *comparison.names], *rows)])]
  return lines[1:]


def _aligned(rows):
  rows = [[cell if len(cell) <= _WIDEST else cell[:_WIDEST - 3] + "..." for cell in row]
          for row in rows]
  widths = [max(map(len, column)) for column in zip(*rows)]
  return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
          for row in rows]
