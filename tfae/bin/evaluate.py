"""tfae-evaluate: what a trained run scores on a split, on request beside PCA.

    tfae-evaluate --workdir=runs/quickstart [--split=test] [--checkpoint=latest] [--pca]
"""

import json
import math
import sys

from absl import flags

from tfae.bin import cli
from tfae.errors import InputError
from tfae.experiment import load_data

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "Which images.")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_string("device", "auto", "Where to compute.")
flags.DEFINE_bool("pca", False, "Compare with PCA of the same code size; exit code 1 if the model "
                  "is worse.")


def main():
  args = flags.FLAGS
  workdir = cli.required("workdir")
  experiment, config = cli.run_of(workdir)
  data = load_data(experiment, args.data_dir)
  if data.sha256 != config["data"]["sha256"]:
    raise InputError(f"data: not those of the run in {workdir} (sha256 {data.sha256[:12]}..., the "
                     f"run had {config['data']['sha256'][:12]}...). Name their folder with "
                     "--data_dir.")
  split = getattr(data, args.split)
  if split is None:
    raise InputError("--split=validation: the run has no validation set. Use train or test.")
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
    size = math.prod(model.encoder.output_shape)
    result["code_size"] = size
    result["pca_squared_error"] = evaluation.pca_squared_error(
        data.train.images, split.images, size, data.max_value)
    worse = not result["squared_error"] <= result["pca_squared_error"]
    print(f"squared error per pixel on {len(split):,} {args.split} images, code size {size}: "
          f"model {result['squared_error']:.5f}, PCA {result['pca_squared_error']:.5f}")
  print(json.dumps(result))
  diagnosis.warn_of_stuck_units(model, split, args.split)
  if worse:
    print("the model is worse than PCA of the same code size; exit code 1.",
          file=sys.stderr)
  return int(worse)


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
