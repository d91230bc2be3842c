"""An import goes down the floors of the house, never up, and sideways only where the table says."""

import ast
import pathlib
import subprocess
import sys

import pytest

import tfae

ROOT = pathlib.Path(__file__).parents[1]

# Each floor from low to high; a module may import those of lower floors.
FLOORS = [
    {"errors", "files", "machine", "replica"},
    {"figures.checks", "figures.diagram", "figures.style"},
    {"figures.montage"},
    {"figures.cells"},
    {"figures.codes", "figures.curves", "figures.grids", "figures.latent", "figures.scores",
     "figures.weights"},
    {"cluster", "specs.basic", "specs.data", "specs.distortions", "specs.layers", "specs.losses",
     "specs.memory", "specs.mirror", "specs.model", "specs.normalization", "specs.optimizers",
     "specs.penalties", "specs.sections", "specs.systems", "specs.variational"},
    {"randomness", "ops", "initializers", "losses", "placement", "distributions", "gradients",
     "graph", "strategy"},
    {"data.augmentation", "data.cifar", "data.corruption", "data.crc32c", "data.datasets",
     "data.distortion", "data.encoded", "data.example", "data.fetchers", "data.folder", "data.idx",
     "data.mapped", "data.mnist", "data.origin", "data.picture", "data.pipeline", "data.reading",
     "data.records", "data.sources", "data.splits", "data.stored"},
    {"images", "film", "events", "projector", "layers", "network", "optimizers", "checkpoint",
     "thresholds", "weights"},
    {"models.model", "models.autoencoder", "models.classifier", "models.penalties",
     "models.probe", "models.variational"},
    {"tasks.task", "tasks.reconstruct", "tasks.classify", "tasks.probe", "tasks.variational"},
    {"anomaly", "experiment", "evaluation", "leakage", "likelihood", "diagnosis", "loop", "metrics",
     "signals", "build", "workdir", "pictures", "watch", "run", "training", "transfer", "jobs",
     "standings", "reproduction",
     "results", "sessions", "systems"},
    {"labels", "server_configs", "publish", "promotion", "raw_inputs", "warmup", "saved_model",
     "exporting", "inspection"},
    {"views.once", "views.material", "views.responses", "views.maximisation", "views.latent",
     "views.view", "views.of_data", "views.of_training", "views.of_results", "views.of_codes",
     "views.of_weights", "views.of_scores", "views.catalogue", "views.picture"},
    {"report.layers", "report.settings", "report.style"},
    {"report.facts", "report.markup"},
    {"report.export", "report.pictures", "report.words"},
    {"report.comparison", "report.curves", "report.repeat"},
    {"report.comparison_page", "report.page"},
    {"explorer.codes", "explorer.conversion", "explorer.graphs", "explorer.page",
     "explorer.runtime"},
    {"bin.cli", "bin.interrupt", "bin.lean", "bin.train", "bin.evaluate", "bin.weights",
     "bin.reproduce", "bin.inspect_model", "bin.predict", "bin.anomaly", "bin.training",
     "bin.figures", "bin.report", "bin.compare", "bin.explore"},
]
# Which modules of its own floor a module may import.
SAME_FLOOR = {
    "files": {"errors"},
    "specs.layers": {"specs.basic", "specs.normalization"},
    "specs.memory": {"specs.layers"},
    "specs.mirror": {"specs.layers"},
    "specs.model": {"specs.layers"},
    "specs.normalization": {"specs.basic"},
    "specs.penalties": {"specs.layers"},
    "distributions": {"losses"},
    "data.distortion": {"data.augmentation", "data.corruption"},
    "randomness": {"ops"},
    "strategy": {"placement"},
    "initializers": {"randomness"},
    "data.fetchers": {"data.idx"},
    "data.sources": {"data.fetchers", "data.idx"},
    "data.mnist": {"data.fetchers", "data.sources"},
    "data.cifar": {"data.fetchers", "data.idx", "data.picture", "data.sources"},
    "data.encoded": {"data.stored"},
    "data.folder": {"data.encoded", "data.idx", "data.picture", "data.stored"},
    "data.reading": {"data.stored"},
    "data.mapped": {"data.stored"},
    "data.records": {"data.crc32c", "data.encoded", "data.example", "data.picture", "data.stored"},
    "data.pipeline": {"data.reading", "data.stored"},
    "data.datasets": {"data.cifar", "data.folder", "data.idx", "data.mapped", "data.mnist",
                      "data.origin", "data.records", "data.splits", "data.stored"},
    "data.origin": {"data.splits"},
    "network": {"layers"},
    "models.autoencoder": {"models.model", "models.penalties"},
    "models.classifier": {"models.model"},
    "models.probe": {"models.classifier"},
    "models.variational": {"models.autoencoder", "models.model"},
    "tasks.reconstruct": {"tasks.task"},
    "tasks.classify": {"tasks.task"},
    "tasks.probe": {"tasks.classify"},
    "tasks.variational": {"tasks.task"},
    "anomaly": {"build", "evaluation"},
    "build": {"workdir"},
    "diagnosis": {"evaluation"},
    "leakage": {"transfer", "workdir"},
    "likelihood": {"evaluation"},
    "workdir": {"experiment"},
    "run": {"build", "diagnosis", "evaluation", "loop", "signals", "watch"},
    "training": {"build", "experiment", "leakage", "run", "sessions", "transfer", "workdir"},
    "metrics": {"workdir"},
    "pictures": {"evaluation", "experiment"},
    "watch": {"diagnosis", "metrics", "pictures"},
    "jobs": {"experiment"},
    "standings": {"experiment", "jobs", "workdir"},
    "reproduction": {"jobs", "signals", "standings", "workdir"},
    "results": {"jobs", "standings"},
    "publish": {"labels"},
    "promotion": {"labels", "publish", "server_configs"},
    "saved_model": {"warmup"},
    "exporting": {"labels", "publish", "raw_inputs", "saved_model", "warmup"},
    "inspection": {"saved_model"},
    "views.material": {"views.once"},
    "views.maximisation": {"views.responses"},
    "views.view": {"views.material"},
    "views.of_data": {"views.view"},
    "views.of_training": {"views.view"},
    "views.of_results": {"views.view"},
    "views.of_codes": {"views.latent", "views.view"},
    "views.of_weights": {"views.maximisation", "views.responses", "views.view"},
    "views.of_scores": {"views.view"},
    "views.catalogue": {"views.of_codes", "views.of_data", "views.of_results", "views.of_scores",
                        "views.of_training", "views.of_weights"},
    "explorer.page": {"explorer.conversion"},
    "bin.cli": {"bin.interrupt", "bin.lean"},
    "bin.reproduce": {"bin.cli"},
    "bin.inspect_model": {"bin.cli"},
    "bin.predict": {"bin.cli"},
    "bin.anomaly": {"bin.cli", "bin.training"},
    "bin.train": {"bin.cli", "bin.training"},
    "bin.compare": {"bin.cli"},
    "bin.report": {"bin.cli"},
    "bin.evaluate": {"bin.cli"},
    "bin.explore": {"bin.cli"},
    "bin.figures": {"bin.cli"},
    "bin.weights": {"bin.cli"},
}
# Rooms that see less than what lies below them: a prefix of every module that they may import.
ONLY = {
    "figures.": ("errors", "figures."),
    "specs.": ("errors", "machine", "specs."),
    "data.": ("errors", "files", "machine", "randomness", "specs.data",
              "specs.distortions", "data."),
    "models.": ("errors", "specs.", "randomness", "ops", "losses", "distributions", "placement",
                "gradients", "graph", "layers", "network", "models."),
    "tasks.": ("errors", "specs.", "models.", "tasks."),
    "explorer.": ("errors", "data.fetchers", "data.sources", "explorer."),
    "graph": ("errors", "files"),
    "raw_inputs": ("errors", "data.encoded", "graph"),
    "warmup": ("errors",),
    "saved_model": ("errors", "files", "graph", "warmup"),
    "labels": ("errors", "files"),
    "server_configs": ("files",),
    "publish": ("errors", "files", "labels"),
    "promotion": ("errors", "files", "labels", "publish", "server_configs"),
    "exporting": ("errors", "files", "images", "specs.", "models.", "graph", "saved_model",
                  "publish", "labels", "raw_inputs", "thresholds", "warmup"),
}
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}
# Modules that check a user's configs and flags do so before TensorFlow is imported.
WITHOUT_TENSORFLOW = ["figures.cells", "figures.checks", "figures.codes", "figures.curves",
                      "figures.diagram", "figures.grids", "figures.latent", "figures.montage",
                      "figures.scores", "figures.style", "figures.weights",
                      "errors", "files", "film", "images", "machine", "specs.basic", "specs.data",
                      "specs.distortions", "specs.layers", "specs.losses", "specs.memory",
                      "specs.mirror", "specs.model", "specs.normalization", "specs.optimizers",
                      "specs.penalties", "specs.sections", "specs.systems", "specs.variational",
                      "tasks.task", "data.idx", "data.fetchers", "data.sources", "data.mnist",
                      "data.cifar", "data.picture", "data.stored", "data.encoded", "data.folder",
                      "data.crc32c", "data.example", "data.mapped", "data.records",
                      "data.origin", "data.splits",
                      "data.datasets", "cluster", "replica",
                      "experiment", "workdir", "publish", "jobs", "standings", "reproduction",
                      "results", "sessions", "signals", "systems", "inspection", "labels",
                      "raw_inputs", "server_configs", "promotion", "thresholds",
                      "views.material", "views.catalogue", "report.page",
                      "report.export", "report.pictures", "report.curves", "report.comparison_page",
                      "explorer.codes", "explorer.conversion", "explorer.graphs", "explorer.page",
                      "explorer.runtime"]


def module_of(path):
  return ".".join(path.relative_to(ROOT / "tfae").with_suffix("").parts)


def sources():
  """{module: path} of all modules of tfae but the packages' own files."""
  return {module_of(path): path for path in sorted((ROOT / "tfae").rglob("*.py"))
          if path.name != "__init__.py"}


def resolve(dotted):
  """Returns the module that `tfae.<dotted>` needs: itself, its home, or None for tfae alone."""
  parts = dotted.split(".")
  for length in range(len(parts), 0, -1):
    if (ROOT / "tfae" / pathlib.Path(*parts[:length])).with_suffix(".py").is_file():
      return ".".join(parts[:length])
  home = tfae._HOME.get(parts[0])
  return home.removeprefix("tfae.") if home else None


def imports(source):
  """Returns (modules of tfae, top-level names of all others) that a source imports anywhere."""
  ours, others, aliases = set(), set(), set()
  tree = ast.parse(source)
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for name in node.names:
        top, _, rest = name.name.partition(".")
        if top != "tfae":
          others.add(top)
        elif rest:
          ours.add(resolve(rest))
        else:
          aliases.add(name.asname or "tfae")
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, "relative imports are not read by this test: write tfae."
      top, _, rest = node.module.partition(".")
      if top != "tfae":
        others.add(top)
      else:
        ours |= {resolve(f"{rest}.{name.name}" if rest else name.name) for name in node.names}
  # `import tfae` and then tfae.Stack, tfae.data.datasets, ...
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute):
      parts = []
      while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
      if isinstance(node, ast.Name) and node.id in aliases:
        ours.add(resolve(".".join(parts)))
  return ours - {None}, others


def faults(module, source):
  """Returns what is wrong with the imports of a module, in words."""
  found = []
  ours, others = imports(source)
  if "importlib" in others:
    found.append(f"{module} imports by name, past this test")
  for other in sorted(ours):
    if FLOOR[other] > FLOOR[module]:
      found.append(f"{module} imports {other}, which is above it")
    if FLOOR[other] == FLOOR[module] and other not in SAME_FLOOR.get(module, ()):
      found.append(f"{module} imports {other}, which is beside it")
    for room, allowed in ONLY.items():
      if module.startswith(room) and not other.startswith(allowed):
        found.append(f"{module} imports {other}, which {room} may not see")
  return found


def test_every_module_has_its_floor_and_every_floor_its_modules():
  assert set(sources()) == set(FLOOR), "add the module to FLOORS, or take it out"
  assert sum(map(len, FLOORS)) == len(FLOOR)


@pytest.mark.parametrize("module", sorted(sources()))
def test_imports_go_down(module):
  assert faults(module, sources()[module].read_text(encoding="utf-8")) == []


def test_the_table_allows_no_sideways_import_that_nobody_makes():
  for module, beside in SAME_FLOOR.items():
    ours, _ = imports(sources()[module].read_text(encoding="utf-8"))
    assert beside <= ours, (module, beside - ours)


def test_sideways_imports_are_no_circle():
  left = {module: set(beside) for module, beside in SAME_FLOOR.items()}
  while left:
    free = [module for module, beside in left.items() if not beside & set(left)]
    assert free, left
    for module in free:
      del left[module]


@pytest.mark.parametrize("module, source, fault", [
    ("ops", "from tfae.layers import Layer", "ops imports layers, which is above it"),
    ("ops", "import tfae.layers", "ops imports layers, which is above it"),
    ("ops", "from tfae import network", "ops imports network, which is above it"),
    ("ops", "def f():\n  from tfae import Stack", "ops imports network, which is above it"),
    ("ops", "import tfae\ndef f():\n  return tfae.Stack([])", "ops imports network"),
    ("ops", "import tfae as t\nx = t.models.autoencoder.Autoencoder", "models.autoencoder, which"),
    ("ops", "import importlib", "past this test"),
    ("layers", "from tfae import checkpoint", "layers imports checkpoint, which is beside it"),
    ("graph", "from tfae import network", "graph imports network, which graph may not see"),
    ("data.pipeline", "from tfae import ops", "which data. may not see"),
    ("specs.losses", "from tfae import files", "which specs. may not see"),
])
def test_a_wrong_import_would_be_found(module, source, fault):
  assert any(fault in found for found in faults(module, source))


def test_the_version_may_be_asked_for_anywhere():
  assert faults("ops", "import tfae\nprint(tfae.__version__)") == []


def test_packages_import_nothing_but_the_standard_library():
  for path in (ROOT / "tfae").rglob("__init__.py"):
    ours, others = imports(path.read_text(encoding="utf-8"))
    # Ctrl-C is looked after before anything else is imported; by a module of no imports.
    ours -= {"bin.interrupt"} if path.parent.name == "bin" else set()
    assert not ours and others <= sys.stdlib_module_names, path


def test_configs_import_tfae_only():
  paths = sorted((ROOT / "configs").glob("*.py"))
  assert paths
  for path in paths:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for name in node.names}
    assert names == {"tfae"}, path
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree)), path


def test_no_export_program_but_the_exporter_and_the_publisher_knows_tfae():
  paths = sorted((ROOT / "export").rglob("*.py"))
  # They make and publish exports; all others know nothing but the export.
  makers = {"export_saved_model.py", "publish.py"}
  assert {"check_saved_model.py", *makers} <= {path.name for path in paths}
  for path in paths:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import)
               for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    knows = any(module.split(".")[0] == "tfae" for module in modules)
    assert knows == (path.name in makers), path


def test_what_is_checked_at_the_door_does_not_import_tensorflow():
  code = ("import importlib, sys, tfae\n"
          f"for module in {WITHOUT_TENSORFLOW}:\n"
          "  importlib.import_module('tfae.' + module)\n"
          "  assert 'tensorflow' not in sys.modules, module\n"
          "tfae.Dense(3), tfae.Adam(1e-3), tfae.Experiment, tfae.InputError, tfae.default_config\n"
          "assert 'tensorflow' not in sys.modules\n")
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr


def test_every_public_name_has_a_home():
  for name in tfae.__all__:
    assert getattr(tfae, name) is not None
  with pytest.raises(AttributeError, match="no attribute 'Stak'"):
    tfae.Stak  # pylint: disable=pointless-statement
