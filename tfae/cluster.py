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
_GREETING = b"tfae"
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
  except (ValueError, KeyError, TypeError, RecursionError):
    wrong("expected JSON with cluster, task.type and task.index" if text else "is not set")
  if not isinstance(cluster, dict) or set(cluster) - {*_TASKS, "evaluator"} or not all(
      isinstance(addresses, list) and addresses and all(
          _is_address(address) for address in addresses)
      for addresses in cluster.values()):
    wrong("cluster must have lists of host:port under 'worker', and may have one under 'chief'")
  everyone = [address for task in _TASKS for address in cluster.get(task, [])]
  twice = next((address for address in everyone if everyone.count(address) > 1), None)
  if twice:
    wrong(f"cluster has {twice!r} twice; each process needs an address of its own")
  if kind not in _TASKS:
    wrong(f"task.type is {kind!r}; expected 'worker' or 'chief'. The chief evaluates, there is no "
          "evaluator")
  if not isinstance(index, int) or isinstance(index, bool) \
      or not 0 <= index < len(cluster.get(kind, [])):
    wrong(f"task.index is {index!r}; cluster has {len(cluster.get(kind, []))} of {kind!r}")
  if len(cluster.get("chief", [])) > 1:
    wrong("there can be one chief only")
  return Member(tuple(everyone),
                index + (len(cluster.get("chief", [])) if kind == "worker" else 0))


def _is_address(text):
  found = re.fullmatch(r"[^\s/]+:([0-9]{1,5})", text) if isinstance(text, str) else None
  return found and 0 < int(found[1]) < 2**16


def meet(member):
  """Returns when all processes of the cluster have started.

  TensorFlow waits too, but in one call that nothing interrupts and that says nothing. So the first
  waits here until all others have greeted it at their ports, and these until the first listens,
  with TensorFlow's server; there, the wait is short then.

  Raises:
    InputError: this one's port can't be had.
  """
  others = [address for number, address in enumerate(member.addresses) if number != member.index]
  _LOG.info("%s: waiting for the others.", member.name)
  silent = time.monotonic()
  with contextlib.ExitStack() as stack:
    own = stack.enter_context(_listening(member))
    if member.index:
      others = others[:1]
    else:
      own.close()  # it was only to be seen whether it can be had
    while others := [address for address in others
                     if _is_missing(address, b"" if member.index else _GREETING)]:
      if member.index:
        _greet(own, stack)
      if time.monotonic() > silent + _SECONDS_BETWEEN_LINES:
        silent = time.monotonic()
        _LOG.info("%s: still waiting for %s.", member.name, ", ".join(others))
      time.sleep(.1)


def _listening(member):
  """Returns a socket at this process's port that does not block."""
  port = int(member.addresses[member.index].rpartition(":")[2])
  both = socket.has_dualstack_ipv6()
  try:
    own = socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET,
                               dualstack_ipv6=both)
  except OSError as error:
    raise InputError(f"TF_CONFIG: {member.name} can't listen at port {port} ({error}). End what "
                     "does, or give all processes another port.") from error
  own.setblocking(False)
  return own


def _greet(own, stack):
  """Greets those who have connected to a socket; the connections last as long as `stack`."""
  while True:
    try:
      connection, _ = own.accept()
    except BlockingIOError:
      return
    stack.enter_context(connection).sendall(_GREETING)


def _is_missing(address, greeting):
  """Returns whether nobody listens at host:port who begins with `greeting`."""
  host, _, port = address.rpartition(":")
  try:
    with socket.create_connection((host, int(port)), 1) as connection:
      return bool(greeting) and connection.recv(len(greeting)) != greeting
  except OSError:
    return True
