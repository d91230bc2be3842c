"""RESULTS.md: what was printed, what tfae gets, row by row, from the folders of the runs."""

import collections
import datetime
import pathlib

import numpy as np

from tfae import files, jobs, standings
from tfae.errors import InputError
from tfae.jobs import Job

_HEADER = ("id", "run", "protocol", "metric", "printed", "goal", "tfae", "better config", "seconds",
           "command")
_NOTES = """\
Made by `tfae-reproduce`. A figure is that of the last epoch, the mean over all seeds that are
complete ± their standard deviation (n - 1), with the number of seeds in brackets; never the best
seed. 'test' figures are of images that training never saw. Seconds: wall time of one seed's
processes, start and evaluation included, the mean over seeds. Each run is a config of configs/;
tfae/systems.py has what it changes there."""


def write(path, systems, comparisons, root):
  """Writes RESULTS.md, and beside it the plots of the comparisons.

  Args:
    path: the Markdown file.
    systems, comparisons: the tables of tfae.systems.
    root: folder of the runs; all seeds that are there count.

  Raises:
    InputError: a file that can't be written.
  """
  path = pathlib.Path(path)
  table = _Table(systems, root)
  parts = ["# Results", table.made_on(), _NOTES, _markdown(_HEADER, table.rows())]
  for comparison in comparisons:
    parts += [f"## {comparison.title}", _markdown(*table.compare(comparison))]
    if comparison.plot:
      name = f"{path.stem}_{comparison.name}.svg"
      try:
        drawn = _plot(comparison, table)
      except ImportError:
        parts.append("(No plot: matplotlib is not installed.)")
        continue
      if drawn:
        files.write(path.with_name(name), drawn)
        parts.append(f"![{comparison.title}]({name})")
  files.write(path, "\n\n".join(parts) + "\n")


class _Table:
  """All standings, read once, and the cells that are made of them."""

  def __init__(self, systems, root):
    self._systems, self._root = systems, root
    self._runs = jobs.by_name(systems)
    self._standings = {
        f"{system.id}/{run.name}": {
            seed: standings.standing(Job(system, run, seed), root, systems)
            for seed in standings.seeds_there(system, run, root) or [0]}
        for system in systems for run in system.runs}

  def made_on(self):
    """Returns the lines that say when, and with what the complete runs were made."""
    lines = [f"Written on {datetime.date.today().isoformat()}."]
    complete = [standing for seeds in self._standings.values() for standing in seeds.values()
                if standing.state == "complete"]
    for name in ("commit", "versions", "machine"):
      found = collections.Counter(s.made_on.get(name, "not known") for s in complete)
      shown = ([value for value in found] if len(found) == 1 else
               [f"{value} ({count} of {len(complete)} runs)" for value, count in
                found.most_common()])
      lines.append(f"- {name}: {'; '.join(shown) or 'nothing has been run'}")
    return "\n".join([lines[0], "", *lines[1:]])

  def rows(self):
    """Yields the cells of each figure of each run."""
    for system in self._systems:
      for run in system.runs:
        name = f"{system.id}/{run.name}"
        for index, figure in enumerate(run.figures):
          first = index == 0
          there = standings.seeds_there(system, run, self._root)
          seeds = there[-1] + 1 if there else run.seeds
          command = f"`tfae-reproduce --only={name} --seeds={seeds}`"
          yield (system.id, f"{run.name} ({run.config})" if first else "",
                 f"{system.what}; {system.protocol}" if first and run is system.runs[0] else "",
                 figure.metric, figure.printed or "-", self._goal(name, figure),
                 self.cell(name, figure), self._better(system, run, figure),
                 self._duration(name) if first else "", command if first else "")

  def compare(self, comparison):
    """Returns (header, rows) of a comparison; of two columns their difference, seed by seed."""
    printed = any(self.figure(name).printed for names in comparison.rows.values()
                  for name in names)
    paired = len(comparison.columns) == 2
    rows = []
    for label, names in comparison.rows.items():
      row = [label]
      for name in names:
        row += [self.figure(name).printed or "-"] if printed else []
        row.append(self.cell(name, self.figure(name)))
      rows.append(row + ([self._difference(*names)] if paired else []))
    if comparison.mean is not None:
      row = ["mean"]
      for names in zip(*comparison.rows.values()):
        row += [comparison.mean or "-"] if printed else []
        row.append(self._mean_of(names))
      rows.append(row + ["-"] * paired)
    header = [comparison.row]
    for column in comparison.columns:
      header += [f"printed: {column}"] if printed else []
      header.append(column)
    if paired:
      header.append("{} less {}".format(*comparison.columns))
    return header, rows

  def values(self, name, figure=None):
    """Returns ({seed: number} of a run's complete seeds, what kept the others out, in words)."""
    figure = figure or self.figure(name)
    values, others = {}, []
    for seed, standing in self._standings[name].items():
      try:
        if standing.state == "complete":
          values[seed] = standings.read_figure(figure, standing.lines)
        else:
          others.append(standing.text)
      except InputError as error:
        others.append(f"failed: {error}")
    return values, others

  def cell(self, name, figure):
    """Returns mean, standard deviation and number of seeds; and what kept some of them out."""
    values, others = self.values(name, figure)
    kept_out = "; ".join(dict.fromkeys(others))
    if not values:
      return kept_out
    text = _mean(list(values.values()), figure.digits)
    return f"{text}; of the others: {kept_out}" if others else text

  def figure(self, name):
    """Returns a run's main figure."""
    return self._runs[name][1].figures[0]

  def _goal(self, name, figure):
    if figure.goal is None:
      return "-"
    text = f"{'>=' if figure.higher else '<='} {figure.goal:.{figure.digits}f}"
    values, _ = self.values(name, figure)
    if values:
      text += ", reached" if figure.reached(np.mean(list(values.values()))) else ", not reached"
    return text

  def _better(self, system, run, figure):
    """Returns the cell of the 'better' runs that have the same metric, for the others' rows.

    A variant, such as a label budget, is compared with none but its own; a run without one with
    those without one, where there are any.
    """
    if run.label == "better":
      return ""
    others = [other for other in system.runs if other.label == "better"]
    same_variant = [other for other in others if other.variant == run.variant]
    return "; ".join(self.cell(f"{system.id}/{other.name}", same)
                     for other in same_variant or ([] if run.variant else others)
                     for same in other.figures if same.metric == figure.metric) or "-"

  def _difference(self, one, other):
    (ours, _), (theirs, _) = self.values(one), self.values(other)
    both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    return _mean(both, self.figure(one).digits, "+") if both else "-"

  def _mean_of(self, names):
    """Returns the cell of the mean over runs, of the seeds that all of them have."""
    values = [self.values(name)[0] for name in names]
    seeds = set.intersection(*map(set, values))
    means = [np.mean([of_run[seed] for of_run in values]) for seed in sorted(seeds)]
    return _mean(means, self.figure(names[0]).digits) if means else "-"

  def _duration(self, name):
    found = [standing.seconds for standing in self._standings[name].values()
             if standing.state == "complete" and standing.seconds]
    return f"{np.mean(found):,.0f}" if found else "-"


def _mean(values, digits, sign=""):
  text = f"{np.mean(values):{sign}.{digits}f}"
  if len(values) > 1:
    text += f" ± {np.std(values, ddof=1):.{digits}f}"
  return f"{text} ({len(values)})"


def _markdown(header, rows):
  lines = [header, ["---"] * len(header), *rows]
  return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
                   for line in lines)


def _plot(comparison, table):
  """Returns an SVG of mean and standard deviation over the rows, or None if no run is complete."""
  from tfae.figures import curves, style  # heavy, and only wanted here
  series = {}
  for index, column in enumerate(comparison.columns):
    points = []
    for label, names in comparison.rows.items():
      values = list(table.values(names[index])[0].values())
      if values:
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0
        points.append((float(label.replace(",", "")), np.mean(values), deviation))
    if points:
      series[column] = list(zip(*points))
  if not series:
    return None
  metric = table.figure(next(iter(comparison.rows.values()))[0]).metric
  return style.svg(curves.means(series, comparison.row, metric))
