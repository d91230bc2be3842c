"""How far a run of the systems is, and its figures, from what lies in its folder.

The folder is ROOT/<id>/<label>[-<variant>]/seed<k>, made by tfae-train. Beside its files there lies
reproduce.json: how long the run took and how it ended. Figures never come from there.
"""

import dataclasses
import json
import re

from tfae import experiment as experiments
from tfae import thresholds
from tfae import workdir as workdirs
from tfae.errors import InputError, nearest
from tfae.jobs import Job, by_name

RECORD = "reproduce.json"
EVALUATED = ("pca", "log_likelihood", "anomaly")  # kinds of lines added to a trained run
_LONGEST_REASON = 300  # characters of a failure in a table


@dataclasses.dataclass(frozen=True)
class Standing:
  """How far a run is, in a word and in words.

  state: 'complete', 'trained' (what is added to a trained run is missing), 'failed', 'unfinished' or
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


def standing(job, root, systems):
  """Returns the Standing of a job, from its folder alone."""
  folder = job.folder(root)
  try:
    record, lines = read_record(folder), lines_of(job.run, folder)
  except InputError as error:
    return Standing("failed", f"failed: {reason(str(error))}")
  kept = {"lines": lines, "seconds": record.get("seconds"), "made_on": record.get("made_on", {})}
  try:
    experiment = job.experiment(root, by_name(systems))
  except InputError as error:
    return Standing("failed", f"failed: {reason(str(error))}", **kept)
  if not lines and not record:
    return Standing("not run", "not run")
  if record.get("failed"):
    return Standing("failed", f"failed: {record['failed']}", **kept)
  return Standing(*progress(job, experiment, folder, record, lines), **kept)


def progress(job, experiment, folder, record, lines):
  """Returns (state, text) of a Standing, whether the last session failed or not."""
  try:
    found, values = workdirs.read_config(folder)
    if found is None or experiments.differences(values["experiment"],
                                                experiments.to_json(experiment)):
      return "unfinished", "what is there is of another config"
  except InputError as error:
    if not (folder / "config.json").exists():  # killed before its first save
      return "unfinished", "has no config.json" if lines else "just begun"
    return "unfinished", reason(str(error))
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


def lines_of(run, folder):
  """Returns the lines of metrics.jsonl; of those of EVALUATED only what `run` asks for."""
  lines = workdirs.read_metrics(folder)
  if not any(line["kind"] in EVALUATED for line in lines):
    return tuple(lines)
  ends = [line["step"] for line in lines if line["kind"] == "test"]
  try:
    images = run.likelihood_images or workdirs.read_config(folder)[1]["data"]["test"]
  except InputError:
    images = 0
  last = ends[-1] if ends else -1
  # Somebody may have called the programs with other flags, or before the training had ended.
  asked = {"pca": {"split": "test"},
           "log_likelihood": {"samples": run.likelihood, "images": images, "split": "test",
                              "step": last},
           "anomaly": {"split": "test", "step": last, "method": "quantile",
                       "level": thresholds.QUANTILE}}
  return tuple(line for line in lines if line["kind"] not in EVALUATED or all(
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


def reason(text):
  text = " ".join(text.removeprefix("error: ").removeprefix("stopped: ").split())
  return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON - 3] + "..."


def read_record(folder):
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
