"""TF_CONFIG, and the wait for the other processes."""

import json
import logging
import re
import socket
import threading

import pytest

from tfae import cluster
from tfae.errors import InputError


def config(kind="worker", index=0, **tasks):
  tasks = tasks or {"worker": ["a:1", "b:2"]}
  return json.dumps({"cluster": tasks, "task": {"type": kind, "index": index}})


def ports(count):
  """Ports that nobody has."""
  with_ports = [socket.create_server(("", 0)) for _ in range(count)]
  found = [one.getsockname()[1] for one in with_ports]
  for one in with_ports:
    one.close()
  return found


def test_the_chief_is_the_first_whether_it_is_named_or_not():
  assert cluster.read(config(index=1)) == cluster.Member(("a:1", "b:2"), 1)
  both = {"worker": ["a:1", "b:2"], "chief": ["c:3"], "evaluator": ["d:4"]}
  assert cluster.read(config("chief", **both)) == cluster.Member(("c:3", "a:1", "b:2"), 0)
  assert cluster.read(config("worker", 1, **both)) == cluster.Member(("c:3", "a:1", "b:2"), 2)
  assert cluster.read(config("worker", 1, **both)).name == "worker 2 of 3 (b:2)"


@pytest.mark.parametrize("text, words", [
    ("", "TF_CONFIG='': is not set. .*such as '{\"cluster\""),
    ("{", "expected JSON with cluster, task.type and task.index"),
    ("[]", "expected JSON"),
    ('{"cluster": {"worker": ["a:1"]}}', "expected JSON"),
    ("[" * 100_000, "expected JSON"),
    (config(worker=["a"]), "lists of host:port"),
    (config(worker=["a:0"]), "lists of host:port"),
    (config(worker=["a:65536"]), "lists of host:port"),
    (config(worker=["grpc://a:1"]), "lists of host:port"),
    (config(worker=["a:1", "b:2", "a:1"]), "cluster has 'a:1' twice"),
    (config(worker=["a:1"], chief=["a:1"]), "cluster has 'a:1' twice"),
    (config(worker=[]), "lists of host:port"),
    (config(worker="a:1"), "lists of host:port"),
    (config(worker=["a:1"], ps=["b:2"]), "lists of host:port"),
    (config("evaluator", worker=["a:1"], evaluator=["b:2"]), "task.type is 'evaluator'"),
    (config("chief"), "task.index is 0; cluster has 0 of 'chief'"),
    (config(index=2), "task.index is 2; cluster has 2 of 'worker'"),
    (config(index=True), "task.index is True"),
    (config(index="0"), "task.index is '0'"),
    (config(chief=["a:1", "b:2"]), "task.index is 0; cluster has 0"),
    (config("chief", chief=["a:1", "b:2"]), "there can be one chief only")])
def test_what_is_no_cluster_is_refused(text, words):
  with pytest.raises(InputError, match=words):
    cluster.read(text)


def test_the_first_waits_until_all_listen_and_the_others_until_the_first_does(caplog, monkeypatch):
  caplog.set_level(logging.INFO)
  monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_LINES", 0)
  addresses = tuple(f"localhost:{port}" for port in ports(3))
  threads = [threading.Thread(target=cluster.meet, args=[cluster.Member(addresses, index)],
                              daemon=True)
             for index in range(3)]
  first, *others = threads
  others[0].start()
  first.start()
  while f"worker 0 of 3 ({addresses[0]}): still waiting for {addresses[2]}." not in caplog.messages:
    assert first.is_alive()
  others[1].start()
  first.join()
  assert others[0].is_alive() and others[1].is_alive()
  with socket.create_server(("localhost", int(addresses[0].rpartition(":")[2]))):
    for thread in others:
      thread.join()
  assert f"worker 1 of 3 ({addresses[1]}): still waiting for {addresses[0]}." in caplog.messages


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_that_another_has_is_named(index):
  with socket.create_server(("", 0)) as taken:
    port = taken.getsockname()[1]
    addresses = ["b:1", "c:1"]
    addresses[index] = f"a:{port}"
    with pytest.raises(InputError, match=re.escape(f"worker {index} of 2 (a:{port}) can't listen "
                                                   f"at port {port}")):
      cluster.meet(cluster.Member(tuple(addresses), index))


def test_a_stranger_who_listens_is_no_worker(caplog, monkeypatch):
  caplog.set_level(logging.INFO)
  monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_LINES", 0)
  own, = ports(1)
  with socket.create_server(("localhost", 0)) as stranger:
    stranger.settimeout(60)  # so that a test that fails ends
    other = f"localhost:{stranger.getsockname()[1]}"
    first = threading.Thread(target=cluster.meet, daemon=True, args=[
        cluster.Member((f"localhost:{own}", other), 0)])
    first.start()
    while f"worker 0 of 2 (localhost:{own}): still waiting for {other}." not in caplog.messages:
      connection, _ = stranger.accept()
      connection.close()
      assert first.is_alive()
    connection, _ = stranger.accept()
    connection.sendall(cluster._GREETING)
    first.join()
