"""A training as a program has it: every end of one is a line and an exit code."""

import json
import os
import sys


def train(experiment, workdir, data):
  """Trains, or goes on, prints how it ended, and returns the exit code; 0: it is complete.

  Args:
    experiment: a `tfae.experiment.Experiment`.
    workdir: the run's folder.
    data: the experiment's `tfae.data.datasets.Dataset`.
  """
  from tfae import training  # TensorFlow is there by now
  try:
    result = training.train(experiment, workdir, data=data)
  except training.NotFiniteError as error:
    print(f"stopped: {error}", file=sys.stderr)
    return 3
  except training.WorkerLostError as error:
    print(f"stopped: {error}", file=sys.stderr, flush=True)
    os._exit(4)  # TensorFlow's own way out waits for the lost worker
  if result.signal:
    print(f"stopped by signal {result.signal} at step {result.step}; the same command resumes.",
          file=sys.stderr)
    return 128 + result.signal
  if not result.chief:
    print(f"took part up to step {result.step}; worker 0 has the figures.", file=sys.stderr)
    return 0
  how = ("was complete already" if not result.traces else
         "stopped early" if result.stopped_early else "complete")
  evaluations = {name: {"step": result.evaluated[name], **values}
                 for name, values in result.metrics.items()}
  print(json.dumps({"run": how, "workdir": workdir, "step": result.step, **evaluations}))
  return 0
