"""A trained model to look into or to use: a run's folder, or an export; and its tensors by name.

What can be checked without TensorFlow is checked when a `Run` or an `Export` is made; TensorFlow is
imported when its graph is asked for.
"""

import functools
import hashlib
import json
import logging
import pathlib

from tfae import images, thresholds
from tfae import workdir as workdirs
from tfae.errors import InputError, nearest, shown

_LOG = logging.getLogger(__name__)
_FILES = ("saved_model.pb", "signature.json")
# Where a layer has a node for several signatures, the first of these that can be computed is meant.
_PREFERRED = ("reconstruct", "classify", "encode", "decode")


class Run:
  """The model of a run of tfae-train.

  Attributes:
    wanted: `tfae.images.Wanted`.
    class_names: list of str in the order of the labels, or None: they are numbers.
    path: the workdir.
  """

  def __init__(self, workdir, checkpoint="latest", device="auto"):
    """Reads config.json; raises InputError if there is no such run, or tfae.fit made it."""
    experiment, self._config = workdirs.read_config(workdir)
    if experiment is None:
      raise InputError(workdirs.BUILT_BY_HAND.format(workdir=str(workdir)))
    self.path, self._checkpoint, self._device = workdir, checkpoint, device
    data = self._config["data"]
    self.class_names = data.get("class_names")
    border = images.border(workdirs.read_examples(workdir), data["max_value"])
    self.wanted = images.Wanted(tuple(data["image_shape"]), data["max_value"], border,
                                data.get("name"))

  @functools.cached_property
  def model(self):
    """The model, restored; raises InputError if there is no such checkpoint."""
    return self._loaded[0]

  @functools.cached_property
  def _loaded(self):
    from tfae import build
    model, _, _, step = build.load_model(self.path, self._checkpoint, self._device)
    return model, step

  @functools.cached_property
  def threshold(self):
    """The score above which an image is an anomaly, or None: none was chosen for the checkpoint.

    Says so where one was chosen for another.
    """
    found, step = thresholds.read(self.path), self._loaded[1]
    if found and found.step != step:
      _LOG.warning("%s: was chosen for the checkpoint of step %d, this is that of step %d: whether "
                   "a score is an anomaly's is not said", pathlib.Path(self.path) / thresholds.FILE,
                   found.step, step)
      return None
    return found and found.value

  def frozen(self):
    """Returns the `tfae.graph.Frozen` that an export of the run would be.

    A threshold that was chosen for another checkpoint is left out.
    """
    from tfae import graph
    signatures = self.model.signatures(self.wanted.max_value)
    if self.threshold is not None:
      signatures = thresholds.add(signatures, self.threshold)
    return graph.freeze(signatures)


class Export:
  """A published SavedModel with its signature.json; needs nothing else of the run.

  Attributes:
    description: signature.json as a dict.
    class_names: list of str in the order of the labels, or None: they are numbers.
    threshold: the score above which an image is an anomaly, or None.
    wanted: `tfae.images.Wanted`, or None if its input `images` is none or of unknown range.
    path: the folder.
  """

  def __init__(self, directory):
    """Reads signature.json.

    Raises:
      InputError: no export there, a folder of versions, a file that is damaged.
    """
    self.path = path = pathlib.Path(directory)
    if not (path / _FILES[0]).is_file():
      versions = sorted((p.name for p in path.glob("*") if p.name.isdecimal()
                         and (p / _FILES[0]).is_file()), key=int)
      hint = (f"holds the versions {', '.join(versions)}. Name one: {path / versions[-1]}"
              if versions else "holds no saved_model.pb. Export a run with "
              "export/export_saved_model.py.")
      raise InputError(f"saved_model={str(directory)!r}: {hint}")
    try:
      self.description = json.loads((path / _FILES[1]).read_text(encoding="utf-8"))
      self._content = (path / _FILES[0]).read_bytes()
      digest = self.description["saved_model_sha256"]
      inputs = [i for s in self.description["signatures"].values() for i in s["inputs"].items()]
      entry = dict(inputs).get("images")
      metadata = self.description["metadata"]
      border, dataset = metadata.get("border"), metadata.get("dataset")
      self.class_names = metadata.get("class_names")
      self.threshold = metadata["threshold"]["value"] if "threshold" in metadata else None
    except FileNotFoundError:
      raise InputError(f"saved_model={str(directory)!r}: has no signature.json, so tfae did not "
                       "export it.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
      raise InputError(f"{path / _FILES[1]}: damaged ({type(error).__name__}: {error}). Export the "
                       "run again.") from None
    if hashlib.sha256(self._content).hexdigest() != digest:
      raise InputError(f"{path / _FILES[0]}: damaged: it does not have the sha256 that "
                       "signature.json says. Export the run again.")
    self.wanted = None
    if entry and entry["value_range"] and len(entry["shape"]) == 4:
      self.wanted = images.Wanted(tuple(entry["shape"][1:]), entry["value_range"][1], border,
                                  dataset)

  def frozen(self):
    """Returns its `tfae.graph.Frozen`."""
    from tfae import saved_model
    return saved_model.read(self._content, self.description)


def find_tensor(frozen, name, given):
  """Returns the full name of the tensor that a user means.

  A name is that of the graph ('encode/encoder/layer_1/Relu:0'), or that without its signature
  ('encoder/layer_1/Relu'), upper and lower case alike. A layer computes the same under every
  signature; of several the first is taken that needs no other inputs than those `given`.

  Args:
    frozen: a `tfae.graph.Frozen`.
    name: with or without ':0'.
    given: names of the inputs that there are values for.

  Raises:
    InputError: no such tensor (with the nearest names), one inside a function, or one that depends
      on inputs which are not given: it says which.
  """
  from tfae import graph
  node, _, index = name.partition(":")
  if index and not index.isdecimal():
    raise InputError(f"--tensor={shown(name)}: expected NAME or NAME:NUMBER.")
  keys = sorted(frozen.outputs, key=lambda key: (_PREFERRED.index(key) if key in _PREFERRED
                                                 else len(_PREFERRED), key))
  names = [n.name for n in frozen.graph_def.node]
  spellings = [node, *(f"{key}/{node}" for key in keys)]
  lower = {}
  for found in names:
    lower.setdefault(found.lower(), []).append(found)
  candidates = [s for s in spellings if s in set(names)]
  candidates += [found for s in spellings for found in lower.get(s.lower(), [])]
  if not candidates:
    if any(function.signature.name == node.split("/")[0]
           for function in frozen.graph_def.library.function):
      raise InputError(f"--tensor={shown(name)}: lies inside a function, a loop or a branch of the "
                       "graph, and has no value outside it. Fetch what the function returns.")
    short = [n.partition("/")[2] if n.partition("/")[0] in keys else n for n in names]
    raise InputError(f"--tensor={shown(name)}: the graph has no such tensor; --ops lists all."
                     # A suggestion in lower case is a name too.
                     + nearest(node.lower(), (n.lower() for n in (*names, *short))))
  for candidate in candidates:
    if graph.inputs_of(frozen.graph_def, candidate) <= set(given):
      return f"{candidate}:{index or 0}"
  missing = sorted(graph.inputs_of(frozen.graph_def, candidates[0]) - set(given))
  ways = " ".join("--image=FILE" if name == "images" else f"--feed={name}=FILE.npy"
                  for name in missing)
  raise InputError(f"--tensor={shown(name)}: depends on the input {' and '.join(missing)}. Give "
                   f"{ways}")
