"""tfae-report as a program: a run, its export, other data, and mistakes."""

import json
import pathlib
import shutil
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
sys.path.append(str(pathlib.Path(__file__).parents[1] / "report"))
import pages
import runs
from tfae import experiment as experiments
from tfae import film
from tfae import training

EARLY = {
    "no workdir": ([], "--workdir is missing"),
    "no run": (["--workdir={tmp}/nowhere"], "holds no run"),
    "no html": (["--workdir={tmp}/run", "--out={tmp}/report.pdf"], "expected a file that ends in"),
    "a folder": (["--workdir={tmp}/run", "--out={tmp}/folder.html"], "is a folder"),
    "no folder": (["--workdir={tmp}/run", "--out={tmp}/none/x.html"], "there is no folder"),
    "no step": (["--workdir={tmp}/run", "--checkpoint=7"], "expected 'latest', 'best' or one of"),
    "no export": (["--workdir={tmp}/run", "--saved_model={tmp}/run"], "holds no saved_model.pb"),
    "of another run": (["--workdir={tmp}/run", "--saved_model={tmp}/other"], "is of another run"),
    "flag": (["--workdir={tmp}/run", "--tsme"], "Did you mean 'tsne'?"),
}


def publish(workdir, folder, **metadata):
  runs.publish(workdir, folder)
  path = folder / "signature.json"
  description = json.loads(path.read_text())
  description["metadata"].update(metadata)
  path.write_text(json.dumps(description))


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp_path_factory):
  """(folder, {name: (exit code, stdout, stderr)})."""
  folder = tmp_path_factory.mktemp("report")
  scope = {}
  exec(runs.CONFIG, scope)  # pylint: disable=exec-used
  experiment = experiments.from_config(scope["get_config"]())
  training.train(experiment, folder / "run")
  (folder / "folder.html").mkdir()
  step = 3 * 29
  sha256 = json.loads((folder / "run/config.json").read_text())["data"]["sha256"]
  publish(folder / "run", folder / "export", dataset_sha256=sha256, step=step)
  publish(folder / "run", folder / "gone", dataset_sha256=sha256, step=1)
  publish(folder / "run", folder / "other", dataset_sha256="0" * 64, step=step)
  shutil.copytree(folder / "run", folder / "broken")
  for path in (folder / "broken/checkpoints").glob(f"ckpt-{step}.data*"):
    path.write_bytes(b"")
  early = {name: ["report", *(flag.format(tmp=folder) for flag in flags)]
           for name, (flags, _) in EARLY.items()}
  late = {"whole": ["report", f"--workdir={folder}/run", f"--saved_model={folder}/export",
                    "--tsne"],
          "elsewhere": ["report", f"--workdir={folder}/run", f"--saved_model={folder}/gone",
                        f"--data_dir={folder}", f"--out={folder}/there.html"],
          "broken": ["report", f"--workdir={folder}/broken", f"--checkpoint={step}"]}
  outputs = [folder / "early", folder / "late"]
  for path in outputs:
    path.mkdir()
  return folder, {**dict(zip(early, runs.many(list(early.values()), outputs[0], ["tfae"]))),
                  **dict(zip(late, runs.many(list(late.values()), outputs[1], ["tensorflow"])))}


@pytest.mark.parametrize("name", EARLY)
def test_a_mistake_is_one_line_before_tensorflow_is_imported(outcomes, name):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and EARLY[name][1] in err and err.count("\n") == 1


def test_the_report_lies_in_the_runs_folder_and_is_small(outcomes):
  folder, results = outcomes
  code, out, err = results["whole"]
  assert code == 0, err
  path = folder / "run/report.html"
  assert out.startswith(f"{path}: ") and "Complete: 87 steps." in out
  assert path.stat().st_size < 2e6
  found = pages.Page(path.read_text())
  assert "Codes by t-SNE" in [alt for alt, _ in found.images]
  (moving,) = [image for _, image in found.images if getattr(image, "n_frames", 1) > 1]
  kept = film.read(folder / "run")
  assert moving.n_frames == len(kept.frames) and moving.format == "GIF"
  assert "Of the weights of step 87 and 297 test images" in found.text


def test_an_export_is_compared_with_the_run_output_by_output(outcomes):
  folder, results = outcomes
  assert results["whole"][0] == 0
  rows = pages.Page((folder / "run/report.html").read_text()).table("signature")
  assert {(row[0], row[1]) for row in rows} >= {("encode", "codes"), ("score", "score"),
                                                ("reconstruct", "reconstruction")}
  assert all(row[4] == "passed" and float(row[2]) <= float(row[3]) for row in rows)


def test_an_export_whose_checkpoint_is_gone_and_data_that_are_not_there_are_told(outcomes):
  folder, results = outcomes
  code, _, err = results["elsewhere"]
  assert code == 0, err
  found = pages.Page((folder / "there.html").read_text())
  assert "Not compared with the run: checkpoint='1': expected" in found.text
  assert "The data of the run can't be had" in found.text and "--data_dir=DIR says where they are" in found.text
  assert found.images  # of the images that the run keeps


def test_a_damaged_checkpoint_leaves_a_report_that_names_it(outcomes):
  folder, results = outcomes
  code, _, err = results["broken"]
  assert code == 0, err
  found = pages.Page((folder / "broken/report.html").read_text())
  reasons = dict(found.table("picture"))
  assert "no usable checkpoint" in reasons["originals over reconstructions over their errors"]
  assert [alt for alt, _ in found.images]  # curves and images need no weights
