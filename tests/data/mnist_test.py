"""tfae.data.mnist: the real files, fetched."""

import hashlib
import multiprocessing
import os
import pathlib

import pytest

from tfae.data import mnist


def fetch_mnist(results):
  results.put({key: str(content.path) for key, content in mnist.find().items()})


@pytest.mark.full
def test_mnist_is_really_fetched_by_two_processes_at_once(tmp_path, monkeypatch):
  monkeypatch.setenv("TFAE_CACHE", str(tmp_path))
  context = multiprocessing.get_context("spawn")
  results = context.Queue()
  processes = [context.Process(target=fetch_mnist, args=[results]) for _ in range(2)]
  for process in processes:
    process.start()
  for _ in processes:
    paths = results.get(timeout=3000)
    for key, path in paths.items():
      data = pathlib.Path(path).read_bytes()
      assert hashlib.sha256(data).hexdigest() == mnist.FILES[key].sha256
      assert len(data) == mnist.FILES[key].size
  for process in processes:
    process.join(300)
    assert process.exitcode == 0
  assert sorted(os.listdir(tmp_path / "mnist")) == sorted(f.name for f in mnist.FILES.values())
