"""An export beside the run that it was made from: what it is, and whether it computes the same."""

import dataclasses

import numpy as np

from tfae.errors import InputError
from tfae import inspection
from tfae import workdir as workdirs


@dataclasses.dataclass(frozen=True)
class Check:
  """One output of one signature: the largest difference from the run's model, and its bound."""
  signature: str
  output: str
  difference: float
  bound: float

  @property
  def passed(self):
    return self.difference <= self.bound  # False for NaN


@dataclasses.dataclass(frozen=True)
class Exported:
  """An export of the run.

  path: its folder.
  description: signature.json as a dict.
  sizes: {file: bytes}.
  checks: of every output that the run's model has too; () if `unchecked` says why there are none.
  images: on how many images of the run.
  """
  path: str
  description: dict
  sizes: dict
  checks: tuple = ()
  images: int = 0
  unchecked: str = ""


def read(saved_model, facts):
  """Returns the Exported of a run's Facts, not checked yet.

  Raises:
    InputError: no export there, one that is damaged, or of another run.
  """
  export = inspection.Export(saved_model)
  metadata = export.description["metadata"]
  digest, step = metadata.get("dataset_sha256"), metadata.get("step")
  if digest and digest != facts.data["sha256"]:
    raise InputError(f"saved_model={str(saved_model)!r}: is of another run: it was trained on data "
                     f"of sha256 {digest[:12]}..., the run in {facts.workdir!r} on "
                     f"{facts.data['sha256'][:12]}.... Name an export of this run.")
  if step is not None and step > facts.step:
    raise InputError(f"saved_model={str(saved_model)!r}: is of another run: it has step {step:,}, "
                     f"the run in {facts.workdir!r} is at {facts.step:,}. Name an export of this "
                     "run.")
  sizes = {str(path.relative_to(export.path)): path.stat().st_size
           for path in sorted(export.path.rglob("*")) if path.is_file()}
  return Exported(str(saved_model), export.description, sizes)


def check(exported, facts):
  """Returns `exported` with its checks: its outputs beside those of the run's checkpoint.

  The bound is that of `tfae.saved_model.verify`: signature.json's tolerance times the larger of 1
  and the output's largest value.
  """
  step = exported.description["metadata"].get("step")
  if step is None:
    return dataclasses.replace(exported,
                               unchecked="signature.json does not say of which step it is")
  try:
    from tfae import build
    model = build.load_model(facts.workdir, str(step), "/CPU:0")[0]
    examples = np.asarray(workdirs.read_examples(facts.workdir), np.float32)
  except InputError as error:  # of tfae.fit; or the checkpoint has made room for newer ones
    return dataclasses.replace(exported, unchecked=str(error))
  checks = tuple(_checks(exported, model, facts.data["max_value"], examples))
  return dataclasses.replace(exported, checks=checks, images=len(examples))


def _checks(exported, model, max_value, examples):
  import tensorflow as tf
  from tfae import exporting, graph
  frozen, feeds = inspection.Export(exported.path).frozen(), model.feeds(examples)
  tolerance = exported.description["tolerance"]
  signatures = model.signatures(max_value)
  # An export may have others besides: for bytes, for image files.
  for key in sorted(signatures.keys() & frozen.outputs.keys()):
    signature = signatures[key]
    given = {name: feeds[name] for name in signature.inputs}
    expected = exporting.outputs(signature, {name: tf.constant(x) for name, x in given.items()})
    found = graph.call(frozen, key, given)
    for name, value in sorted(expected.items()):
      value = value.astype(np.float64)
      yield Check(key, name, float(np.abs(found[name] - value).max()),
                  tolerance * max(1.0, float(np.abs(value).max())))
