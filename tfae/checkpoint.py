"""Checkpoints that survive a kill at any instant, and damage that does not pass for a fresh start.

TensorFlow writes the index of a checkpoint in place, syncs nothing, and finds the latest through a
state file that may lie. Here a checkpoint is written beside the others, synced, and renamed, its
index last: an index that exists is whole. The list of index files is the truth; the state file is
kept for other tools only.
"""

import itertools
import logging
import os
import pathlib
import re

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tfae import files
from tfae.errors import InputError

_LOG = logging.getLogger(__name__)
_INDEX = re.compile(r"ckpt-(\d+)\.index")
_INDEX_OR_DATA = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")


def steps(directory):
  """Returns the steps that have a checkpoint in `directory`, newest first; [] for no folder."""
  return _steps_of(directory, _INDEX)


def _steps_of(directory, pattern):
  directory = pathlib.Path(directory)
  names = os.listdir(directory) if directory.is_dir() else []
  return sorted({int(m[1]) for m in map(pattern.fullmatch, names) if m}, reverse=True)


class Checkpoints:
  """Saves and restores objects under one folder; one process at a time writes there."""

  def __init__(self, directory, objects, keep=3):
    """Takes {name: trackable}; `keep` newest checkpoints stay, and the best.

    One is named 'progress' and has an int64 variable `step`: a checkpoint says itself of which
    step it is, whatever its files are called.
    """
    self.directory = pathlib.Path(directory)
    self._checkpoint = tf.train.Checkpoint(**objects)
    self._keep = keep
    self._newest = None

  def save(self, step, best_step=None):
    """Writes ckpt-<step> and removes those that are neither among the newest nor the best.

    Nothing is written again if `step` is the one that was saved or restored last; what a kill
    left undone of that save is done.

    Raises:
      InputError: a full disk, or a folder that can't be written; the checkpoints before it stay.
    """
    if step != self._newest:
      with files.writing(self.directory / f"ckpt-{step}", (OSError, tf.errors.OpError)):
        self._write(step)
      self._newest = step
    kept = steps(self.directory)
    kept = [s for i, s in enumerate(kept) if i < self._keep or s == best_step]
    files.write(self.directory / "checkpoint", _state_file(step, reversed(kept)))
    # Also what is left of removals that were killed: data without an index.
    for old in set(_steps_of(self.directory, _INDEX_OR_DATA)) - set(kept):
      with files.writing(self.directory / f"ckpt-{old}"):
        # The index first: what is left of a killed removal is not a checkpoint.
        for file in sorted(self.directory.glob(f"ckpt-{old}.*"), reverse=True):
          files.remove(file)
          files.reached("pruning")

  def _write(self, step):
    self.directory.mkdir(parents=True, exist_ok=True)
    files.clear_stale(self.directory)
    temporary = files.temporary_folder(self.directory)
    try:
      files.reached("before data")
      self._checkpoint.write(str(temporary / f"ckpt-{step}"))
      written = sorted(temporary.glob("ckpt-*"))  # .data-* sorts before .index
      files.reached("after data")
      for file in written:
        files.sync(file)
      for file in written:
        files.reached(f"before rename of {file.suffix[1:6]}")
        file.rename(self.directory / file.name)
        files.reached(f"after rename of {file.suffix[1:6]}")
      files.sync(self.directory)
    finally:
      files.remove(temporary)  # a full disk needs its space

  def restore(self):
    """Restores the newest checkpoint that is whole; returns its step.

    A damaged one is named in a warning, and moved to `damaged/` once an older one is restored.

    Raises:
      InputError: there is none, or none is usable; nothing was moved.
    """
    found = steps(self.directory)
    damaged = {}
    for step in found:
      try:
        _check_step(self.directory, step)
        # Consumed by both sides: no variable without a value, no value without a variable.
        self._checkpoint.read(str(self.directory / f"ckpt-{step}")).assert_consumed()
      # Damage shows as IndexError, OpError, DecodeError, AssertionError, ...: all mean unusable.
      except Exception as error:  # pylint: disable=broad-exception-caught
        damaged[step] = _reason(error)
        _LOG.warning("checkpoint %s is damaged (%s); trying the one before it.",
                        self.directory / f"ckpt-{step}", damaged[step])
        continue
      self._newest = step
      with files.writing(self.directory / "damaged"):
        self._set_aside(damaged, step)
      return step
    alone = _steps_of(self.directory, _INDEX_OR_DATA)
    none = (f"data without an index: {', '.join(f'ckpt-{s}' for s in alone)}" if alone
            else "none found")
    raise InputError(
        f"no usable checkpoint in {self.directory}: " + (
            "; ".join(f"ckpt-{s}: {reason}" for s, reason in damaged.items()) or none)
        + ". Restore the folder from a copy, or start anew with another --workdir.")

  def _set_aside(self, damaged, restored):
    orphans = set(_steps_of(self.directory, _INDEX_OR_DATA)) - set(steps(self.directory))
    orphans = {step for step in orphans if step > restored}  # older: of a removal, see save
    for step in sorted(orphans):
      _LOG.warning("checkpoint %s has data but no index; using ckpt-%d.",
                   self.directory / f"ckpt-{step}", restored)
    for step in {*damaged, *orphans}:
      (self.directory / "damaged").mkdir(exist_ok=True)
      for file in self.directory.glob(f"ckpt-{step}.*"):
        names = itertools.chain([file.name], (f"{file.name}.{n}" for n in itertools.count(1)))
        targets = (self.directory / "damaged" / name for name in names)
        file.rename(next(target for target in targets if not target.exists()))
        files.reached("setting aside")


def restore_model(model, directory, which="latest"):
  """Restores only `model` from a run's checkpoints, for export and evaluation; returns the step.

  Args:
    model: a trackable that was saved under the name 'model'.
    directory: the run's checkpoints.
    which: 'latest', 'best' (lowest validation loss), or a step.

  Raises:
    InputError: no such checkpoint, a damaged one (for 'latest', when none is whole), or a run
      without a validation set for 'best'.
  """
  def restore(step):
    status = tf.train.Checkpoint(model=model).read(str(pathlib.Path(directory) / f"ckpt-{step}"))
    status.assert_existing_objects_matched().expect_partial()
  return _first_usable(directory, which, restore)[1]


def read_weights(directory, which="latest"):
  """Returns ({name: array} of the model that a run's checkpoint holds, its step).

  The names are those that the variables had when they were saved; the model is not needed.

  Args:
    directory, which: as `restore_model`'s.

  Raises:
    InputError: as `restore_model`.
  """
  def read(step):
    reader = tf.train.load_checkpoint(str(pathlib.Path(directory) / f"ckpt-{step}"))
    nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")).nodes
    (root,) = [child.node_id for child in nodes[0].children if child.local_name == "model"]
    waiting, seen, values = [root], {root}, {}
    while waiting:
      node = nodes[waiting.pop()]
      for attribute in node.attributes:
        if attribute.full_name:
          values[attribute.full_name] = reader.get_tensor(attribute.checkpoint_key)
      found = {child.node_id for child in node.children} - seen
      seen |= found
      waiting += found
    return values
  return _first_usable(directory, which, read)


def _first_usable(directory, which, function):
  """Returns (what `function` makes of the first step of `which` that is whole, that step)."""
  found = steps(directory)
  if not found:
    raise InputError(f"no checkpoint in {directory}. Train first: tfae-train --workdir=...")
  if which == "latest":
    candidates = found
  elif which == "best":
    best = next((b for b in map(lambda s: _best_step(directory, s), found) if b is not None), -1)
    if best < 0:
      raise InputError("checkpoint='best': this run has evaluated no validation set at an "
                       "epoch's end. Use "
                       "'latest', or train with --config.data.validation=N.")
    candidates = [best]
  else:
    candidates = [int(which)] if str(which).isdecimal() else []
    if not candidates or candidates[0] not in found:
      raise InputError(f"checkpoint={which!r}: expected 'latest', 'best' or one of the steps "
                       f"{', '.join(map(str, found))} in {directory}.")
  reasons = []
  for step in candidates:
    try:
      _check_step(directory, step)
      return function(step), step
    except Exception as error:  # pylint: disable=broad-exception-caught
      reasons.append(f"ckpt-{step}: {_reason(error)}")
      _LOG.warning("checkpoint %s in %s is damaged (%s).", f"ckpt-{step}", directory,
                      reasons[-1])
  raise InputError(f"no usable checkpoint in {directory}: {'; '.join(reasons)}.")


def _state_file(newest, kept):
  """Returns what `tf.train.latest_checkpoint` reads."""
  lines = [f'model_checkpoint_path: "ckpt-{newest}"']
  lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in kept]
  return "\n".join(lines) + "\n"


def _best_step(directory, step):
  """Returns what the checkpoint of `step` knows of the best one; None if it is damaged."""
  try:
    _check_step(directory, step)
    return _progress(directory, step, "best_step")
  except Exception:  # pylint: disable=broad-exception-caught
    return None


def _check_step(directory, step):
  """Raises ValueError if ckpt-<step> is the checkpoint of another step, under a wrong name."""
  found = _progress(directory, step, "step")
  if found != step:
    raise ValueError(f"its files were renamed, they are those of step {found}")


def _progress(directory, step, name):
  """Returns an integer that ckpt-<step> holds of the run's progress."""
  reader = tf.train.load_checkpoint(str(pathlib.Path(directory) / f"ckpt-{step}"))
  return int(reader.get_tensor(f"progress/{name}/.ATTRIBUTES/VARIABLE_VALUE"))


def _reason(error):
  text = (str(error).strip() or repr(error)).splitlines()[0]
  return f"{type(error).__name__}: {text[:200]}"
