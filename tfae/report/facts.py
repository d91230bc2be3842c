"""What a run's folder says of the run, as plain values: without TensorFlow, without a look at data.

Nothing here disturbs a run in training.
"""

import bisect
import dataclasses
import fcntl
import functools
import pathlib
import re
import statistics

from tfae import experiment as experiments
from tfae import sessions as histories
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.report import layers, settings
from tfae.views import material

SPLITS = ("train", "validation", "test")
_LINE = ("kind", "step", "epoch", "timing", "closing")  # what is no metric in a line
_CHECKPOINT = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")
# Of a hand-built model there are no such sections: it is described instead.
NOT_OF_FIT = ("data", "model", "task", "transfer", "placement")


@dataclasses.dataclass(frozen=True)
class State:
  """How far a run is.

  word: 'complete', 'stopped early', 'in training', 'interrupted', 'diverged', 'just begun', or
    'unknown': the lines that would tell are lost.
  text: the same in a sentence, with the reason where it is known.
  """
  word: str
  text: str


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """One on the disk: its step, bytes, and what it is ('newest', 'lowest validation loss', '')."""
  step: int
  size: int
  what: str


@dataclasses.dataclass(frozen=True)
class Facts:
  """A run.

  workdir, name: the folder, and its last part.
  state: a State.
  experiment: a `tfae.experiment.Experiment`; None of a run of tfae.fit.
  config: config.json as a dict.
  lines: of metrics.jsonl, as dicts.
  sessions: `tfae.sessions.Session`s, oldest first; () of a run before there were any.
  settings: `tfae.report.settings.Setting`s, of tfae.fit those of its options.
  layers: `tfae.report.layers.Layer`s; () if `layers_missing` says why.
  checkpoints: newest first.
  loss: what is trained for, with its unit; None if config.json does not say.
  step, total_steps, steps_per_epoch: where it is, where it ends, and what an epoch has.
  """
  workdir: str
  name: str
  state: State
  experiment: object
  config: dict
  lines: tuple
  sessions: tuple
  settings: tuple
  layers: tuple
  layers_missing: str
  checkpoints: tuple
  loss: str | None
  step: int
  total_steps: int
  steps_per_epoch: int

  @property
  def data(self):
    """The section `data` of config.json."""
    return self.config["data"]

  @property
  def task(self):
    """Name of the task; of tfae.fit None."""
    return self.experiment and self.experiment.task.name()

  @property
  def parameters(self):
    """Number of parameters, each counted once; None if the layers are not known."""
    return None if self.layers_missing else sum(layer.parameters for layer in self.layers)

  @property
  def code_shape(self):
    """Shape of the codes; None where no decoder says that there are any, or layers are unknown."""
    if not any(layer.name.startswith("decoder/") for layer in self.layers):
      return None
    return [layer.shape for layer in self.layers
            if layer.name.split("/")[0] in ("encoder", "mean") and layer.name.count("/") == 1][-1]

  @property
  def metrics_of_splits(self):
    """Names of the metrics of an evaluation, in their order; of an unevaluated run the loss."""
    lines = self.of_kind("test") + self.of_kind("validation")
    return list(metrics(lines[0])) if lines else ["loss"]

  @property
  def rise(self):
    """A sentence, where the last epoch's mean loss is no lower than the first's; else ''."""
    epochs, losses = self.of_kind("epoch"), self.series("epoch", "loss")[1]
    if len(losses) < 2 or losses[-1] < losses[0]:
      return ""
    first, last = (f"{loss:.6g} on average in epoch {line['epoch']}"
                   for loss, line in ((losses[0], epochs[0]), (losses[-1], epochs[-1])))
    return (f"The training loss did not fall: {first}, {last}. A lower learning rate or the "
            "optimizer's clip_norm=1 may help.")

  @property
  def placement_asked(self):
    """The placement of the config in words."""
    return ", ".join(f"{s.name.partition('.')[2]} {s.value}" for s in self.settings
                     if s.name.startswith("placement.")) or "not known"

  def of_kind(self, kind):
    """Returns the lines of one kind, such as 'validation'."""
    return [line for line in self.lines if line["kind"] == kind]

  def last(self, kind):
    """Returns {metric: number} of the newest line of a kind, {} if there is none."""
    return metrics(self.of_kind(kind)[-1]) if self.of_kind(kind) else {}

  def series(self, kind, name, by="step"):
    """Returns (x, values) of a metric, or of a field of `timing`, in the lines of a kind.

    Args:
      kind: such as 'validation'.
      name: such as 'loss'.
      by: what x is: 'step', or 'seconds' of training; of those there may be none.
    """
    at = self.seconds if by == "seconds" else [line["step"] for line in self.lines]
    found = [(x, line.get(name, line.get("timing", {}).get(name)))
             for x, line in zip(at, self.lines) if line["kind"] == kind]
    found = [(x, value) for x, value in found if isinstance(value, (int, float))]
    return [x for x, _ in found], [value for _, value in found]

  @functools.cached_property
  def seconds(self):
    """Seconds of training at each of `lines`, pauses between processes left out; [] if unknown.

    Of a run without sessions the seconds since its first line, pauses included.
    """
    times = [line.get("timing", {}).get("time") for line in self.lines]
    if None in times or not times:
      return []
    began = [session.began for session in self.sessions] or [times[0]]
    found, before, current, last = [], 0.0, None, 0.0
    for time, line in zip(times, self.lines):
      # What tfae-evaluate added later is no training.
      at = bisect.bisect_right(began, time) - 1
      if line["kind"] in (*SPLITS, "epoch") and at >= 0:
        if at != current:
          before, current = last, at
        last = max(last, before + time - began[at])
      found.append(last)
    return found

  @property
  def epoch_seconds(self):
    """Median of the seconds that an epoch took, its evaluation included; None if not known."""
    times = [line["timing"]["time"] for line in self.of_kind("epoch")
             if "time" in line.get("timing", {})]
    # The median passes over the epochs in which the run was stopped and resumed.
    return statistics.median(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else None


def metrics(line):
  """Returns {name: number} of a line of metrics.jsonl."""
  return {name: value for name, value in line.items()
          if name not in _LINE and isinstance(value, (int, float)) and not isinstance(value, bool)}


def gather(workdir):
  """Returns the Facts of a run in a folder, in whatever state it is.

  Raises:
    InputError: no run there, or one of its files is damaged or can't be read.
  """
  experiment, config = workdirs.read_config(workdir)
  path, data = pathlib.Path(workdir), config["data"]
  lines, sessions = tuple(workdirs.read_metrics(path)), tuple(histories.read(path))
  if experiment is None:
    description = config["fit"]["model"]
    options = {name: value for name, value in config["fit"].items() if name != "model"}
    written = experiments.from_json({**experiments.to_json(experiments.Experiment()), **options})
    fields = settings.of(written, leave=NOT_OF_FIT)
  else:
    written, fields = experiment, settings.of(experiment)
  rows, missing = (), ""
  try:
    rows = tuple(layers.of_experiment(experiment, data) if experiment else
                 layers.of_description(description, data["image_shape"]))
  except InputError as error:
    missing = str(error)
  per_epoch = -(-data["train"] // written.batch_size)
  total = written.steps or written.epochs * per_epoch
  kept = _checkpoints(path, lines)
  step = max([line["step"] for line in lines] + [kept[0].step if kept else 0])
  return Facts(
      workdir=str(workdir), name=path.resolve().name, experiment=experiment, config=config,
      state=_state(_in_training(path), lines, sessions, step, total), lines=lines,
      sessions=sessions, settings=tuple(fields), layers=rows, layers_missing=missing,
      checkpoints=kept, loss=material.Material(path).loss_unit if experiment else
      description.get("loss"), step=step, total_steps=total, steps_per_epoch=per_epoch)


def _state(in_training, lines, sessions, step, total):
  """Returns the State; a line of kind 'test' closes a run, and is taken away when it goes on."""
  where, last = f"step {step:,} of {total:,}", sessions[-1] if sessions else None
  if in_training:
    return State("in training", f"In training, at {where} when this was written.")
  if any(line["kind"] == "test" for line in lines):
    if step < total:
      return State("stopped early", f"Stopped early, as its config asks for, at {where}.")
    return State("complete", f"Complete: {step:,} steps.")
  if last and last.how == "not finite":
    return State("diverged", f"Diverged: {last.why}")
  if last and last.how == "signal":
    return State("interrupted", f"Stopped by signal {last.why} at {where}; the same command "
                                "resumes it.")
  if not lines and not step:
    return State("just begun", f"Just begun: no line of metrics.jsonl yet; {where}.")
  if not lines:
    return State("unknown", f"metrics.jsonl has no whole line, though there is a checkpoint of "
                            f"{where}: what was measured can't be shown.")
  return State("interrupted", f"Not complete, and no process is training: it was killed or failed "
                              f"at {where} or later. The same command resumes it.")


def _in_training(path):
  """Returns whether a process holds the folder; see `tfae.workdir.locked`."""
  try:
    with open(path / "lock", encoding="utf-8") as file:
      # Shared, and for no longer than this takes.
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  except OSError:  # no such file: a copy of a run
    return False
  return False


def _checkpoints(path, lines):
  """Returns the Checkpoints, newest first."""
  sizes, whole = {}, set()
  for file in (path / "checkpoints").glob("ckpt-*"):
    match = _CHECKPOINT.fullmatch(file.name)
    if match:
      try:
        size = file.stat().st_size
      except FileNotFoundError:  # a run in training has just removed it
        continue
      sizes[int(match[1])] = sizes.get(int(match[1]), 0) + size
      whole |= {int(match[1])} if match[2] == "index" else set()
  losses = {line["step"]: line["loss"] for line in lines if line["kind"] == "validation"
            and not line.get("closing") and isinstance(line.get("loss"), (int, float))}
  best = min(losses, key=losses.get, default=None)
  steps = sorted(whole, reverse=True)
  return tuple(Checkpoint(step, sizes[step], ", ".join(
      ["newest"] * (step == steps[0]) + ["lowest validation loss"] * (step == best)))
      for step in steps)
