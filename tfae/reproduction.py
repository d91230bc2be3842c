"""Running the systems: one process a run and seed, resumable, recorded in the run's folder."""

import json
import subprocess
import sys
import time

from tfae import files, machine, standings
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.jobs import Job, by_name
from tfae.signals import Signals
from tfae.specs.systems import configs_folder

PROGRAM = (sys.executable, "-m", "tfae.bin.train")
EVALUATOR = (sys.executable, "-m", "tfae.bin.evaluate")
DETECTOR = (sys.executable, "-m", "tfae.bin.anomaly")


class Reproduction:
  """Runs jobs one after the other; what is complete is left alone, what fails is recorded."""

  def __init__(self, systems, root, *, data_dir=None, program=PROGRAM, evaluator=EVALUATOR,
               detector=DETECTOR, made_on=None):
    """Prepares.

    Args:
      systems: the table.
      root: folder of all runs.
      data_dir: passed on to the programs, or None.
      program, evaluator, detector: what is started with the flags of tfae-train, tfae-evaluate and
        tfae-anomaly.
      made_on: function that returns `Standing.made_on`; asked once, if anything is run at all.
    """
    self._systems, self._root = systems, root
    self._program, self._evaluator, self._detector = program, evaluator, detector
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
    return standings.standing(job, self._root, self._systems)

  def _run(self, job, title, signals):
    if self._standing(job).state == "complete":
      print(f"{title}: is complete", flush=True)
      return
    try:
      experiment = job.experiment(self._root, self._runs)
    except InputError as error:
      print(f"{title}: failed: {standings.reason(str(error))}", flush=True)
      return
    folder = job.folder(self._root)
    try:
      folder.mkdir(parents=True, exist_ok=True)
      record = _closed(standings.read_record(folder), workdirs.read_metrics(folder))
    except (InputError, OSError) as error:
      print(f"{title}: failed: {standings.reason(str(error))}", flush=True)
      return
    if job.run.needs:
      needed = Job(*self._runs[job.run.needs], job.seed)
      if self._standing(needed).state != "complete":
        self._end(folder, record, title, failed=f"needs {needed.name}, which is not complete")
        return
    code, last = 0, ""
    progress = lambda: standings.progress(job, experiment, folder, record,
                                          standings.lines_of(job.run, folder))
    if progress()[0] != "trained":
      record["complete"] = None
      code, last = self._train(job, folder, record, title, signals)
      if code == 0:
        record["complete"] = [experiment.epochs, experiment.steps]
    if code == 0 and job.run.evaluations and signals.received is None:
      code, last = self._evaluate(job, folder, record, title, signals)
    state, text = progress()
    if state == "complete":  # tfae-evaluate ends with 1 where PCA is better
      self._end(folder, record, title, "complete")
    elif signals.received is not None:
      self._end(folder, record, title, "stopped; it goes on next time")
    else:
      if code < 0:
        last = f"killed by signal {-code}, after {last!r}"
      self._end(folder, record, title, failed=standings.reason(
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
    """Returns (exit code, last line) of tfae-evaluate, tfae-anomaly or both on a trained job, as it
    asks; counts their seconds."""
    asked = dict(job.run.evaluations)
    programs = []
    if "anomaly" in asked:
      programs.append(("tfae-anomaly", self._detector, asked.pop("anomaly")))
    if asked:
      programs.insert(0, ("tfae-evaluate", self._evaluator, sum(asked.values(), [])))
    record["failed"] = None
    _write_record(folder, record)  # that it is trained, should this be killed
    began = time.monotonic()
    for name, program, flags in programs:
      end = self._pass_on(name, program, [f"--workdir={folder}", *flags], title, signals)
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
  return any(line["kind"] not in ("test", *standings.EVALUATED) and not line.get("closing")
             and line.get("timing", {}).get("time", 0) >= since for line in lines)


def _write_record(folder, record):
  files.write(folder / standings.RECORD, json.dumps(record, indent=2) + "\n")


def _closed(record, lines):
  """Adds a session that was killed together with its parent: it lasted until its last line."""
  if record.get("began"):
    last = max((line["timing"]["time"] for line in lines if "timing" in line), default=0)
    record["seconds"] = record.get("seconds", 0.0) + max(0.0, last - record["began"])
    record["began"] = None
  return record
