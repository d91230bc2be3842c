"""tfae.machine: the memory that there is, or that a container may take; machine and commit."""

import os
import platform
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from tfae import machine


def total():
  """Bytes of memory as the kernel lists them for people."""
  lines = open("/proc/meminfo", encoding="ascii").read().splitlines()
  return 1024 * int(next(line for line in lines if line.startswith("MemTotal:")).split()[1])


def test_without_a_limit_it_is_the_machine_s_memory(monkeypatch, tmp_path):
  (tmp_path / "max").write_text("max\n")
  monkeypatch.setattr(machine, "_LIMITS", (str(tmp_path / "max"), str(tmp_path / "missing")))
  assert machine.memory_bytes() == pytest.approx(total(), rel=0.01)


def test_a_container_s_limit_counts_where_it_is_lower(monkeypatch, tmp_path):
  for text, expected in (("1048576\n", 1 << 20), (str(2**62), None)):
    (tmp_path / "limit").write_text(text)
    monkeypatch.setattr(machine, "_LIMITS", (str(tmp_path / "limit"),))
    assert machine.memory_bytes() == pytest.approx(expected or total(), rel=0.01)


@pytest.mark.parametrize("cores, said", [(1, "1 core"), (2, "2 cores"), (11, "11 cores")])
def test_the_kind_of_machine_has_its_cores_and_its_architecture(monkeypatch, cores, said):
  monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
  assert machine.kind().startswith(f"{said}, {platform.machine()}")


def test_the_cores_are_those_that_this_process_may_use():
  there = os.sched_getaffinity(0)
  one = {min(there)}
  try:
    os.sched_setaffinity(0, one)
    assert machine.kind().startswith("1 core, ")
  finally:
    os.sched_setaffinity(0, there)


def test_a_commit_says_if_files_differ_from_it(tmp_path):
  def git(*words):
    done = subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *words], cwd=tmp_path,
                          text=True, capture_output=True, check=True)
    return done.stdout.strip()

  assert machine.commit(tmp_path) is None
  git("init")
  (tmp_path / "file").write_text("one")
  git("add", "file")
  git("commit", "-m", "one")
  assert machine.commit(tmp_path) == git("rev-parse", "--short", "HEAD")
  (tmp_path / "file").write_text("two")
  assert machine.commit(tmp_path) == git("rev-parse", "--short", "HEAD") + " with changes"


@pytest.mark.full
def test_results_say_what_they_were_made_on(tmp_path):
  gpus = tf.config.list_physical_devices("GPU")
  found = machine.made_on(tmp_path)
  assert found["commit"] == "no git"
  assert found["versions"] == (f"python {platform.python_version()}, tensorflow {tf.__version__}, "
                               f"numpy {np.__version__}")
  assert found["machine"].startswith(machine.kind()) and (
      found["machine"].endswith("no GPU") != bool(gpus))
