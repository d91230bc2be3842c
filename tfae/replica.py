"""What the code that is being traced knows of the replica that it is traced for.

A replica works on some rows of every batch. Random numbers, means over the batch and statistics of
the batch have to be those of the whole batch all the same: how they look at `current()` is said
where they are made.
"""

import contextlib
import threading
import typing

# tf.distribute traces the replicas of one process in a thread each.
_TRACING = threading.local()


class Replica(typing.NamedTuple):
  """One of several replicas, at the step that is traced.

  count: number of replicas.
  first, rows: the rows of the batch that are this one's.
  batch: rows of the whole batch, without what pads it to a multiple of `count`.
  examples: float32 scalar, how many examples the whole batch has.
  total: function from a float tensor to its sum over the replicas, which has a gradient.
  """
  count: int
  first: int
  rows: int
  batch: int
  examples: typing.Any
  total: typing.Callable


def current():
  """Returns the `Replica` that is traced; None: the only one, which has the whole batch."""
  return getattr(_TRACING, "replica", None)


@contextlib.contextmanager
def tracing(replica):
  """What is traced within is for `replica`, a `Replica` or None."""
  before, _TRACING.replica = current(), replica
  try:
    yield
  finally:
    _TRACING.replica = before


@contextlib.contextmanager
def examples(number):
  """Within a function that is traced by itself: `Replica.examples`, of its arguments; or None."""
  replica = current()
  with tracing(replica and replica._replace(examples=number)):
    yield
