"""From an experiment, or a model built by hand, to a trained run: in a folder or without one."""

import logging

import tensorflow as tf

from tfae import build, leakage, machine, placement, sessions, strategy, transfer
from tfae import experiment as experiments
from tfae import workdir as workdirs
from tfae.errors import InputError, nearest
from tfae.experiment import Experiment, load_data
from tfae.run import NotFiniteError, Result, Run  # pylint: disable=unused-import
from tfae.strategy import WorkerLostError  # pylint: disable=unused-import

_LOG = logging.getLogger(__name__)

# What the processes of one run need not have in common.
_PRIVATE = ("checkpoints", "jit_compile", "placement")
_FIT_OPTIONS = ("epochs", "steps", "batch_size", "seed", "jit_compile", "steps_per_loop",
                "checkpoints", "logging", "early_stopping", "corruption", "augmentation")


def fit(model, data, optimizer, *, workdir=None, data_device="auto", **options):
  """Trains a model that was built by hand; goes on with the run if the workdir holds it.

  Args:
    model: a `tfae.Autoencoder`, `tfae.Classifier` or `tfae.VariationalAutoencoder`.
    data: a `tfae.load(...)`, see `tfae.data.datasets.Dataset`.
    optimizer: `tfae.Adam(1e-3)` or another spec.
    workdir: the run's folder, as `train`'s; None: nothing is written.
    data_device: where the images lie.
    **options: fields of `tfae.Experiment`: epochs, steps, batch_size, seed, jit_compile,
      steps_per_loop, checkpoints, logging, early_stopping, corruption, augmentation.

  Returns:
    A `Result`.

  Raises:
    InputError: a bad argument, or a workdir that `train` would refuse.
    NotFiniteError: NaN or infinite loss or gradient.
  """
  for name in options:
    if name not in _FIT_OPTIONS:
      raise InputError(f"fit: no option {name!r}; there are {', '.join(_FIT_OPTIONS)}."
                       + nearest(name, _FIT_OPTIONS))
  experiment = Experiment(optimizer=optimizer, **options)
  run = Run(experiment, model, data, placement.canonical(data_device, "data_device"), workdir)
  if workdir is None:
    return run.to_the_end()
  identity = {**experiments.to_json(experiment), "model": model.description()}
  del identity["data"], identity["task"]  # defaults: the data have a checksum, the model its loss
  return _run_in(workdir, run, "fit", identity, data)


def train(experiment, workdir, *, data=None, data_dir=None):
  """Trains an experiment in a folder, or goes on with the run that is there.

  Args:
    experiment: an `Experiment`.
    workdir: the run's folder: config.json, checkpoints/, metrics.jsonl, tensorboard/,
      examples.npy.
    data: the `tfae.load(...)` of `experiment.data`, where the caller has it; None: loaded here.
    data_dir: where to look for the data first; the folder of the 'idx' data set.

  Returns:
    A `Result`.

  Raises:
    InputError: bad data or devices; a workdir that holds another run (the message lists the
      fields that differ), is in use, has no usable checkpoint, or can't be written, as when the
      disk is full: what was saved is whole, and the same call goes on from there.
    NotFiniteError: NaN or infinite loss or gradient.
    WorkerLostError: another process of the run is gone, see `tfae.strategy`.
  """
  if data is None:
    data = load_data(experiment, data_dir)
  # Before there is a folder: it may refuse the input.
  run, record = _prepare(experiment, data, workdir)
  return _run_in(workdir, run, "experiment", experiments.to_json(experiment), data, record)


def _run_in(workdir, run, kind, identity, data, record=None):
  """Runs from the beginning, or from the newest checkpoint if the folder holds this run."""
  common = {name: value for name, value in identity.items() if name not in _PRIVATE}
  common = {**common, "sha256": data.sha256}
  if not run.strategy.chief:
    run.synchronise(common)
    return run.to_the_end()
  with workdirs.locked(workdir) as path:
    resuming = workdirs.check_identity(path, kind, identity, data)
    workdirs.write_examples(path, data)
    if resuming:
      run.restore()
      if run.step > run.total_steps:
        raise InputError(f"epochs or steps: the run in {str(workdir)!r} has taken {run.step} steps "
                         f"already, {run.total_steps} were asked for. Ask for more, or use another "
                         "workdir.")
      _LOG.info("%s: resuming at step %d of %d.", workdir, run.step, run.total_steps)
    else:
      run.begin()
    # Last, and again on resume: an epoch count may have changed.
    workdirs.write_config(path, kind, identity, data, record)
    run.synchronise(common)
    return _recorded(path, run, identity)


def _recorded(workdir, run, identity):
  """Runs to the end; sessions.jsonl says how, and with what."""
  gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
          for gpu in tf.config.list_physical_devices("GPU")]
  placed = {name: stack.device for name, stack in run.model.components.items()}
  sessions.begin(
      workdir, step=run.step, total_steps=run.total_steps,
      made_on={**sessions.versions(),
               "machine": f"{machine.kind()}, {' and '.join(gpus) or 'no GPU'}"},
      devices={name: placement.short(device) or f"each of {run.strategy.replicas} replicas"
               for name, device in {**placed, "data": run.batches.device}.items()},
      jit=f"{'on' if run.jit else 'off'}: {run.jit_reason}")
  try:
    result = run.to_the_end(identity)
  except NotFiniteError as error:
    try:
      sessions.end(workdir, "not finite", run.step, error)
    except InputError as unwritten:  # what went wrong before matters more
      _LOG.warning("%s", unwritten)
    raise
  how = ("signal" if result.signal else "stopped early" if result.stopped_early else "complete")
  sessions.end(workdir, how, result.step, result.signal or "")
  return result


def prepare(experiment, data, workdir=None):
  """Returns the `Run` of an experiment on loaded data, at step 0."""
  return _prepare(experiment, data, workdir)[0]


def _prepare(experiment, data, workdir):
  """Returns the `Run`, and the record of what was moved into its model when it began."""
  experiments.check_fit(experiment, data)
  replicas = strategy.create(experiment.strategy)
  devices = replicas.places
  if devices is None:
    devices = placement.resolve(experiment.placement)
  with replicas.scope(), replicas.watching():
    model = build.build(experiment, data.train.images.shape[1:], data.max_value,
                        classes=data.classes, train_images=data.train.images, devices=devices)
  record = None if workdir is None else workdirs.read_transfer(workdir)
  if record is None:
    record = transfer.begin(experiment.transfer, model)
    leakage.warn(experiment.transfer.init_from, data)
  else:
    record = transfer.again(experiment.transfer, model, record)
  with replicas.watching():
    return Run(experiment, model, data, devices["data"], workdir, replicas), record
