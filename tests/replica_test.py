"""What the traced code knows of its replica."""

import threading

from tfae import replica

PART = replica.Replica(count=4, first=2, rows=2, batch=7, examples=5.0, total=lambda x: x)


def test_there_is_one_replica_unless_it_is_said_and_it_is_as_before_afterwards():
  assert replica.current() is None
  with replica.tracing(PART):
    assert replica.current() is PART
    with replica.tracing(None):
      assert replica.current() is None
    assert replica.current() is PART
  assert replica.current() is None


def test_each_thread_has_its_own():
  found = []
  with replica.tracing(PART):
    thread = threading.Thread(target=lambda: found.append(replica.current()))
    thread.start()
    thread.join()
  assert found == [None]


def test_a_function_of_its_own_has_the_number_of_examples_as_an_argument():
  with replica.tracing(PART):
    with replica.examples(3.0):
      assert replica.current() == PART._replace(examples=3.0)
    assert replica.current().examples == 5.0
  with replica.examples(None):
    assert replica.current() is None
