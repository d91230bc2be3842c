"""tfae.results: every cell of RESULTS.md, from run folders that were written by hand."""

import dataclasses
import json
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs as small
from tfae import experiment as experiments
from tfae import jobs, results
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.jobs import Job
from tfae.specs.systems import Comparison, Figure, Run, System

LOSS = Figure("test loss", "test", "loss", "0.4", 0.3, digits=3)
ACCURACY = Figure("accuracy, %", "test", "accuracy", goal=90, higher=True, scale=100, digits=1)


def labels(system, count, printed=""):
  figure = Figure("accuracy, %", "test", "accuracy", printed, scale=100, digits=1)
  return Run("faithful", "quickstart.py", (figure,), variant=f"{count}-labels",
             overrides={"batch_size": count})


SYSTEMS = (
    System("A", "first", "a | b", (Run("faithful", "quickstart.py", (LOSS, ACCURACY)),
                                   Run("better", "quickstart.py", (LOSS,), variant="x", seeds=1,
                                       overrides={"epochs": 7}))),
    System("B", "warm", "p", (
        *(labels("B", n, "77 %" if n == 10 else "") for n in (10, 100)),
        Run("better", "quickstart.py", labels("B", 10).figures, overrides={"epochs": 7}))),
    System("C", "cold", "p", tuple(labels("C", n) for n in (10, 100))),
    System("D", "sizes", "p", tuple(
        Run(label, "quickstart.py", (LOSS,), variant=variant, overrides={"epochs": epochs})
        for epochs, (label, variant) in enumerate(
            (("faithful", ""), ("better", ""), ("better", "y")), 2))))
COMPARISONS = (
    Comparison("Does it help?", "labels", "labels", {
        "10": ("B/faithful/10-labels", "C/faithful/10-labels"),
        "1,00": ("B/faithful/100-labels", "C/faithful/100-labels")}, ("warm", "cold"), plot=True),
    Comparison("One column", "one", "size", {"10": ("C/faithful/10-labels",)}, ("accuracy",)))


def put(root, name, seed, *, record=(), test=True, epochs=None, **values):
  """Writes the folder of one run as tfae-train and tfae-reproduce leave it."""
  runs = jobs.by_name(SYSTEMS)
  job = Job(*runs[name], seed)
  experiment = job.experiment(root, runs)
  folder = job.folder(root)
  folder.mkdir(parents=True)
  workdirs.write_config(folder, "experiment", experiments.to_json(experiment), small.dataset())
  lines = [{"kind": "epoch", "step": e, "epoch": e, "loss": 1.0}
           for e in range(1, (epochs or experiment.epochs) + 1)]
  if test:
    lines.append({"kind": "test", "step": lines[-1]["step"], "epoch": lines[-1]["epoch"], **values})
  (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  complete = [experiment.epochs, experiment.steps] if test else None
  (folder / "reproduce.json").write_text(json.dumps({
      "complete": complete, "seconds": 100.0 + 10 * seed,
      "made_on": {"commit": f"c{seed}", "versions": "python 0", "machine": "one core"},
      **dict(record)}))


@pytest.fixture(name="table", scope="module")
def fixture_table(tmp_path_factory):
  """({(id, run, metric): cells}, the text, the folder) of RESULTS.md."""
  root = tmp_path_factory.mktemp("results")
  for seed, loss in enumerate((0.29, 0.31, 0.27)):
    put(root, "A/faithful", seed, loss=loss, accuracy=0.885)
  for seed, (warm, cold) in enumerate(((0.8, 0.7), (0.9, 0.7), (0.85, 0.75))):
    put(root, "B/faithful/10-labels", seed, accuracy=warm)
    put(root, "C/faithful/10-labels", seed, accuracy=cold)
  put(root, "A/better/x", 0, test=False, epochs=3)
  put(root, "B/faithful/100-labels", 0, accuracy=0.95)
  put(root, "B/faithful/100-labels", 1, test=False, record={"failed": "step 7: loss is nan"})
  put(root, "C/faithful/100-labels", 0, loss=0.1)
  results.write(root / "RESULTS.md", SYSTEMS, COMPARISONS, root)
  text = (root / "RESULTS.md").read_text()
  return text, root


def cells(text, *begin):
  """The cells of the one table row whose cells begin so."""
  rows = [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")]
          for line in text.splitlines() if line.startswith("| ")]
  (found,) = [row for row in rows if row[:len(begin)] == list(begin)]
  return found


def test_a_row_has_mean_and_standard_deviation_of_all_seeds_and_what_made_them(table):
  # Mean .29, deviations 0, .02, .02: sqrt(.0008 / 2) = .02.
  assert cells(table[0], "A", "faithful (quickstart.py)") == [
      "A", "faithful (quickstart.py)", "first; a ¦ b", "test loss", "0.4", "<= 0.300, reached",
      "0.290 ± 0.020 (3)", "at epoch 3 of 7", "110",
      "`tfae-reproduce --only=A/faithful --seeds=3`"]
  assert cells(table[0], "A", "", "", "accuracy, %") == [
      "A", "", "", "accuracy, %", "-", ">= 90.0, not reached", "88.5 ± 0.0 (3)", "-", "", ""]


def test_rows_that_are_not_complete_say_what_they_are(table):
  assert cells(table[0], "A", "better/x (quickstart.py)")[4:9] == [
      "0.4", "<= 0.300", "at epoch 3 of 7", "", "-"]
  assert cells(table[0], "B", "faithful/100-labels (quickstart.py)")[6] == (
      "95.0 (1); of the others: failed: step 7: loss is nan")
  assert cells(table[0], "C", "faithful/100-labels (quickstart.py)")[6] == (
      "failed: metrics.jsonl has no accuracy in its test lines; it has loss.")


def test_a_variant_has_no_better_config_beside_it_but_one_of_its_own(table):
  assert cells(table[0], "B", "better (quickstart.py)")[6] == "not run"
  assert cells(table[0], "B", "faithful/100-labels (quickstart.py)")[7] == "-"


def test_a_run_without_a_variant_has_the_better_config_without_one_beside_it(table):
  assert cells(table[0], "D", "faithful (quickstart.py)")[7] == "not run"  # once, not twice


def test_a_comparison_has_a_row_a_size_and_the_difference_seed_by_seed(table):
  assert cells(table[0], "labels") == ["labels", "printed: warm", "warm", "printed: cold", "cold",
                                       "warm less cold"]
  # Differences 10, 20, 10: mean 13.3, deviation sqrt((2 * 3.33^2 + 6.67^2) / 2) = 5.8.
  assert cells(table[0], "10", "77 %") == ["10", "77 %", "85.0 ± 5.0 (3)", "-", "71.7 ± 2.9 (3)",
                                           "+13.3 ± 5.8 (3)"]
  assert cells(table[0], "1,00")[-1] == "-"
  assert cells(table[0], "size") == ["size", "accuracy"]


def test_the_mean_over_the_rows_is_taken_seed_by_seed(table, tmp_path):
  rows = {"warm": ("B/faithful/10-labels",), "cold": ("C/faithful/10-labels",)}
  means = Comparison("Means", "means", "start", rows, ("accuracy",), mean="80 %")
  results.write(tmp_path / "RESULTS.md", SYSTEMS, (means,), table[1])
  # Of the seeds .75, .80, .80: mean 78.3, deviation 2.9.
  assert cells((tmp_path / "RESULTS.md").read_text(), "mean") == ["mean", "80 %", "78.3 ± 2.9 (3)"]
  # Of the seeds that all rows have: one.
  fewer = dataclasses.replace(means, rows={**rows, "100": ("B/faithful/100-labels",)})
  results.write(tmp_path / "RESULTS.md", SYSTEMS, (fewer,), table[1])
  assert cells((tmp_path / "RESULTS.md").read_text(), "mean")[-1].endswith(" (1)")
  results.write(tmp_path / "RESULTS.md", SYSTEMS, (means,), tmp_path / "none")
  assert cells((tmp_path / "RESULTS.md").read_text(), "mean") == ["mean", "80 %", "-"]


def test_the_head_says_with_what_the_complete_runs_were_made(table):
  # Complete: three of A, six of B and C with 10 labels, one each with 100.
  assert "- commit: c0 (5 of 11 runs); c1 (3 of 11 runs); c2 (3 of 11 runs)" in table[0]
  assert "- versions: python 0\n- machine: one core\n" in table[0]


def test_the_plot_is_the_same_file_each_time(table, tmp_path):
  pytest.importorskip("matplotlib")
  text, root = table
  assert "![Does it help?](RESULTS_labels.svg)" in text and "RESULTS_one" not in text
  first = (root / "RESULTS_labels.svg").read_bytes()
  assert b"<svg" in first
  results.write(tmp_path / "RESULTS.md", SYSTEMS, COMPARISONS, root)
  assert (tmp_path / "RESULTS_labels.svg").read_bytes() == first


def test_nothing_run_is_a_table_that_says_so(tmp_path):
  results.write(tmp_path / "RESULTS.md", SYSTEMS, COMPARISONS, tmp_path / "none")
  text = (tmp_path / "RESULTS.md").read_text()
  assert "nothing has been run" in text
  assert cells(text, "A", "faithful (quickstart.py)")[5:] == [
      "<= 0.300", "not run", "not run", "-", "`tfae-reproduce --only=A/faithful --seeds=3`"]
  assert [path.name for path in tmp_path.iterdir()] == ["RESULTS.md"]


def test_a_folder_that_can_not_be_read_is_said_in_its_row_and_the_others_are_there(tmp_path):
  for seed in range(2):
    put(tmp_path, "B/faithful/10-labels", seed, accuracy=0.8)
  put(tmp_path, "C/faithful/10-labels", 0, accuracy=0.7)
  (tmp_path / "B/faithful-10-labels/seed1/reproduce.json").write_text('{"seconds": 12')
  (tmp_path / "A/faithful").mkdir(parents=True)
  (tmp_path / "A/faithful/seed0").write_text("no folder")
  put(tmp_path, "B/faithful/100-labels", 0, accuracy=0.9)
  (tmp_path / "B/faithful-100-labels/seed0/config.json").unlink()
  results.write(tmp_path / "RESULTS.md", SYSTEMS, COMPARISONS, tmp_path)
  text = (tmp_path / "RESULTS.md").read_text()
  cell = cells(text, "B", "faithful/10-labels (quickstart.py)")[6]
  assert cell.startswith("80.0 (1); of the others: failed: ") and "reproduce.json" in cell
  assert "seed0: a file is where the run's folder would be" in cells(
      text, "A", "faithful (quickstart.py)")[6]
  assert cells(text, "B", "faithful/100-labels (quickstart.py)")[6] == "has no config.json"
  assert cells(text, "C", "faithful/10-labels (quickstart.py)")[6] == "70.0 (1)"


def test_a_table_that_can_not_be_written_is_one_clear_error(tmp_path):
  with pytest.raises(InputError, match="can't be written"):
    results.write(tmp_path / "nowhere" / "RESULTS.md", SYSTEMS, (), tmp_path)
  assert not (pathlib.Path(tmp_path) / "nowhere").exists()
