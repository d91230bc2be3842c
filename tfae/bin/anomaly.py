"""tfae-anomaly: trains on normal images, chooses a threshold, says how well anomalies are told.

    tfae-anomaly --config=configs/one_class_mnist.py --workdir=W --normal_class=3
    tfae-anomaly --workdir=W [--quantile=.95 | --contamination=.05] [--checkpoint=latest]

The first trains on one class, or goes on with the run in W; the second takes the run as it is. The
threshold is chosen on the validation images, all normal; it is kept in W/threshold.json, where an
export of that checkpoint finds it. Test images of classes that were not trained on are the
anomalies, the positive class of every figure. The figures go to W/anomaly.json and, as a line of
kind 'anomaly', to metrics.jsonl.
"""

import dataclasses
import json
import pathlib
import sys
import time

from absl import flags

from tfae import experiment as experiments
from tfae import files, thresholds
from tfae import workdir as workdirs
from tfae.bin import cli
from tfae.bin.training import train
from tfae.errors import InputError

CONFIG = cli.define_config()
FILE = "anomaly.json"
flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_integer("normal_class", None, "The one class to train on; several: "
                     "--config.data.normal_classes=(3,5). Not set: as the config says.",
                     lower_bound=0)
flags.DEFINE_float("quantile", None, "Of the validation images' scores: the threshold. Not set: "
                   f"{thresholds.QUANTILE}.")
flags.DEFINE_float("contamination", None, "Instead: the share of the validation images that is "
                   "expected to be anomalous.")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_string("device", "auto", "Where to compute scores.")


def main():
  args = flags.FLAGS
  workdir = cli.required("workdir")
  thresholds.check(args.quantile, args.contamination)
  training = args["config"].present
  experiment = _experiment(args.normal_class) if training else _of_run(workdir, args.normal_class)
  if not experiment.task.RECONSTRUCTS:
    raise InputError(f"task.name={experiment.task.name()!r}: gives images no score. Use "
                     "'reconstruct' or 'variational'.")
  data = experiments.load_data(experiment, args.data_dir)
  if data.validation is None:
    raise InputError("data: there is no validation set; a threshold is chosen on normal images "
                     "that were not trained on. Train with --config.data.validation=N"
                     f"{'' if training else ' in another workdir'}.")
  if training:
    workdirs.check_identity(workdir, "experiment", experiments.to_json(experiment), data)
  else:
    workdirs.check_data(workdir, data)
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import anomaly
  if training:
    code = train(experiment, workdir, data)
    if code:
      return code
  began = time.monotonic()
  threshold = anomaly.choose(workdir, data, quantile=args.quantile,
                             contamination=args.contamination, checkpoint=args.checkpoint,
                             device=args.device)
  found = anomaly.of_run(workdir, data, checkpoint=args.checkpoint, device=args.device)
  measures = anomaly.measures(found)
  _keep(workdir, experiment, data, threshold, measures, time.monotonic() - began)
  print(f"threshold {threshold.value:.6g}: {threshold.words}, step {threshold.step}")
  if "auroc" not in measures:
    print("no test image is " + ("labelled" if found.anomalous is None else
                                 "of a class that was trained on" if found.anomalous.all() else
                                 "of a class that was not trained on")
          + ": how well anomalies are told is not known.", file=sys.stderr)
  print(json.dumps({"workdir": workdir, "split": "test", "positive": "anomalous", **measures}))
  return 0


def _experiment(normal_class):
  experiment = cli.experiment(CONFIG)
  if experiment.strategy == "multi_worker":
    raise InputError("strategy='multi_worker': is for tfae-train. Train with it, then give "
                     "tfae-anomaly the --workdir alone.")
  if normal_class is None:
    return experiment
  given = experiment.data.normal_classes
  if given not in ((), (normal_class,)):
    raise InputError(f"--normal_class={normal_class}: the config has data.normal_classes={given}. "
                     "Give one of the two.")
  return dataclasses.replace(experiment, data=dataclasses.replace(
      experiment.data, normal_classes=(normal_class,)))


def _of_run(workdir, normal_class):
  experiment = cli.run_of(workdir)[0]
  trained_on = experiment.data.normal_classes
  if normal_class is not None and trained_on != (normal_class,):
    what = f"the classes {trained_on}" if trained_on else "all classes"
    raise InputError(f"--normal_class={normal_class}: the run in {workdir} was trained on {what}. "
                     "Give --config=... and another workdir to train on that class.")
  return experiment


def _keep(workdir, experiment, data, threshold, measures, seconds):
  """Adds a line to metrics.jsonl, and writes anomaly.json: all that is known."""
  epoch = -(-threshold.step // -(-len(data.train) // experiment.batch_size))
  workdirs.add_line(workdir, "anomaly", threshold.step, epoch, {
      **measures, "method": threshold.method, "level": threshold.level, "split": "test"}, seconds)
  whole = {"normal_classes": list(experiment.data.normal_classes), "split": "test",
           "positive": "anomalous", "threshold": dataclasses.asdict(threshold),
           "measures": measures}
  files.write(pathlib.Path(workdir) / FILE, json.dumps(whole, indent=2) + "\n")


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
