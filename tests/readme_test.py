"""The README does what it says."""

import pathlib
import re
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs

ROOT = pathlib.Path(__file__).parent.parent
NAMES = "import tfae; tfae.optimizers.Updater; tfae.graph.freeze; tfae.saved_model.verify"


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp_path_factory):
  """(folder, how the example ended, how NAMES ended): processes that had TensorFlow, not tfae."""
  folder = tmp_path_factory.mktemp("readme")
  (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
  for name, program in (("example", example), ("names", NAMES)):
    (folder / f"{name}.py").write_text(program)
  return folder, *runs.many([[str(folder / "example.py")], [str(folder / "names.py")]], folder,
                            ["tensorflow"])


def test_the_library_example_runs_as_printed(outcomes):
  folder, (code, out, err), _ = outcomes
  assert code == 0, err
  assert "encoder/layer_1/kernel" in out  # the summary says what is tied to it
  assert (folder / "runs/example-served/1/saved_model.pb").exists()


def test_the_modules_that_the_readme_names_are_there_after_import_tfae(outcomes):
  code, _, err = outcomes[2]
  assert code == 0, err


def test_every_path_that_the_documents_name_exists():
  for document in ("README.md", "BUILD.md"):
    for path in re.findall(r"\b(?:configs|export|benchmarks|tests|tfae)/[\w/]+\.\w+",
                           (ROOT / document).read_text()):
      assert (ROOT / path).exists(), f"{document} names {path}"
