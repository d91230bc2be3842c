"""tfae-evaluate: what a trained run scores on a split, on request beside PCA.

    tfae-evaluate --workdir=runs/quickstart [--split=test] [--checkpoint=latest] [--pca]
    tfae-evaluate --workdir=runs/vae --log_likelihood=5000 [--images=1000]

What --pca and --log_likelihood find is added to the run's metrics.jsonl, as lines of kind 'pca' and
'log_likelihood'.
"""

import json
import math
import sys
import time

from absl import flags

from tfae import workdir as workdirs
from tfae.bin import cli
from tfae.errors import InputError
from tfae.experiment import load_data
from tfae.tasks.variational import Variational

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which images.")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_string("device", "auto", "Where to compute.")
flags.DEFINE_bool("pca", False, "Compare with PCA of the same code size; exit code 1 if the model "
                  "is worse.")
flags.DEFINE_integer("log_likelihood", None, "Of a variational model: estimate log p(x) by "
                     "importance sampling with this many samples an image. Not set: not at all.")
flags.DEFINE_integer("images", 0, "For --log_likelihood: only the first so many images of the "
                     "split; 0: all.", lower_bound=0)

_LOOKED_AT = 100  # images, for whether they are black and white


def main():
  args = flags.FLAGS
  workdir = cli.required("workdir")
  samples = args.log_likelihood
  if samples is not None and samples < 1:
    raise InputError(f"--log_likelihood={samples}: expected at least 1 sample an image, such as "
                     "--log_likelihood=5000. Leave it out for no estimate.")
  if args.images and not samples:
    raise InputError(f"--images={args.images}: has no effect without --log_likelihood, such as "
                     "--log_likelihood=5000. Leave it out.")
  experiment, _ = cli.run_of(workdir)
  data = load_data(experiment, args.data_dir)
  workdirs.check_data(workdir, data)
  split = getattr(data, args.split)
  if split is None:
    raise InputError("--split=validation: the run has no validation set. Use train or test.")
  if args.pca and not experiment.task.RECONSTRUCTS:
    raise InputError(f"--pca: the run in {workdir} has task.name={experiment.task.name()!r}, which "
                     "gives no images back to be compared.")
  if samples and not isinstance(experiment.task, Variational):
    raise InputError(f"--log_likelihood={samples}: the run in {workdir} has task.name="
                     f"{experiment.task.name()!r}, which gives images no likelihood. Only "
                     "'variational' does.")
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import build, diagnosis, evaluation
  model, _, _, step = build.load_model(workdir, args.checkpoint, args.device)
  evaluate = evaluation.Evaluator(
      model, seed=experiment.seed,
      distortion=build.distortion(experiment, data.max_value, model.components["encoder"].device))
  result = {"workdir": workdir, "checkpoint": step, "split": args.split,
            "images": len(split), **evaluate(split)}
  worse = False
  if args.pca:
    size = math.prod(model.code_shape)
    began = time.monotonic()
    errors = evaluation.pca_errors(data.train.images, split.images, size, data.max_value)
    pca_seconds = time.monotonic() - began
    result.update(code_size=size, **{f"pca_{name}": value for name, value in errors.items()})
    # PCA sees the images as they are, so the model must too.
    found = result.get("clean_squared_error", result["squared_error"])
    worse = not found <= result["pca_squared_error"]
    print(f"squared error per pixel on {len(split):,} {args.split} images, code size {size}: "
          f"model {found:.5f}, PCA {result['pca_squared_error']:.5f}")
  if samples:
    began = time.monotonic()
    found = _log_likelihood(model, split, samples, args.images, experiment.seed, data.max_value)
    seconds = time.monotonic() - began
    result.update(log_likelihood=found.pop("log_likelihood"),
                  **{f"log_likelihood_{name}": value for name, value in found.items()})
  print(json.dumps(result))
  added = {}
  if args.pca:
    added["pca"] = {**errors, "code_size": size}, pca_seconds
  if samples:
    added["log_likelihood"] = {"log_likelihood": result["log_likelihood"], **found}, seconds
  epoch = -(-step // -(-len(data.train) // experiment.batch_size))
  for kind, (values, duration) in added.items():
    try:
      workdirs.add_line(workdir, kind, step, epoch, {**values, "split": args.split}, duration)
    except InputError as error:
      raise InputError(f"{kind.replace('_', ' ')}: what is printed above could not be added to "
                       f"metrics.jsonl: {error}") from error
  diagnosis.warn_of_stuck_units(model, split, args.split)
  if worse:
    print("the model is worse than PCA of the same code size; exit code 1.",
          file=sys.stderr)
  return int(worse)


def _log_likelihood(model, split, samples, images, seed, max_value):
  """Returns the estimate of log p(x), what it was made of, and its error, by name."""
  import numpy as np
  from tfae import likelihood, metrics
  bound, total = model.bound, min(images, len(split)) or len(split)
  if bound.likelihood == "bernoulli" and not bound.binarize \
      and not np.isin(split.images[:_LOOKED_AT], (0, max_value)).all():
    print("the images are not black and white: the Bernoulli likelihood of grey pixels is minus "
          "their cross-entropy, and no probability. task.binarize=True draws such pixels.",
          file=sys.stderr)
  bar = metrics.Progress(total, unit="image")

  def progress(done, new):
    bar.advance(new)
    bar.say(f"log likelihood of {done:,} of {total:,} images")

  try:
    found = likelihood.log_likelihood(model, split, samples, images=images, seed=seed,
                                      progress=progress)
  finally:
    bar.close()
  print(f"log p(x) on {len(found):,} images, {samples:,} samples each: {found.mean():.3f} nats")
  return {"log_likelihood": float(found.mean()), "samples": samples, "images": len(found),
          "standard_error": float(found.std() / np.sqrt(len(found)))}


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
