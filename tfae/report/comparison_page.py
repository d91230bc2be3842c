"""The page of several runs beside each other: from a Comparison to HTML, with their curves."""

import tfae
from tfae.errors import InputError
from tfae.report import words
from tfae.report.markup import document, join, pairs, picture, table, tag
from tfae.report.pictures import encoded

_PARTS = {"training": "train", "validation": "validation"}  # kind of line that a curve is made of
_BY = {"step": "step", "seconds": "seconds of training"}


def page(comparison, curves=()):
  """Returns the HTML of a `tfae.report.comparison.Comparison`, whole.

  Args:
    comparison: the runs.
    curves: (title, bytes of a PNG file) each.
  """
  names, runs = comparison.names, comparison.runs
  notes = [*(f"Left out: {why}" for why in comparison.damaged), *comparison.notes]
  results = [[row.name, *(tag("span", text, " (best)", class_="best") if index in row.best else text
                          for index, text in enumerate(row.texts))]
             for row in comparison.results]
  fields = [[tag("code", name), *(tag("code", value) for value in values)]
            for name, *values in comparison.fields]
  numbers = range(1, 1 + len(names))
  title = f"{len(names)} runs beside each other"
  return document(f"{title}: {', '.join(names)}", tag(
      "main", tag("header", tag("p", "tfae runs", class_="soft"), tag("h1", title),
                  *(tag("p", note, class_="note") for note in notes)),
      tag("section", tag("h2", "Results"), table(["result", *names], results, numbers)),
      tag("section", tag("h2", "Config fields that differ"),
          table(["field", *names], fields) if fields else tag("p", "None.")),
      tag("section", tag("h2", "Curves"),
          tag("div", *(picture(content, text, text) for text, content in curves),
              class_="pictures") if curves else tag("p", "No run has logged anything yet.")),
      tag("section", tag("h2", "Folders"), pairs(
          [(name, join([tag("code", run.workdir), tag("br"), run.state.text]))
           for name, run in zip(names, runs)])),
      tag("footer", f"Written by tfae {tfae.__version__}.")))


def draw(comparison):
  """Returns [(title, bytes of a PNG file)]: each metric of all runs, by step and by time.

  Losses are drawn together where they are the same.
  """
  from tfae.figures import curves
  found = []
  losses = dict.fromkeys(run.loss for run in comparison.runs)
  others = dict.fromkeys(name for run in comparison.runs for name in run.metrics_of_splits
                         if name != "loss")
  for name, loss in [*(("loss", loss) for loss in losses), *((name, None) for name in others)]:
    for by, label in _BY.items():
      series = {}
      for run_name, run in zip(comparison.names, comparison.runs):
        for part, kind in _PARTS.items():
          points = run.series(kind, name, by)
          if points[0] and (loss is None or run.loss == loss):
            series[run_name, part] = points
      if not series:
        continue
      title = f"{words.metric(name).capitalize()} by {label}"
      try:
        figure = curves.curves(series, label, loss or words.metric(name), title=title)
      except InputError:  # no value is finite: the table has none either
        continue
      found.append((f"{title}{f': {loss}' if len(losses) > 1 and loss else ''}", encoded(figure)))
  return found
