"""Checkpoints that survive a kill at any instant, and damage that does not pass for a fresh start.

TensorFlow writes the index of a checkpoint in place, syncs nothing, and finds the latest through a
state file that may lie. Here a checkpoint is written beside the others, synced, and renamed, its
index last: an index that exists is whole. The list of index files is the truth; the state file is
kept for other tools only.
"""

import logging
import os
import pathlib
import re
import shutil

import tensorflow as tf

from tfae import files
from tfae.errors import InputError

_LOG = logging.getLogger(__name__)
_INDEX = re.compile(r"ckpt-(\d+)\.index")


def steps(directory):
  """Returns the steps that have a checkpoint in `directory`, newest first; [] for no folder."""
  directory = pathlib.Path(directory)
  names = os.listdir(directory) if directory.is_dir() else []
  return sorted((int(m[1]) for m in map(_INDEX.fullmatch, names) if m), reverse=True)


class Checkpoints:
  """Saves and restores objects under one folder; one process at a time writes there."""

  def __init__(self, directory, objects, keep=3):
    """Takes {name: trackable}; `keep` newest checkpoints stay, and the best."""
    self.directory = pathlib.Path(directory)
    self._checkpoint = tf.train.Checkpoint(**objects)
    self._keep = keep
    self._newest = None

  def save(self, step, best_step=None):
    """Writes ckpt-<step> and removes those that are neither among the newest nor the best.

    Does nothing if `step` is the one that was saved or restored last.
    """
    if step == self._newest:
      return
    self.directory.mkdir(parents=True, exist_ok=True)
    for stale in self.directory.glob(".tmp-*"):
      shutil.rmtree(stale)
    temporary = self.directory / f".tmp-{os.getpid()}"
    temporary.mkdir()
    try:
      self._checkpoint.write(str(temporary / f"ckpt-{step}"))
    except BaseException:
      shutil.rmtree(temporary)  # a full disk needs its space
      raise
    written = sorted(temporary.glob("ckpt-*"))  # .data-* sorts before .index
    for file in written:
      files.sync(file)
    for file in written:
      file.rename(self.directory / file.name)
    files.sync(self.directory)
    temporary.rmdir()
    self._newest = step
    kept = steps(self.directory)
    kept = [s for i, s in enumerate(kept) if i < self._keep or s == best_step]
    files.write(self.directory / "checkpoint", _state_file(step, reversed(kept)))
    for old in set(steps(self.directory)) - set(kept):
      # The index first: what is left of a killed removal is not a checkpoint.
      for file in sorted(self.directory.glob(f"ckpt-{old}.*"), reverse=True):
        file.unlink()

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
        # Consumed by both sides: no variable without a value, no value without a variable.
        self._checkpoint.read(str(self.directory / f"ckpt-{step}")).assert_consumed()
      # Damage shows as IndexError, OpError, DecodeError, AssertionError, ...: all mean unusable.
      except Exception as error:  # pylint: disable=broad-exception-caught
        damaged[step] = _reason(error)
        _LOG.warning("checkpoint %s is damaged (%s); trying the one before it.",
                        self.directory / f"ckpt-{step}", damaged[step])
        continue
      self._newest = step
      self._set_aside(damaged, step)
      return step
    raise InputError(
        f"no usable checkpoint in {self.directory}: " + (
            "; ".join(f"ckpt-{s}: {reason}" for s, reason in damaged.items()) or "none found")
        + ". Restore the folder from a copy, or start anew with another --workdir.")

  def _set_aside(self, damaged, restored):
    orphans = {file.name.split(".")[0] for file in self.directory.glob("ckpt-*.data-*")}
    orphans = {int(name[5:]) for name in orphans if name[5:].isdigit()} - set(steps(self.directory))
    for step in sorted(orphans):
      if step > restored:
        _LOG.warning("checkpoint %s has data but no index; using ckpt-%d.",
                        self.directory / f"ckpt-{step}", restored)
    for step in {*damaged, *orphans}:
      (self.directory / "damaged").mkdir(exist_ok=True)
      for file in self.directory.glob(f"ckpt-{step}.*"):
        file.replace(self.directory / "damaged" / file.name)


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
  found = steps(directory)
  if not found:
    raise InputError(f"no checkpoint in {directory}. Train first: tfae-train --workdir=...")
  if which == "latest":
    candidates = found
  elif which == "best":
    best = next((b for b in map(lambda s: _best_step(directory, s), found) if b is not None), -1)
    if best < 0:
      raise InputError("checkpoint='best': this run has evaluated no validation set. Use "
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
      status = tf.train.Checkpoint(model=model).read(str(pathlib.Path(directory) / f"ckpt-{step}"))
      status.assert_existing_objects_matched().expect_partial()
      return step
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
    reader = tf.train.load_checkpoint(str(pathlib.Path(directory) / f"ckpt-{step}"))
    return int(reader.get_tensor("progress/best_step/.ATTRIBUTES/VARIABLE_VALUE"))
  except Exception:  # pylint: disable=broad-exception-caught
    return None


def _reason(error):
  text = (str(error).strip() or repr(error)).splitlines()[0]
  return f"{type(error).__name__}: {text[:200]}"
