"""The README does what it says."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def test_the_library_example_runs_as_printed(tmp_path):
  (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
  done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True,
                        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
  assert done.returncode == 0, done.stderr
  assert "encoder/layer_1/kernel" in done.stdout  # the summary says what is tied to it
  assert (tmp_path / "runs/example-served/1/saved_model.pb").exists()


def test_the_modules_that_the_readme_names_are_there_after_import_tfae():
  program = "import tfae; tfae.optimizers.Updater; tfae.graph.freeze; tfae.saved_model.verify"
  subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                 env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_every_path_that_the_documents_name_exists():
  for document in ("README.md", "BUILD.md"):
    for path in re.findall(r"\b(?:configs|export|benchmarks|tests|tfae)/[\w/]+\.\w+",
                           (ROOT / document).read_text()):
      assert (ROOT / path).exists(), f"{document} names {path}"
