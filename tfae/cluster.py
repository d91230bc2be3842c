"""The processes of a run on several machines: what TF_CONFIG says, and the wait for all of them.

Source: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG
"""

import contextlib
import json
import logging
import re
import socket
import time
import typing

from tfae.errors import InputError

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 15.0  # while a worker waits for others
_TASKS = ("chief", "worker")
_EXAMPLE = ('{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", '
            '"index": 0}}')


class Member(typing.NamedTuple):
  """One process of several.

  addresses: host:port of each; the first is the chief's.
  index: which is this one's.
  """
  addresses: tuple
  index: int

  @property
  def name(self):
    """How messages call it."""
    return f"worker {self.index} of {len(self.addresses)} ({self.addresses[self.index]})"


ALONE = Member(("localhost:0",), 0)


def read(text):
  """Returns the `Member` that the JSON of TF_CONFIG makes of this process.

  Raises:
    InputError: it is not as TensorFlow defines it, or has tasks that are of no use here.
  """
  def wrong(what):
    raise InputError(f"TF_CONFIG={text[:200]!r}: {what}. strategy='multi_worker' takes its "
                     f"processes from this environment variable, such as '{_EXAMPLE}'.")
  try:
    values = json.loads(text)
    cluster, task = values["cluster"], values["task"]
    kind, index = task["type"], task["index"]
  except (ValueError, KeyError, TypeError):
    wrong("expected JSON with cluster, task.type and task.index" if text else "is not set")
  if not isinstance(cluster, dict) or set(cluster) - {*_TASKS, "evaluator"} or not all(
      isinstance(addresses, list) and addresses and all(
          isinstance(address, str) and re.fullmatch(r"\S+:\d+", address) for address in addresses)
      for addresses in cluster.values()):
    wrong("cluster must have lists of host:port under 'worker', and may have one under 'chief'")
  if kind not in _TASKS:
    wrong(f"task.type is {kind!r}; expected 'worker' or 'chief'. The chief evaluates, there is no "
          "evaluator")
  if not isinstance(index, int) or isinstance(index, bool) \
      or not 0 <= index < len(cluster.get(kind, [])):
    wrong(f"task.index is {index!r}; cluster has {len(cluster.get(kind, []))} of {kind!r}")
  if len(cluster.get("chief", [])) > 1:
    wrong("there can be one chief only")
  chiefs = cluster.get("chief", [])
  return Member((*chiefs, *cluster.get("worker", [])),
                index + (len(chiefs) if kind == "worker" else 0))


def meet(member):
  """Returns when all processes of the cluster have started.

  TensorFlow waits too, but in one call that nothing interrupts and that says nothing. So the first
  waits here until all others listen at their ports, and these until the first does, with
  TensorFlow's server; there, the wait is short then.

  Raises:
    InputError: this one's port can't be had.
  """
  others = [address for number, address in enumerate(member.addresses) if number != member.index]
  _LOG.info("%s: waiting for the others.", member.name)
  silent = time.monotonic()
  with contextlib.ExitStack() as stack:
    if member.index:
      stack.enter_context(_listening(member))
      others = others[:1]
    while others := [address for address in others if _is_missing(address)]:
      if time.monotonic() > silent + _SECONDS_BETWEEN_LINES:
        silent = time.monotonic()
        _LOG.info("%s: still waiting for %s.", member.name, ", ".join(others))
      time.sleep(.1)


def _listening(member):
  """Returns a socket at this process's port, on which connections wait unanswered."""
  port = int(member.addresses[member.index].rpartition(":")[2])
  both = socket.has_dualstack_ipv6()
  try:
    return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET,
                                dualstack_ipv6=both)
  except (OSError, OverflowError) as error:
    raise InputError(f"TF_CONFIG: {member.name} can't listen at port {port} ({error}). End what "
                     "does, or give all processes another port.") from error


def _is_missing(address):
  """Returns whether nobody listens at host:port."""
  host, _, port = address.rpartition(":")
  try:
    socket.create_connection((host, int(port)), 1).close()
  except (OSError, OverflowError):
    return True
  return False
