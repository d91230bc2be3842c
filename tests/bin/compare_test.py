"""tfae-compare as a program; it needs no TensorFlow."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
sys.path.append(str(pathlib.Path(__file__).parents[1] / "report"))
import pages
import runs
from tfae import training

MISTAKES = {
    "one": (["{tmp}/a"], "give at least two runs"),
    "no html": (["{tmp}/a", "{tmp}/b", "--out={tmp}/x.txt"], "expected a file that ends in .html"),
    "flag": (["{tmp}/a", "{tmp}/b", "--uot=x.html"], "unknown flag --uot"),
}


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp_path_factory):
  """(folder, {name: (exit code, stdout, stderr)}) of processes that can't import TensorFlow."""
  folder = tmp_path_factory.mktemp("compare")
  for name, seed in (("a", 3), ("b", 9)):
    training.train(runs.experiment(seed=seed), folder / name, data=runs.dataset())
  cases = {name: flags for name, (flags, _) in MISTAKES.items()}
  cases["both"] = ["{tmp}/a", "{tmp}/b", "{tmp}/none", "--out={tmp}/both.html"]
  lines = [["compare", *(flag.format(tmp=folder) for flag in flags)] for flags in cases.values()]
  output = folder / "output"
  output.mkdir()
  return folder, dict(zip(cases, runs.many(lines, output, ["tfae"])))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(outcomes, name):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and MISTAKES[name][1] in err and err.count("\n") == 1


def test_it_prints_both_tables_and_writes_a_page_without_tensorflow(outcomes):
  folder, results = outcomes
  code, out, err = results["both"]
  assert code == 0, err
  assert "left out" in err and "holds no run" in err
  lines = out.splitlines()
  assert lines[0].split() == ["result", "a", "b"]
  assert ["seed", "3", "9"] in [line.split() for line in lines]
  assert any(" *" in line for line in lines) and lines[-1] == f"written: {folder}/both.html"
  page = pages.Page((folder / "both.html").read_text())
  assert page.headings[0] == (1, "2 runs beside each other") and len(page.images) == 4
