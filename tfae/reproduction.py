"""Running the systems: one process a run and seed, resumable, and what its folder says of it.

A run's folder is ROOT/<id>/<label>[-<variant>]/seed<k>, made by tfae-train. Beside its files there
lies reproduce.json: how long the run took and how it ended. Figures never come from there.
"""

import dataclasses
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
import time

from tfae import experiment as experiments
from tfae import files, machine
from tfae import workdir as workdirs
from tfae.errors import InputError, nearest, shown
from tfae.signals import Signals
from tfae.specs.systems import LABELS, configs_folder

PROGRAM = (sys.executable, "-m", "tfae.bin.train")
EVALUATOR = (sys.executable, "-m", "tfae.bin.evaluate")
RECORD = "reproduce.json"
_EVALUATED = ("pca", "log_likelihood")  # kinds of the lines of tfae-evaluate
_LONGEST_REASON = 300  # characters of a failure in a table


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of one system with one seed."""
  system: object
  run: object
  seed: int

  @property
  def name(self):
    return f"{self.system.id}/{self.run.name}, seed {self.seed}"

  def folder(self, root):
    """Returns the run's folder."""
    return pathlib.Path(root) / self.system.id / self.run.folder / f"seed{self.seed}"

  def overrides(self, root, runs):
    """Returns {config field: value} with the seed, and the folder of the run that it needs."""
    values = {**self.run.overrides, "seed": self.seed}
    if self.run.needs:
      needed = str(Job(*runs[self.run.needs], self.seed).folder(root))
      values = {name: value.replace("{needs}", needed) if isinstance(value, str) else value
                for name, value in values.items()}
    return values

  def experiment(self, root, runs):
    """Returns the `tfae.experiment.Experiment` that tfae-train is going to train.

    Raises:
      InputError: a config that does not exist or can't be read, or an override of no field of it.
    """
    name, _, argument = self.run.config.partition(":")
    path = configs_folder() / name
    try:
      if not path.is_file():
        names = [p.name for p in path.parent.glob("*.py")]
        raise InputError(f"no such file.{nearest(name, names)}")
      config = runpy.run_path(str(path))["get_config"](*[argument] if argument else [])
      config.update_from_flattened_dict(self.overrides(root, runs))
      return experiments.from_config(config)
    except Exception as error:  # pylint: disable=broad-exception-caught
      # A config is a program of its own: whatever it raises is told by name.
      kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
      raise InputError(f"{self.system.id}/{self.run.name}: config {self.run.config}: {kind}"
                       f"{error}") from error


@dataclasses.dataclass(frozen=True)
class Standing:
  """How far a run is, in a word and in words.

  state: 'complete', 'trained' (what tfae-evaluate adds is missing), 'failed', 'unfinished' or
    'not run'.
  lines: of its metrics.jsonl, without evaluations that its run does not ask for.
  seconds: wall time of its processes so far, None if not known.
  made_on: as `tfae.machine.made_on` at its last training, {} if not known.
  """
  state: str
  text: str
  lines: tuple = ()
  seconds: float | None = None
  made_on: dict = dataclasses.field(default_factory=dict)


def seeds_there(system, run, root):
  """Returns the seeds of a run that have a folder, in order."""
  parent = Job(system, run, 0).folder(root).parent
  names = [path.name for path in parent.iterdir()] if parent.is_dir() else []
  return sorted(int(name[4:]) for name in names if re.fullmatch("seed[0-9]+", name))


def by_name(systems):
  """Returns {'ID/LABEL/VARIANT': (System, Run)} in the order of the table."""
  return {f"{system.id}/{run.name}": (system, run) for system in systems for run in system.runs}


def select(systems, only):
  """Returns the [(System, Run)] that are named in `only`, and those which they need before them.

  Args:
    systems: the table.
    only: names: an id, a label, 'ID/LABEL', 'ID/LABEL/VARIANT'; empty: all.

  Raises:
    InputError: a name that is none of these.
  """
  runs = by_name(systems)
  names = [*(system.id for system in systems), *LABELS,
           *dict.fromkeys(f"{system.id}/{run.label}" for system, run in runs.values()), *runs]
  for name in only:
    if name not in names:
      raise InputError(f"--only={shown(name)}: no such system or run.{nearest(name, names)} There "
                       f"are {', '.join(system.id for system in systems)}, each alone or with a "
                       f"label ({', '.join(LABELS)}), as in {systems[0].id}/{LABELS[0]}.")

  def wanted(name, system, run):
    return not only or {system.id, run.label, f"{system.id}/{run.label}", name} & set(only)

  result = {}

  def add(name):
    if name not in result:
      if runs[name][1].needs:
        add(runs[name][1].needs)
      result[name] = runs[name]

  for name, (system, run) in runs.items():
    if wanted(name, system, run):
      add(name)
  return list(result.values())


def plan(chosen, seeds=None):
  """Returns the Jobs of [(System, Run)] in their order; `seeds`: how many each, None: as it says.

  A run that another one needs gets as many seeds as that one.
  """
  counts = {f"{system.id}/{run.name}": seeds or run.seeds for system, run in chosen}
  for system, run in reversed(chosen):  # those which need come after those which are needed
    if run.needs:
      counts[run.needs] = max(counts[run.needs], counts[f"{system.id}/{run.name}"])
  return [Job(system, run, seed) for system, run in chosen
          for seed in range(counts[f"{system.id}/{run.name}"])]


def standing(job, root, systems):
  """Returns the Standing of a job, from its folder alone."""
  folder = job.folder(root)
  try:
    record, lines = _read_record(folder), _lines(job.run, folder)
  except InputError as error:
    return Standing("failed", f"failed: {_reason(str(error))}")
  kept = {"lines": lines, "seconds": record.get("seconds"), "made_on": record.get("made_on", {})}
  try:
    experiment = job.experiment(root, by_name(systems))
  except InputError as error:
    return Standing("failed", f"failed: {_reason(str(error))}", **kept)
  if not lines and not record:
    return Standing("not run", "not run")
  if record.get("failed"):
    return Standing("failed", f"failed: {record['failed']}", **kept)
  return Standing(*_progress(job, experiment, folder, record, lines), **kept)


def _progress(job, experiment, folder, record, lines):
  """Returns (state, text) of a Standing, whether the last session failed or not."""
  try:
    found, values = workdirs.read_config(folder)
    if found is None or experiments.differences(values["experiment"],
                                                experiments.to_json(experiment)):
      return "unfinished", "what is there is of another config"
  except InputError as error:
    if not (folder / "config.json").exists():  # killed before its first save
      return "unfinished", "has no config.json" if lines else "just begun"
    return "unfinished", _reason(str(error))
  kinds = {line["kind"] for line in lines}
  if "test" in kinds and record.get("complete") == [experiment.epochs, experiment.steps]:
    missing = [kind for kind in job.run.evaluations if kind not in kinds]
    if missing:
      return "trained", f"is trained; its {' and '.join(missing)} is missing"
    return "complete", "complete"
  epoch = max((line["epoch"] for line in lines if line["kind"] == "epoch"), default=0)
  where = (f"at step {lines[-1]['step'] if lines else 0} of {experiment.steps}" if experiment.steps
           else f"at epoch {epoch} of {experiment.epochs}")
  return "unfinished", where


def _lines(run, folder):
  """Returns the lines of metrics.jsonl; of those of tfae-evaluate only what `run` asks for."""
  lines = workdirs.read_metrics(folder)
  if not any(line["kind"] in _EVALUATED for line in lines):
    return tuple(lines)
  ends = [line["step"] for line in lines if line["kind"] == "test"]
  try:
    images = run.likelihood_images or workdirs.read_config(folder)[1]["data"]["test"]
  except InputError:
    images = 0
  # Somebody may have called tfae-evaluate with other flags, or before the training had ended.
  asked = {"pca": {"split": "test"},
           "log_likelihood": {"samples": run.likelihood, "images": images, "split": "test",
                              "step": ends[-1] if ends else -1}}
  return tuple(line for line in lines if line["kind"] not in _EVALUATED or all(
      line.get(name) == value for name, value in asked[line["kind"]].items()))


def read_figure(figure, lines):
  """Returns the number that a Figure is, from the lines of metrics.jsonl.

  Raises:
    InputError: there is no such line, or no such field in it.
  """
  of_kind = [line for line in lines if line["kind"] == figure.kind
             and figure.epoch in (None, line["epoch"])]
  if not of_kind:
    when = "" if figure.epoch is None else f" of epoch {figure.epoch}"
    raise InputError(f"metrics.jsonl has no {figure.kind} line{when}")
  line = of_kind[-1]
  if not isinstance(line.get(figure.name), (int, float)):
    names = [n for n in line if n not in ("kind", "step", "epoch", "timing")]
    raise InputError(f"metrics.jsonl has no {figure.name} in its {figure.kind} lines; it has "
                     f"{', '.join(names)}.{nearest(figure.name, names)}")
  return figure.offset + figure.scale * line[figure.name]


class Reproduction:
  """Runs jobs one after the other; what is complete is left alone, what fails is recorded."""

  def __init__(self, systems, root, *, data_dir=None, program=PROGRAM, evaluator=EVALUATOR,
               made_on=None):
    """Prepares.

    Args:
      systems: the table.
      root: folder of all runs.
      data_dir: passed on to tfae-train and tfae-evaluate, or None.
      program, evaluator: what is started with the flags of tfae-train and of tfae-evaluate.
      made_on: function that returns `Standing.made_on`; asked once, if anything is run at all.
    """
    self._systems, self._root = systems, root
    self._program, self._evaluator = program, evaluator
    self._runs = by_name(systems)
    self._data = [f"--data_dir={data_dir}"] if data_dir else []
    self._ask_made_on = made_on or (lambda: machine.made_on(configs_folder().parent))
    self._made_on = self._child = None

  def __call__(self, jobs, after_each=lambda: None):
    """Runs the jobs; calls `after_each()` when one has ended, prints a line for each.

    Returns:
      number of the signal that stopped it, or None. The job that was running has been saved then,
      and goes on next time.

    Raises:
      InputError: another tfae-reproduce runs in the same folder.
    """
    with workdirs.locked(self._root), Signals(self._forward) as signals:
      for number, job in enumerate(jobs, 1):
        self._run(job, f"[{number}/{len(jobs)}] {job.name}", signals)
        after_each()
        if signals.received is not None:
          break
      return signals.received

  def _forward(self, number):
    """The child is in a session of its own: Ctrl-C reaches it once, through here."""
    if self._child:
      self._child.send_signal(number)

  def _standing(self, job):
    return standing(job, self._root, self._systems)

  def _run(self, job, title, signals):
    if self._standing(job).state == "complete":
      print(f"{title}: is complete", flush=True)
      return
    try:
      experiment = job.experiment(self._root, self._runs)
    except InputError as error:
      print(f"{title}: failed: {_reason(str(error))}", flush=True)
      return
    folder = job.folder(self._root)
    try:
      folder.mkdir(parents=True, exist_ok=True)
      record = _closed(_read_record(folder), workdirs.read_metrics(folder))
    except (InputError, OSError) as error:
      print(f"{title}: failed: {_reason(str(error))}", flush=True)
      return
    if job.run.needs:
      needed = Job(*self._runs[job.run.needs], job.seed)
      if self._standing(needed).state != "complete":
        self._end(folder, record, title, failed=f"needs {needed.name}, which is not complete")
        return
    code, last = 0, ""
    if _progress(job, experiment, folder, record, _lines(job.run, folder))[0] != "trained":
      record["complete"] = None
      code, last = self._train(job, folder, record, title, signals)
      if code == 0:
        record["complete"] = [experiment.epochs, experiment.steps]
    if code == 0 and job.run.evaluations and signals.received is None:
      code, last = self._evaluate(job, folder, record, title, signals)
    state, text = _progress(job, experiment, folder, record, _lines(job.run, folder))
    if state == "complete":  # tfae-evaluate ends with 1 where PCA is better
      self._end(folder, record, title, "complete")
    elif signals.received is not None:
      self._end(folder, record, title, "stopped; it goes on next time")
    else:
      if code < 0:
        last = f"killed by signal {-code}, after {last!r}"
      self._end(folder, record, title, failed=_reason(
          text if code == 0 else last or f"exit code {code}"))

  def _train(self, job, folder, record, title, signals):
    """Returns (exit code, last line) of tfae-train on a job; counts its seconds."""
    flags = [f"--config={configs_folder() / job.run.config}", f"--workdir={folder}",
             *(f"--config.{name}={value}"
               for name, value in job.overrides(self._root, self._runs).items())]
    self._made_on = self._made_on or self._ask_made_on()
    since, began = time.time(), time.monotonic()
    record.update(began=since, made_on=self._made_on, failed=None)
    _write_record(folder, record)
    end = self._pass_on("tfae-train", self._program, flags, title, signals)
    record["began"] = None
    if _trained(workdirs.read_metrics(folder), since):  # not: "was complete already"
      _count(record, began)
    return end

  def _evaluate(self, job, folder, record, title, signals):
    """Returns (exit code, last line) of tfae-evaluate on a trained job; counts its seconds."""
    flags = [f"--workdir={folder}", *sum(job.run.evaluations.values(), [])]
    record["failed"] = None
    _write_record(folder, record)  # that it is trained, should this be killed
    began = time.monotonic()
    end = self._pass_on("tfae-evaluate", self._evaluator, flags, title, signals)
    _count(record, began)
    return end

  def _end(self, folder, record, title, how=None, failed=None):
    _write_record(folder, {**record, "failed": failed})
    seconds = record.get("seconds")
    print(f"{title}: {how or f'failed: {failed}'}" + (f" ({seconds:,.0f} s)" if seconds else ""),
          flush=True)

  def _pass_on(self, name, program, flags, title, signals):
    """Returns (exit code, last line) of a process whose lines are passed on."""
    print(f"{title}: {name} {' '.join(flags)}", flush=True)
    last = ""
    with subprocess.Popen([*program, *flags, *self._data], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", start_new_session=True) as self._child:
      try:
        if signals.received is not None:  # it came while the process was being started
          self._forward(signals.received)
        for line in self._child.stdout:
          print(line, end="", flush=True)
          last = line.strip() or last
      except BaseException:  # a second Ctrl-C: not to be left running
        self._child.kill()
        raise
    code, self._child = self._child.returncode, None
    return code, last


def _count(record, began):
  record["seconds"] = record.get("seconds", 0.0) + time.monotonic() - began


def _trained(lines, since):
  # What is evaluated at the end is evaluated anew, also of a run that is complete.
  return any(line["kind"] not in ("test", *_EVALUATED) and not line.get("closing")
             and line.get("timing", {}).get("time", 0) >= since for line in lines)


def _reason(text):
  text = " ".join(text.removeprefix("error: ").removeprefix("stopped: ").split())
  return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON - 3] + "..."


def _read_record(folder):
  try:
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))
  except FileNotFoundError:
    return {}
  except NotADirectoryError:
    raise InputError(f"{folder}: a file is where the run's folder would be. Move it away."
                     ) from None
  except (OSError, ValueError) as error:
    raise InputError(f"{folder / RECORD}: can't be read ({error}). Remove it: the run is then "
                     "looked at anew, and its seconds are counted from there.") from None


def _write_record(folder, record):
  files.write(folder / RECORD, json.dumps(record, indent=2) + "\n")


def _closed(record, lines):
  """Adds a session that was killed together with its parent: it lasted until its last line."""
  if record.get("began"):
    last = max((line["timing"]["time"] for line in lines if "timing" in line), default=0)
    record["seconds"] = record.get("seconds", 0.0) + max(0.0, last - record["began"])
    record["began"] = None
  return record
