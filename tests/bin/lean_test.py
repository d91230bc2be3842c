"""TensorFlow's import in the programs: without what nobody uses, which can be imported later."""

import gc
import importlib
import pathlib
import subprocess
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
from tfae.bin import lean


@pytest.fixture(name="extra")
def fixture_extra(tmp_path, monkeypatch):
  """A package that is installed and not loaded."""
  (tmp_path / "some_extra").mkdir()
  (tmp_path / "some_extra" / "__init__.py").write_text("")
  (tmp_path / "some_extra" / "part.py").write_text("VALUE = 3")
  monkeypatch.syspath_prepend(tmp_path)
  yield "some_extra"
  for name in [name for name in sys.modules if name.startswith("some_extra")]:
    del sys.modules[name]


def test_an_extra_passes_for_not_installed_inside_and_can_be_imported_afterwards(extra):
  with lean.importing([extra]):
    for name in (extra, f"{extra}.part"):
      with pytest.raises(ImportError):
        importlib.import_module(name)
  assert importlib.import_module(f"{extra}.part").VALUE == 3


def test_an_extra_that_is_loaded_already_stays(extra):
  loaded = importlib.import_module(extra)
  with lean.importing([extra]):
    assert importlib.import_module(extra) is loaded
  assert sys.modules[extra] is loaded


def test_a_failed_import_leaves_everything_as_it_was(extra):
  with pytest.raises(KeyError):
    with lean.importing([extra]):
      assert not gc.isenabled()
      raise KeyError
  assert gc.isenabled() and extra not in sys.modules


def test_what_was_loaded_is_not_looked_through_for_garbage_again():
  gc.unfreeze()
  loaded = None
  try:
    with lean.importing([]):
      loaded = [[]]
    assert not any(thing is loaded for thing in gc.get_objects())
  finally:
    gc.unfreeze()
  assert any(thing is loaded for thing in gc.get_objects())


def test_a_process_that_collects_no_garbage_goes_on_so():
  gc.disable()
  try:
    with lean.importing([]):
      pass
    assert not gc.isenabled()
  finally:
    gc.enable()


def test_tensorflow_works_without_its_extras_and_they_work_after_it(tmp_path):
  code = ("import sys\n"
          "from tfae.bin import cli, lean\n"
          "cli.import_tensorflow()\n"
          "loaded = [name for name in lean.EXTRAS if name in sys.modules]\n"
          "assert 'tensorflow' in sys.modules and not loaded, loaded\n"
          "from tfae import metrics\n"  # with TensorBoard
          "log = metrics.MetricsLog(sys.argv[1], step=0, epochs=0, tensorboard=True)\n"
          "log.write('train', 1, 1, {'loss': .5})\n"
          "log.close()\n"
          "from sklearn.decomposition import PCA\n"
          "assert PCA(1).fit([[0., 1.], [1., 0.], [2., 2.]]).n_samples_ == 3\n")
  done = subprocess.run([sys.executable, "-c", code, tmp_path], env=runs.ENVIRONMENT,
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert list((tmp_path / "tensorboard").glob("events*"))
