"""tfae.report.comparison: what differs, what is best, and what is not to be compared."""

import pathlib
import shutil
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
sys.path.append(str(pathlib.Path(__file__).parent))
import pages
import runs
import tfae
from tfae import training
from tfae.errors import InputError
from tfae.report import comparison, comparison_page

DATA = runs.dataset()


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
  """Runs: a and b of one task, 'other' of another one, 'elsewhere/a' on other data, 'begun'."""
  folder = tmp_path_factory.mktemp("runs")
  training.train(runs.experiment(), folder / "a", data=DATA)
  training.train(runs.experiment(seed=9, optimizer=tfae.SGD(0.5)), folder / "b", data=DATA)
  training.train(runs.experiment(task=tfae.Reconstruct("sum_squared_error")), folder / "other",
                 data=DATA)
  training.train(runs.experiment(), folder / "elsewhere/a", data=runs.dataset(seed=1))

  def kill(_):
    raise runs.Killed
  with pytest.raises(runs.Killed), runs.stops(1, after=kill):
    training.train(runs.experiment(), folder / "begun", data=DATA)
  return folder


def last(path, kind, name):
  return [line[name] for line in runs.lines(path) if line["kind"] == kind][-1]


def test_the_fields_that_differ_are_listed_and_no_others(folder):
  found = comparison.compare([folder / "a", folder / "b"])
  assert found.names == ("a", "b") and not found.notes
  assert {name: values for name, *values in found.fields} == {
      "seed": ["3", "9"], "optimizer.name": ["'adam'", "'sgd'"],
      "optimizer.learning_rate": ["0.01", "0.5"], "optimizer.beta1": ["0.9", "-"],
      "optimizer.beta2": ["0.999", "-"], "optimizer.epsilon": ["1e-08", "-"],
      "optimizer.momentum": ["-", "0.0"], "optimizer.nesterov": ["-", "False"]}


def test_what_a_run_of_fit_does_not_say_does_not_count_as_different(folder, tmp_path):
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(2)], input_shape=DATA.test.images.shape[1:])
  tfae.fit(tfae.Autoencoder(encoder, tfae.mirror(encoder)), DATA, tfae.Adam(0.01), epochs=2,
           batch_size=4, seed=3, workdir=tmp_path / "fit")
  found = comparison.compare([folder / "a", tmp_path / "fit"])
  names = [name for name, *_ in found.fields]
  assert "made by" in names and "model.encoder" not in names and "placement.data" not in names
  three = comparison.compare([folder / "a", folder / "other", tmp_path / "fit"])
  assert ("task.loss", "'mean_squared_error'", "'sum_squared_error'", "-") in three.fields


def test_results_are_those_of_metrics_jsonl_and_the_lowest_error_is_the_best(folder):
  found = comparison.compare([folder / "a", folder / "b"])
  rows = {row.name: row for row in found.results}
  for kind in ("test", "validation"):
    for name in ("loss", "squared_error"):
      expected = tuple(last(folder / run, kind, name) for run in "ab")
      row = rows[f"{kind}: {name.replace('_', ' ')}"]
      assert row.values == expected and row.texts == tuple(f"{v:.6g}" for v in expected)
      assert row.best == (expected.index(min(expected)),)
  assert rows["parameters"].values == (94, 94) and rows["parameters"].best == ()


def test_the_highest_accuracy_is_the_best_and_equal_ones_both_are():
  assert comparison._best("accuracy", (0.5, None, 0.75, 0.75)) == (2, 3)
  assert comparison._best("loss", (0.5, float("nan"), 0.25)) == (2,)
  assert comparison._best("loss", (0.5, None)) == ()
  assert comparison._best("kl", (1.0, 2.0)) == ()


def test_losses_of_other_tasks_and_results_on_other_data_are_not_ranked(folder):
  found = comparison.compare([folder / "a", folder / "other"])
  rows = {row.name: row.best for row in found.results}
  assert rows["test: loss"] == () and len(rows["test: squared error"]) == 1
  assert "different losses" in found.notes[0]
  found = comparison.compare([folder / "a", folder / "elsewhere/a"])
  assert found.names == (f"{folder.name}/a", "elsewhere/a")
  assert not any(row.best for row in found.results) and "different data" in found.notes[0]


def test_a_run_without_metrics_and_a_damaged_one_are_told(folder, tmp_path):
  shutil.copytree(folder / "b", tmp_path / "torn")
  (tmp_path / "torn/config.json").write_text("{")
  found = comparison.compare([folder / "a", tmp_path / "torn", folder / "begun"])
  assert found.names == ("a", "begun")
  (why,) = found.damaged
  assert "torn/config.json: damaged" in why
  rows = {row.name: row.texts for row in found.results}
  assert rows["state"] == ("complete", "just begun") and rows["test: loss"][1] == "-"
  page = pages.Page(comparison_page.page(found, comparison_page.draw(found)))
  assert f"Left out: {why}" in page.text


def test_mistakes_name_the_way_out(folder, tmp_path):
  for given, message in (([folder / "a"], "at least two"), ([], "at least two"),
                         ([folder / "a", folder / "b/../a"], "given twice"),
                         ([folder / "a", tmp_path], "fewer than two runs.*holds no run")):
    with pytest.raises(InputError, match=message):
      comparison.compare(given)


def test_the_page_marks_the_best_and_draws_losses_together_where_they_are_the_same(folder):
  found = comparison.compare([folder / "a", folder / "b", folder / "other"])
  drawn = comparison_page.draw(found)
  titles = [title for title, _ in drawn]
  assert titles == [f"{name} by {by}{loss}" for name, losses in (
      ("Loss", (": mean squared error, squared pixel units, mean over pixels",
                ": sum squared error, squared pixel units, sum over pixels")),
      ("Squared error", ("",))) for loss in losses for by in ("step", "seconds of training")]
  page = pages.Page(comparison_page.page(found, drawn))
  assert [alt for alt, _ in page.images] == titles
  errors = [last(folder / run, "test", "squared_error") for run in ("a", "b", "other")]
  (row,) = [row for row in page.table("result") if row[0] == "test: squared error"]
  assert row[1:] == [f"{v:.6g}" + " (best)" * (v == min(errors)) for v in errors]


def test_plain_tables_are_aligned_and_long_values_are_cut(folder):
  found = comparison.compare([folder / "a", folder / "b"])
  lines = comparison.tables(found)
  header = next(line for line in lines if line.startswith("result"))
  column = header.index("a")
  assert all(line[column - 2:column] == "  " for line in lines[:lines.index("")])
  assert any(line.startswith("optimizer.name") for line in lines)
  assert comparison._aligned([["x"], ["y" * 99]])[1] == "y" * 41 + "..."


def test_of_many_runs_four_stand_beside_each_other_with_all_of_their_results():
  names = tuple(f"run{number}" for number in range(9))
  loss = comparison.Row("test: loss", tuple(f"{number}.5" for number in range(9)),
                        tuple(range(9)), best=(5,))
  found = comparison.Comparison(names, (), (), (("seed", *map(str, range(9))),), (loss,), ())
  lines = comparison.tables(found)
  assert [line.split()[1:] for line in lines if line.startswith("result")] == [
      ["run0", "run1", "run2", "run3"], ["run4", "run5", "run6", "run7"], ["run8"]]
  assert [line.split()[2:] for line in lines if line.startswith("test: loss")] == [
      ["0.5", "1.5", "2.5", "3.5"], ["4.5", "5.5", "*", "6.5", "7.5"], ["8.5"]]
  assert sum((line.split()[1:] for line in lines if line.startswith("seed")), []) == list(
      "012345678")
