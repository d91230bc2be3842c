"""The tables of training: who is marked, who is missing, and what all workloads say together."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import report
import rows
import workloads

WORKLOAD = workloads.WORKLOADS["S04:100"]
NAMES = ["tfae", "tfae, bfloat16", "PyTorch eager, fused adam", "JAX, jit"]
ROWS = [row for row in rows.contenders(WORKLOAD) if row.name in NAMES]


def found(rates, early, losses):
  return {"rates": dict(zip(NAMES, rates)), "early": dict(zip(NAMES, early)),
          "losses": dict(zip(NAMES, losses)), "absent": {"JAX, jit": "not installed"},
          "peaks": {"float32": 6.078464e9, "bfloat16": 6.078464e9 * 2, "bytes": 1e15}}


def test_a_row_that_does_less_is_marked_and_one_that_is_missing_is_named():
  assert [row.name for row in ROWS] == NAMES
  own, half, torch, jax = report.cells(WORKLOAD, ROWS, found(
      [[500, 800, 800], [1000, 1000, 1000], [400, 400, 400]], [1, 1.01, 1.01], [.5, .5, .515]))
  assert own[:5] == ["tfae", "800", "1.00 (1.00 to 1.00)", "0.80", "1.25"]
  # Half of its own floor, that of bfloat16; a percent is allowed there, and only there.
  assert half == ["tfae, bfloat16", "1,000", "0.80 (0.50 to 0.80)", "0.50", "2.00", "+1.0e-02",
                  "0.500000", "+0.0e+00"]
  assert torch[2:] == ["2.00 (1.25 to 2.00)", "0.40", "2.50", "+1.0e-02 (!)", "0.515000",
                       "+3.0e-02 (!)"]
  assert jax[:2] == ["JAX, jit", "not installed"]


def test_a_workload_stands_by_its_fastest_peer_that_is_not_tfae():
  stands = report.standing(WORKLOAD, ROWS, found(
      [[500, 800, 800], [1000, 1000, 1000], [400, 400, 400]], [1] * 3, [1] * 3))
  assert stands == report.Standing("S04:100", 800, pytest.approx(.8), NAMES[2], [1.25, 2, 2], [])


def test_the_closing_table_has_geometric_means_of_the_medians_and_names_the_lowest():
  text = report.summary([
      report.Standing("A:1", 1000, .5, "JAX, jit", [1.9, 2, 8], [4, 4, 4]),
      report.Standing("B:1", 1234, .25, "PyTorch", [.5, .4, .6], []),
      report.Standing("C:1", 1, .1, None, [], [])], markdown=True)
  assert "| A:1 | 1,000 | JAX, jit | 2.00 (1.90 to 8.00) | 4.00 (4.00 to 4.00) | 0.50 |" in text
  assert "| C:1 | 1 | none |  |  | 0.10 |" in text
  assert ("Geometric means: 1.00 times the best peer over 2 workloads (lowest 0.50, B:1); "
          "4.00 times Keras over 1 workloads (lowest 4.00, A:1).") in text


def test_every_workload_has_all_peers_and_names_are_unique():
  for workload in workloads.WORKLOADS.values():
    of_it = rows.contenders(workload)
    assert of_it[0].name == "tfae"
    assert len({row.name for row in of_it}) == len(of_it)
    assert {row.needs for row in of_it} == {"tensorflow", "keras", "torch", "jax"}


def test_peers_that_take_several_steps_at_a_time_can_take_those_of_every_round():
  for workload in workloads.WORKLOADS.values():
    for row in rows.contenders(workload):
      each = row.options.get("steps_per_execution") or row.options.get("scan") or 1
      for steps in (workload.warm_up, workload.short, workload.steps):
        assert steps % each == 0, (workload, row)
