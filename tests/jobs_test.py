"""tfae.jobs: which runs are chosen, and that the table of the systems holds together."""

import pytest

from tfae import jobs, systems
from tfae.errors import InputError
from tfae.jobs import Job
from tfae.specs.systems import Figure, Run, System

LOSS = Figure("test loss", "test", "loss", "9.9", 1.0)
TABLE = (System("T1", "one", "protocol", (
    Run("faithful", "quickstart.py", (LOSS,), overrides={"epochs": 4}, seeds=2),
    Run("better", "quickstart.py", (LOSS,), variant="more", overrides={"epochs": 5},
        needs="T1/faithful"))),)


@pytest.mark.parametrize("name, expected", [
    ("T1", ["T1/faithful", "T1/better/more"]), ("faithful", ["T1/faithful"]),
    ("T1/better", ["T1/faithful", "T1/better/more"]),
    ("T1/faithful", ["T1/faithful"])])
def test_only_takes_ids_labels_and_both(name, expected):
  chosen = jobs.select(TABLE, [name])
  assert [f"{system.id}/{run.name}" for system, run in chosen] == expected


def test_an_unknown_name_is_one_line_with_the_nearest():
  with pytest.raises(InputError, match="--only='T1/bettre'.*Did you mean 'T1/better'"):
    jobs.select(TABLE, ["T1/bettre"])


def test_the_table_names_each_run_once_and_only_runs_that_there_are():
  names = [f"{system.id}/{run.name}" for system in systems.SYSTEMS for run in system.runs]
  folders = [(system.id, run.folder) for system in systems.SYSTEMS for run in system.runs]
  assert len(set(names)) == len(names) and len(set(folders)) == len(folders)
  assert {f"S{number:02}" for number in range(1, 20)} < {name[:3] for name in names}
  for system in systems.SYSTEMS:
    for run in system.runs:
      assert run.label in ("faithful", "better", "literature") and run.figures
      assert not run.needs or run.needs in names
      assert ("{needs}" in str(run.overrides)) == bool(run.needs)
  for comparison in systems.COMPARISONS:
    for of_row in comparison.rows.values():
      assert set(of_row) <= set(names) and len(of_row) == len(comparison.columns)
  assert len(jobs.plan(jobs.select(systems.SYSTEMS, []))) > len(names)


def test_every_config_of_the_table_is_there_and_takes_its_overrides():
  named = jobs.by_name(systems.SYSTEMS)
  for system, run in named.values():
    Job(system, run, 0).experiment("R", named)
