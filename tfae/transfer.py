"""The first weights of a run out of another run, or out of a file: once, before step 0."""

import logging
import pathlib

from tfae import checkpoint, weights
from tfae.errors import InputError

_LOG = logging.getLogger(__name__)


def begin(spec, model):
  """Moves weights into a model as the section `transfer` says, and freezes what it says.

  Args:
    spec: a `tfae.specs.sections.Transfer`.
    model: a `tfae.models.model.Model` with its first values.

  Returns:
    A record of what was done, as JSON values, for `again`; {} if the section is empty.

  Raises:
    InputError: a source that can't be read, or that has nothing for the model; arrays of another
      shape; a component to be frozen that was moved in part; nothing left to train.
  """
  if not spec.init_from:
    return {}
  path, prefix = split(spec.init_from)
  if path.suffix == ".npz":
    if spec.checkpoint != "latest":
      raise InputError(f"transfer.checkpoint={spec.checkpoint!r}: has no effect on a file. Leave "
                       "it out.")
    values, where = weights.read_npz(path), ""
  else:
    if not path.is_dir():
      raise InputError(f"transfer.init_from={spec.init_from!r}: there is no run in {str(path)!r}. "
                       "Name the folder of a run, or a file that ends in .npz.")
    values, step = checkpoint.read_weights(path / "checkpoints", spec.checkpoint)
    where = f" at step {step}"
  moved = weights.assign(model, values, f"transfer.init_from={spec.init_from!r}", prefix,
                         spec.exclude)
  whole, parts = _components(model, moved.names)
  frozen = model.frozen | (whole | parts if spec.freeze else frozenset())
  lacking = [n for name, stack in model.components.items() if name in frozen
             for n in _names(stack) if n not in moved.names]
  if lacking:
    raise InputError(f"transfer.init_from={spec.init_from!r}: of components that are to be frozen, "
                     f"these were not moved: {weights.listed(lacking)}. "
                     + _way_out(path, lacking, values, moved, parts - model.frozen, whole))
  model.frozen = frozen
  if not model.trainable:
    raise InputError(f"transfer.freeze=True: {', '.join(sorted(model.frozen))} would be frozen, "
                     "and nothing is left to train. Move less of it, as in init_from="
                     f"'{path}:{next(iter(model.components))}'.")
  _LOG.info("%s%s: took %d variables: %s.", spec.init_from, where, len(moved.names),
            ", ".join(moved.names))
  for text, names in (("not there, so that they start anew", moved.missing),
                      ("excluded", moved.excluded), ("there, and not in this model", moved.unused),
                      ("frozen", sorted(model.frozen))):
    if names:
      _LOG.info("%s: %s: %s.", spec.init_from, text, ", ".join(names))
  return {"init_from": spec.init_from, "moved": moved.names, "sha256": moved.sha256,
          "frozen": sorted(model.frozen)}


def again(spec, model, record):
  """Freezes the model of a run that is resumed as `begin` did; the source may be gone.

  Only one that is spelt otherwise is read: it must give the same weights.

  Args:
    spec: the section as it is now.
    model: the model; its checkpoint holds the weights.
    record: what `begin` returned.

  Returns:
    The record, with the source as it is spelt now.

  Raises:
    InputError: another source.
  """
  if spec.init_from != record.get("init_from", ""):
    found = begin(spec, model).get("sha256")
    if found != record.get("sha256"):
      raise InputError(f"transfer.init_from={spec.init_from!r}: the run started from "
                       f"{record.get('init_from') or 'initializers'!r}, which were other weights. "
                       "Use another workdir, or the value of the run.")
  model.frozen |= frozenset(record.get("frozen", ()))
  return {**record, "init_from": spec.init_from} if record else {}


def _way_out(path, lacking, values, moved, parts, whole):
  """Returns what to do about components to be frozen that were not moved, or in part.

  Args:
    path: of the source; values: {name: array} that are there.
    lacking: names of the variables that should have been moved; moved: a `weights.Moved`.
    parts: names of those components that training could change instead.
    whole: names of the components that were moved whole.
  """
  if not set(lacking) <= set(values):
    ways = ["Make the layers those of the source"]
  elif set(lacking) & set(moved.excluded):
    ways = ["Exclude none of them"]
  else:  # the prefix left them out
    components = {name.partition("/")[0] for name in lacking}
    whole_of = f":{components.pop()}" if len(components) == 1 else ""
    ways = [f"Move all of it, as in init_from='{path}{whole_of}'"]
  if parts:
    ways.append("use transfer.freeze=False")
  if parts and whole:  # else nothing would be left to move
    ways.append("leave the whole component out with transfer.exclude="
                f"{','.join(f'{name}/*' for name in sorted(parts))!r}")
  return ", or ".join(ways) + "."


def split(init_from):
  """Returns (path, prefix) of PATH or PATH:PREFIX; a path that has a colon itself is one if it
  is there."""
  path, colon, prefix = init_from.rpartition(":")
  if not colon or pathlib.Path(init_from).exists():
    return pathlib.Path(init_from), ""
  return pathlib.Path(path), prefix


def _names(stack):
  """Returns the names of the variables that a component made; a shared kernel is another's."""
  return [name for name in weights.by_name(stack) if name.startswith(stack.path + "/")]


def _components(model, moved):
  """Returns (names of the components all of whose variables were moved, of those moved in part)."""
  whole, parts = set(), set()
  for name, stack in model.components.items():
    own = _names(stack)
    count = sum(n in moved for n in own)
    if own and count == len(own):
      whole.add(name)
    elif count:
      parts.add(name)
  return frozenset(whole), frozenset(parts)
