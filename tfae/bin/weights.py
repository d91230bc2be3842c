"""tfae-weights: the weights of a trained run, by name, as one .npz file.

    tfae-weights --workdir=runs/quickstart --out=weights.npz [--checkpoint=latest]
"""

import json
import pathlib

from absl import flags

from tfae import workdir as workdirs
from tfae.bin import cli
from tfae.errors import InputError

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_string("out", None, "File to write; ends in .npz.")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")


def main():
  args = flags.FLAGS
  workdir = cli.required("workdir")
  if not args.out or not args.out.endswith(".npz"):
    raise InputError(f"--out={args.out or ''}: expected a file that ends in .npz, such as "
                     "--out=weights.npz")
  workdirs.read_config(workdir)
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import checkpoint, weights
  values, step = checkpoint.read_weights(pathlib.Path(workdir) / "checkpoints", args.checkpoint)
  weights.write_npz(args.out, values)
  found = {name: list(value.shape) for name, value in sorted(values.items())}
  print(json.dumps({"workdir": workdir, "checkpoint": step, "out": args.out, "weights": found}))
  return 0


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
