"""Which runs of the systems there are, which of them are wanted, and what each one trains."""

import dataclasses
import pathlib
import runpy

from tfae import experiment as experiments
from tfae.errors import InputError, nearest, shown
from tfae.specs.systems import LABELS, configs_folder


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of one system with one seed."""
  system: object
  run: object
  seed: int

  @property
  def name(self):
    return f"{self.system.id}/{self.run.name}, seed {self.seed}"

  def folder(self, root):
    """Returns the run's folder."""
    return pathlib.Path(root) / self.system.id / self.run.folder / f"seed{self.seed}"

  def overrides(self, root, runs):
    """Returns {config field: value} with the seed, and the folder of the run that it needs."""
    values = {**self.run.overrides, "seed": self.seed}
    if self.run.needs:
      needed = str(Job(*runs[self.run.needs], self.seed).folder(root))
      values = {name: value.replace("{needs}", needed) if isinstance(value, str) else value
                for name, value in values.items()}
    return values

  def experiment(self, root, runs):
    """Returns the `tfae.experiment.Experiment` that tfae-train is going to train.

    Raises:
      InputError: a config that does not exist or can't be read, or an override of no field of it.
    """
    name, _, argument = self.run.config.partition(":")
    path = configs_folder() / name
    try:
      if not path.is_file():
        names = [p.name for p in path.parent.glob("*.py")]
        raise InputError(f"no such file.{nearest(name, names)}")
      config = runpy.run_path(str(path))["get_config"](*[argument] if argument else [])
      config.update_from_flattened_dict(self.overrides(root, runs))
      return experiments.from_config(config)
    except Exception as error:  # pylint: disable=broad-exception-caught
      # A config is a program of its own: whatever it raises is told by name.
      kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
      raise InputError(f"{self.system.id}/{self.run.name}: config {self.run.config}: {kind}"
                       f"{error}") from error


def by_name(systems):
  """Returns {'ID/LABEL/VARIANT': (System, Run)} in the order of the table."""
  return {f"{system.id}/{run.name}": (system, run) for system in systems for run in system.runs}


def select(systems, only):
  """Returns the [(System, Run)] that are named in `only`, and those which they need before them.

  Args:
    systems: the table.
    only: names: an id, a label, 'ID/LABEL', 'ID/LABEL/VARIANT'; empty: all.

  Raises:
    InputError: a name that is none of these.
  """
  runs = by_name(systems)
  names = [*(system.id for system in systems), *LABELS,
           *dict.fromkeys(f"{system.id}/{run.label}" for system, run in runs.values()), *runs]
  for name in only:
    if name not in names:
      raise InputError(f"--only={shown(name)}: no such system or run.{nearest(name, names)} There "
                       f"are {', '.join(system.id for system in systems)}, each alone or with a "
                       f"label ({', '.join(LABELS)}), as in {systems[0].id}/{LABELS[0]}.")

  def wanted(name, system, run):
    return not only or {system.id, run.label, f"{system.id}/{run.label}", name} & set(only)

  result = {}

  def add(name):
    if name not in result:
      if runs[name][1].needs:
        add(runs[name][1].needs)
      result[name] = runs[name]

  for name, (system, run) in runs.items():
    if wanted(name, system, run):
      add(name)
  return list(result.values())


def plan(chosen, seeds=None):
  """Returns the Jobs of [(System, Run)] in their order; `seeds`: how many each, None: as it says.

  A run that another one needs gets as many seeds as that one.
  """
  counts = {f"{system.id}/{run.name}": seeds or run.seeds for system, run in chosen}
  for system, run in reversed(chosen):  # those which need come after those which are needed
    if run.needs:
      counts[run.needs] = max(counts[run.needs], counts[f"{system.id}/{run.name}"])
  return [Job(system, run, seed) for system, run in chosen
          for seed in range(counts[f"{system.id}/{run.name}"])]
