"""Interleaved rounds of contenders in processes of their own, and the tables of what they gave."""

import concurrent.futures
import dataclasses
import importlib.util
import pathlib
import re
import statistics
import time

from worker import Failed, Worker


@dataclasses.dataclass(frozen=True)
class Row:
  """One way to do the work.

  name: in the table.
  family: of variants of one thing: only its fastest goes on after the first round.
  needs: the package without which it is not installed.
  module, options: see `worker.Worker`.
  """
  name: str
  family: str
  needs: str
  module: str
  options: dict = dataclasses.field(default_factory=dict)


class Contest:
  """Contenders that live side by side and work one at a time.

  Attributes:
    workers: {row name: Worker} of those that are still in.
    absent: {row name: why it is not there}.
    versions: {package: version} of all that are, or were, there.
  """

  def __init__(self, rows, folder, arguments, start, *, at_once=1, say=print):
    """Starts the contenders.

    Args:
      rows: list of `Row`.
      folder: for what their processes print.
      arguments: of every contender's constructor.
      start: function (row name, Worker): what each does before it is timed.
      at_once: how many may start at a time.
      say: function of a line of progress.

    Raises:
      Failed: the first row is not there.
    """
    self.rows, self._say = {row.name: row for row in rows}, say
    self.workers, self.absent, self.versions, self._idle = {}, {}, {}, {}
    present = []
    for row in rows:
      if importlib.util.find_spec(row.needs) is None:
        self.absent[row.name] = "not installed"
      else:
        present.append(row)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
      list(pool.map(lambda row: self._start(row, pathlib.Path(folder), arguments, start), present))
    self.workers = {row.name: self.workers[row.name] for row in rows if row.name in self.workers}
    if rows[0].name in self.absent:  # what all are compared with
      self.close()
      raise Failed(f"{rows[0].name}: {self.absent[rows[0].name]}")

  def _start(self, row, folder, arguments, start):
    began = time.perf_counter()
    worker = Worker(row.module, folder / f"{slug(row.name)}.log", *arguments, **row.options)
    try:
      self.versions.update(worker.ask("versions"))
      start(row.name, worker)
    except Failed as error:
      self.absent[row.name] = f"failed: {error}"
      self._say(f"{row.name}: {self.absent[row.name]}")
      return
    self.workers[row.name] = worker
    self._say(f"{row.name}: ready after {time.perf_counter() - began:.1f} s")

  def round(self, ask, number):
    """Returns {row name: ask(worker)} of all that are in; each round begins with another one."""
    names = list(self.workers)
    first = number % len(names)
    result = {}
    for name in names[first:] + names[:first]:
      others = {other: self.workers[other].cpu_seconds() for other in names if other != name}
      began = time.perf_counter()
      result[name] = ask(self.workers[name])
      seconds = time.perf_counter() - began
      for other, before in others.items():
        cpu, of = self._idle.get(other, (0, 0))
        self._idle[other] = cpu + self.workers[other].cpu_seconds() - before, of + seconds
    return result

  @property
  def idle(self):
    """The largest share of one core that a contender used while others were asked; 0 if alone."""
    return max((cpu / seconds for cpu, seconds in self._idle.values()), default=0.0)

  def keep_the_best(self, rates):
    """Ends all but the first row and the fastest of each family by {row name: rate}."""
    best = best_of_families(self.rows.values(), rates) | {next(iter(self.rows))}
    for name in set(self.workers) - best:
      self.workers.pop(name).close()

  def close(self):
    """Ends all processes."""
    for worker in self.workers.values():
      worker.close()


def best_of_families(rows, rates):
  """Returns the names of the fastest row of each family, of those that have a rate."""
  best = {}
  for row in rows:
    if row.name in rates and rates[row.name] > rates.get(best.get(row.family), 0):
      best[row.family] = row.name
  return set(best.values())


def slug(name):
  """Returns a name as part of a file name."""
  return re.sub(r"\W+", "-", name)


def spread(values):
  """Returns 'median (lowest to highest)' of ratios."""
  return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def table(header, rows, markdown=False):
  """Returns a table as text: cells are strings, the first column is left-justified."""
  if markdown:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
  widths = [max(map(len, column)) for column in zip(header, *rows)]
  return "\n".join("  ".join(cell.rjust(width) if i else cell.ljust(width)
                             for i, (cell, width) in enumerate(zip(line, widths)))
                   for line in [header, *rows])
