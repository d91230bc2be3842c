"""tfae-train: trains the experiment of a config in a folder, or goes on with the run there.

    tfae-train --config=configs/quickstart.py --workdir=runs/quickstart [--config.epochs=20 ...]
"""

import dataclasses
import os

from absl import flags

from tfae import cluster
from tfae import experiment as experiments
from tfae import workdir as workdirs
from tfae.bin import cli
from tfae.bin.training import train

CONFIG = cli.define_config()
flags.DEFINE_string("workdir", None, "Folder of the run; a second start resumes it.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_string("init_from", None, "Where the first weights come from: WORKDIR, "
                    "WORKDIR:PREFIX or NAME.npz; as --config.transfer.init_from.")
flags.DEFINE_bool("print_placement", False,
                  "List every variable and op with its device, train nothing.")
flags.DEFINE_bool("memory_growth", True, "GPU memory is taken as needed, not all at once.")
flags.DEFINE_integer("intra_op_threads", 0, "Threads within one op; 0: TensorFlow's choice.",
                     lower_bound=0)
flags.DEFINE_integer("inter_op_threads", 0, "Ops at a time; 0: TensorFlow's choice.",
                     lower_bound=0)


def main():
  args = flags.FLAGS
  experiment = cli.experiment(CONFIG, init_from=args.init_from)
  workdir = None if args.print_placement else cli.required("workdir")
  data = experiments.load_data(experiment, args.data_dir)

  if args.print_placement and experiment.strategy == "multi_worker":
    experiment = dataclasses.replace(experiment, strategy="none")  # what each process has
  if experiment.strategy == "multi_worker":
    cluster.read(os.environ.get("TF_CONFIG", ""))
  if not args.print_placement:
    # Again under the folder's lock, later; here, so that a mistake answers at once.
    workdirs.check_identity(workdir, "experiment", experiments.to_json(experiment), data)
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import placement, training
  placement.configure(args.memory_growth, args.intra_op_threads, args.inter_op_threads)
  if args.print_placement:
    # XLA would make one op of all of them.
    experiment = dataclasses.replace(experiment, jit_compile="off")
    print_placement(training.prepare(experiment, data))
    return 0
  return train(experiment, workdir, data)


def print_placement(run):
  """Prints layers, variables and executed ops of one training step, each with its device."""
  from tfae import placement
  run.model.summary()
  for variable in run.variables:
    print(f"variable  {placement.short(variable.device):8} {variable.name.split(':')[0]}")
  for device, op, name in run.executed_ops():
    direction = ("backward" if "gradient_tape" in name else
                 "update" if op.startswith(("ResourceApply", "Assign")) else "forward")
    print(f"{direction:9} {device or '-':8} {op:32} {name}")


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
