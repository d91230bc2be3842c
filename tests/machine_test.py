"""tfae.machine: the memory that there is, or that a container may take."""

import pytest

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
