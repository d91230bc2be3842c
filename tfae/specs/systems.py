"""What tfae-reproduce knows of a system: its runs, and what was printed beside their figures.

The table itself is tfae/systems.py.
"""

import dataclasses
import pathlib

import tfae

LABELS = ("faithful", "better", "literature")


@dataclasses.dataclass(frozen=True)
class Figure:
  """One number of a run, beside the one that was printed.

  metric: in words, with its unit.
  kind, name: where it stands in metrics.jsonl: the line's kind ('test', 'validation', 'epoch': the
    mean over the batches of an epoch, 'pca' or 'log_likelihood': what tfae-evaluate adds, 'anomaly':
    what tfae-anomaly adds) and the field of that line.
  printed: what the source printed, in words; '' for nothing.
  goal: the number to reach, in the unit of `metric`; None: there is none.
  higher: whether more is better.
  epoch: of which epoch; None: the last one.
  scale, offset: the figure is `offset + scale * field`: percent, or an error of an accuracy.
  digits: decimals.
  """
  metric: str
  kind: str
  name: str
  printed: str = ""
  goal: float | None = None
  higher: bool = False
  epoch: int | None = None
  scale: float = 1.0
  offset: float = 0.0
  digits: int = 4

  def reached(self, value):
    """Returns whether `value`, as it is shown, is as good as the goal."""
    value = round(value, self.digits)
    return value >= self.goal if self.higher else value <= self.goal


@dataclasses.dataclass(frozen=True)
class Run:
  """One config, trained once a seed.

  label: 'faithful' (the source's own recipe), 'better' (tfae's), 'literature'.
  config: file of configs/, with get_config's argument where it takes one: 's13_conv_vae.py:2'.
  figures: what is read from it; the first one is its main figure.
  variant: sets it apart from other runs of its system and label, in a word: '1000-labels'.
  overrides: {config field: value}, as --config.FIELD=VALUE.
  needs: 'ID/LABEL' or 'ID/LABEL/VARIANT' of the run that it starts from, or ''; "{needs}" in an
    override becomes the folder of that run, of the same seed.
  minutes: of one seed on one or two cores, as measured; None: not measured.
  seeds: how many, unless the command says otherwise.
  pca: whether after the training tfae-evaluate says what PCA of the same code size loses of the
    test images.
  likelihood: of a variational model: after the training tfae-evaluate estimates log p(x) of the
    test images with so many samples an image; 0: not at all.
  likelihood_images: only of the first so many of them; 0: of all.
  anomaly: whether after the training tfae-anomaly chooses a threshold, and says how well test images
    of classes that were not trained on are told.
  """
  label: str
  config: str
  figures: tuple
  variant: str = ""
  overrides: dict = dataclasses.field(default_factory=dict)
  needs: str = ""
  minutes: float | None = None
  seeds: int = 3
  pca: bool = False
  likelihood: int = 0
  likelihood_images: int = 0
  anomaly: bool = False

  @property
  def name(self):
    """'faithful', or 'faithful/1000-labels'; unique in its system."""
    return f"{self.label}/{self.variant}" if self.variant else self.label

  @property
  def evaluations(self):
    """{kind of a line that is added to metrics.jsonl after the training: the flags of the program},
    which is tfae-anomaly for 'anomaly', else tfae-evaluate."""
    found = {}
    if self.pca:
      found["pca"] = ["--pca"]
    if self.likelihood:
      found["log_likelihood"] = [f"--log_likelihood={self.likelihood}"]
      if self.likelihood_images:
        found["log_likelihood"].append(f"--images={self.likelihood_images}")
    if self.anomaly:
      found["anomaly"] = []
    return found

  @property
  def folder(self):
    """Name of the folder of its seeds: 'faithful-1000-labels'; unique in its system."""
    return self.name.replace("/", "-")


@dataclasses.dataclass(frozen=True)
class System:
  """id: such as 'S04'; what, protocol: in words; runs: see `Run`."""
  id: str
  what: str
  protocol: str
  runs: tuple


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A table of its own: the main figures of runs that differ in one or two things.

  title: its heading; name: of its plot's file.
  row: what tells the rows apart ('labels').
  rows: {row label: names of its runs 'ID/LABEL/VARIANT', one a column}.
  columns: names of the columns.
  plot: whether to plot it over the rows, whose labels are numbers then.
  mean: what was printed of the mean over the rows, in words; None: there is no such row.
  """
  title: str
  name: str
  row: str
  rows: dict
  columns: tuple
  plot: bool = False
  mean: str | None = None


def configs_folder():
  """Returns the folder configs/: beside tfae in a checkout, inside of it in a wheel."""
  package = pathlib.Path(tfae.__file__).parent
  inside = package / "configs"
  return inside if inside.is_dir() else package.parent / "configs"
