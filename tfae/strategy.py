"""Training on several devices or machines: replicas of one model, a part of each batch on each.

tf.distribute makes the replicas, mirrors the variables and adds up the gradients; what a replica
computes is tfae's own. Each replica has its rows of every batch, and the mean of the replicas'
gradients is the gradient of the whole batch: see `tfae.replica`. The examples of a batch, their
order and their noise do not depend on the number of replicas.

Only the chief (the only process, the worker 'chief', or worker 0) writes the run's folder,
evaluates, and says how long a loop is; the others get its state and its decisions.
"""

import contextlib
import functools
import hashlib
import json
import os
import signal

import tensorflow as tf

from tfae import cluster, placement, replica
from tfae.errors import InputError

# What the operations of a worker raise when another one is gone.
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.DeadlineExceededError, tf.errors.InternalError)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WorkerLostError(RuntimeError):
  """Another worker ended, or can't be reached any more; this one can't go on without it."""


class Single:
  """One replica, on the devices that the placement names.

  Attributes:
    replicas: how many there are, in all processes.
    chief: whether this process is the one that writes.
    places: the device of each component and of the data, for `tfae.build`; None: the placement's.
    device: where a replica computes; None: the components' own devices.
  """
  replicas, chief, places, device = 1, True, None, None

  def scope(self):
    """Returns the context in which a model, its slots and its loop are made."""
    return contextlib.nullcontext()

  def share(self, batch_size):
    """Returns `tfae.data.pipeline.Batches`'s (first row, rows, rows of all) of this process."""
    del batch_size

  def run(self, function, batches, number, indices, images):
    """Returns what `function(number, indices, images, mean)` returns for the first local replica.

    Args:
      function: of a step's number, the rows of `indices` and of `images` that a replica has, and a
        function that replaces a list of tensors by their means over the replicas.
      batches: the `tfae.data.pipeline.Batches`.
      number: int64 scalar.
      indices: int32 `[rows]`, of this process.
      images: a tuple of tensors `[rows, ...]`.
    """
    del batches
    return function(number, indices, images, list)

  def decide(self, count, received):
    """Returns (the chief's `count`, the number of a signal that a process got, or None)."""
    return count, received

  def begin(self, variables, identity):
    """Gives all processes the values that the chief's `variables` have."""

  def watching(self):
    """Returns the context of what other workers take part in."""
    return contextlib.nullcontext()


class Distributed(Single):
  """The replicas of a tf.distribute strategy."""

  def __init__(self, strategy, member=cluster.ALONE):
    """Takes a `tf.distribute.Strategy` and what this process is in its cluster."""
    self._strategy, self.name, self.chief = strategy, member.name, member.index == 0
    self._workers = len(member.addresses)
    self.replicas = strategy.num_replicas_in_sync
    self._local = self.replicas // self._workers  # each process has as many devices
    self._first = member.index * self._local
    # Not '/device:GPU:0', which would be every replica's; the data stay with the host.
    self.places = _Places()
    self.device = strategy.extended.worker_devices[0]
    self._sum = None

  def scope(self):
    return self._strategy.scope()

  def share(self, batch_size):
    if batch_size < self.replicas:
      raise InputError(f"batch_size={batch_size}: fewer than the {self.replicas} replicas, each of "
                       "which takes a part of every batch. Use a larger batch or fewer workers.")
    rows = -(-batch_size // self.replicas)
    return self._first * rows, self._local * rows, self.replicas * rows

  def run(self, function, batches, number, indices, images):
    rows = batches.rows // self._local
    examples = tf.cast(batches.examples(number), tf.float32)

    def traced():
      context = tf.distribute.get_replica_context()
      index = int(tf.get_static_value(context.replica_id_in_sync_group))
      part = slice((index - self._first) * rows, (index - self._first + 1) * rows)
      mean = lambda tensors: context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)
      total = lambda x: context.all_reduce(tf.distribute.ReduceOp.SUM, x)
      with replica.tracing(replica.Replica(self.replicas, index * rows, rows, batches.batch_size,
                                           examples, total)):
        return function(number, indices[part], tuple(x[part] for x in images), mean)

    return tf.nest.map_structure(self._one, self._strategy.run(traced))

  def _one(self, value):
    return self._strategy.experimental_local_results(value)[0]

  def decide(self, count, received):
    if self._workers == 1:
      return count, received
    mine = [count if self.chief else 0, *(int(received == number) for number in _SIGNALS)]
    count, *numbers = self._added(mine)
    return count, next((n for n, seen in zip(_SIGNALS, numbers) if seen), None)

  def begin(self, variables, identity):
    if self._workers == 1:
      return
    number = int(hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12], 16)
    if self._added([number]) != [number * self._workers]:
      raise InputError(f"{self.name}: the workers' configs or data are not the same. Start all "
                       "with the same flags, and give all the same data.")

    def take(variable):
      value = variable.read_value()
      value = tf.distribute.get_replica_context().all_reduce(
          tf.distribute.ReduceOp.SUM, value if self.chief and self._is_first() else
          tf.zeros_like(value))
      tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)

    @tf.function(autograph=False)
    def spread():
      self._strategy.run(lambda: [take(variable) for variable in variables])

    with self.watching():
      spread()

  def _is_first(self):
    """Returns whether the replica that is traced is the first of its process."""
    index = tf.distribute.get_replica_context().replica_id_in_sync_group
    return int(tf.get_static_value(index)) == self._first

  def _added(self, numbers):
    """Returns the sums over the processes of a list of ints below 2^53."""
    if self._sum is None:
      def added(x):
        # A copy: an argument has no device, which all_reduce wants to know.
        part = tf.identity(x) if self._is_first() else tf.zeros_like(x)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, part)
      self._sum = tf.function(lambda x: self._one(self._strategy.run(added, (x,))),
                              autograph=False)
    with self.watching():
      return [int(x) for x in self._sum(tf.constant(numbers, tf.int64)).numpy()]

  @contextlib.contextmanager
  def watching(self):
    try:
      yield
    except _GONE as error:
      if self._workers == 1:
        raise
      raise WorkerLostError(
          f"{self.name}: another worker has ended or can't be reached "
          f"({_reason(error)}). Start all workers again: the run goes on from its last checkpoint."
          ) from error


class _Places(dict):
  """The device of every component, its replica's, and of the data."""

  def __missing__(self, name):
    return "/device:CPU:0" if name == "data" else placement.INHERITED


def create(name):
  """Returns the strategy of a config's `strategy`; before TensorFlow has touched a device.

  Args:
    name: 'none', 'mirrored' or 'multi_worker', whose processes the environment variable TF_CONFIG
      names, as TensorFlow defines it: the same `cluster` for each, and a `task` of its own.

  Raises:
    InputError: TF_CONFIG is missing or not as above.
  """
  if name == "none":
    return Single()
  member = cluster.ALONE
  if name == "multi_worker":
    member = cluster.read(os.environ.get("TF_CONFIG", ""))
  strategy = _mirrored() if len(member.addresses) == 1 else _multi_worker(member)
  # TensorFlow's way of one replica allows no loop in the graph.
  return Distributed(strategy, member) if strategy.num_replicas_in_sync > 1 else Single()


# Once a process: a second strategy would number its collective operations as the first one did.
@functools.cache
def _mirrored():
  return tf.distribute.MirroredStrategy()


@functools.cache
def _multi_worker(member):
  cluster.meet(member)
  try:
    return tf.distribute.MultiWorkerMirroredStrategy()
  except RuntimeError as error:
    raise InputError("strategy='multi_worker': must be made before TensorFlow's first operation "
                     f"({error}). Call tfae.train at the start of the program.") from error
  except tf.errors.OpError as error:
    raise WorkerLostError(f"{member.name}: can't join the others ({_reason(error)}).") from error


def _reason(error):
  """Returns the part of a message that says why, in one line."""
  said = [line.strip() for line in str(error.message).splitlines() if line.strip()]
  found = [line for line in said if "aborted by" in line or "onnection" in line]
  return (found or said or [type(error).__name__])[0].rpartition("aborted by: ")[2][:200]
