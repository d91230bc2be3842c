"""tfae-evaluate as a program: scores of a run, and its verdict against PCA."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, likelihood
from tfae import experiment as ex
from tfae import training
from tfae import workdir as workdirs

CASES = {
    "good": ["--workdir={tmp}/good", "--pca"],
    "bad": ["--workdir={tmp}/bad", "--pca"],
    "plain": ["--workdir={tmp}/bad"],
    "train": ["--workdir={tmp}/good", "--split=train"],
    "validation": ["--workdir={tmp}/good", "--split=validation", "--checkpoint=best"],
    "first": ["--workdir={tmp}/bad", "--checkpoint=0"],
    "no validation": ["--workdir={tmp}/bad", "--split=validation"],
    "no best": ["--workdir={tmp}/bad", "--checkpoint=best"],
    "no step": ["--workdir={tmp}/bad", "--checkpoint=77"],
    "no run": ["--workdir={tmp}/nowhere"],
    "no device": ["--workdir={tmp}/bad", "--device=/GPU:7"],
    "other data": ["--workdir={tmp}/changed"],
    "damaged": ["--workdir={tmp}/damaged"],
    "likelihood": ["--workdir={tmp}/vae", "--log_likelihood=40", "--images=120", "--pca"],
    "no likelihood": ["--workdir={tmp}/good", "--log_likelihood=40"],
    "pca of noise": ["--workdir={tmp}/noise", "--pca"],
    "pca of a classifier": ["--workdir={tmp}/classifier", "--pca"],
    "no samples": ["--workdir={tmp}/vae", "--log_likelihood=0"],
    "less than none": ["--workdir={tmp}/vae", "--log_likelihood=-3"],
    "in training": ["--workdir={tmp}/held", "--log_likelihood=2", "--images=3"],
    "images alone": ["--workdir={tmp}/vae", "--images=120"],
}


def experiment(validation, **fields):
  return ex.Experiment(
      data=ex.Data("digits", validation), model=ex.Model(
          (tfae.Flatten(), tfae.Dense(64, activation="elu"), tfae.Dense(2)), tied=False,
          output_activation="sigmoid"),
      optimizer=tfae.Adam(5e-3), jit_compile="off", logging=runs.QUIET, **fields)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
  tmp = tmp_path_factory.mktemp("evaluate")
  training.train(experiment(200, epochs=60), tmp / "good")
  training.train(experiment(0, steps=1), tmp / "bad")
  training.train(ex.Experiment(
      data=ex.Data("digits"), model=ex.Model((tfae.Flatten(),), latent=2, tied=False),
      task=tfae.Variational(), steps=1, jit_compile="off", logging=runs.QUIET), tmp / "vae")
  training.train(ex.Experiment(
      data=ex.Data("digits"), model=ex.Model((tfae.Flatten(),), head=(tfae.Dense(10),)),
      task=tfae.Classify(), steps=1, jit_compile="off", logging=runs.QUIET), tmp / "classifier")
  training.train(experiment(0, epochs=40, corruption=tfae.Corruption("masking", 0.9)),
                 tmp / "noise")
  shutil.copytree(tmp / "vae", tmp / "held")
  for name in ("changed", "damaged"):
    (tmp / name).mkdir()
    for path in (tmp / "bad").glob("checkpoints/*"):
      target = tmp / name / "checkpoints" / path.name
      target.parent.mkdir(exist_ok=True)
      target.write_bytes(path.read_bytes())
  config = json.loads((tmp / "bad/config.json").read_text())
  del config["checksum"]
  config["data"]["sha256"] = "0" * 64
  (tmp / "changed/config.json").write_text(json.dumps(config))
  (tmp / "damaged/config.json").write_text("{")
  cases = [["evaluate", *(flag.format(tmp=tmp) for flag in flags)] for flags in CASES.values()]
  with workdirs.locked(tmp / "held"):
    ends = runs.many(cases, tmp_path_factory.mktemp("said"),
                     ["tensorflow", "sklearn.decomposition", "tfae.evaluation", "tfae.workdir"])
  return tmp, dict(zip(CASES, ends))


def last_json(out):
  return json.loads(out.splitlines()[-1])


def test_a_model_that_beats_pca_of_its_code_size_ends_with_0(outcomes):
  tmp, ends = outcomes
  code, out, err = ends["good"]
  assert (code, err) == (0, "")
  result = last_json(out)
  assert result["squared_error"] < result["pca_squared_error"]
  assert (result["code_size"], result["images"], result["split"]) == (2, 297, "test")
  # Two axes of the singular value decomposition of the centred training images.
  data = ex.load_data(experiment(200))
  train, test = (s.images.reshape(len(s), -1) / 16 for s in (data.train, data.test))
  mean = train.mean(axis=0)
  axes = np.linalg.svd(train - mean, full_matrices=False)[2][:2]
  expected = np.mean(((test - mean) @ axes.T @ axes + mean - test) ** 2)
  assert result["pca_squared_error"] == pytest.approx(expected, rel=1e-9)
  (logged,) = [line for line in runs.lines(tmp / "good") if line["kind"] == "test"]
  assert result["loss"] == pytest.approx(logged["loss"], rel=1e-6)
  assert result["checkpoint"] == logged["step"]
  (kept,) = [line for line in runs.lines(tmp / "good") if line["kind"] == "pca"]
  assert (kept["squared_error"], kept["cross_entropy"]) == (
      result["pca_squared_error"], result["pca_cross_entropy"])
  assert (kept["split"], kept["code_size"], kept["step"]) == ("test", 2, logged["step"])


def test_a_model_that_is_worse_than_pca_ends_with_1_and_says_so(outcomes):
  code, out, err = outcomes[1]["bad"]
  assert code == 1 and "worse" in err and err.count("\n") == 1
  assert last_json(out)["squared_error"] > last_json(out)["pca_squared_error"]
  code, out, err = outcomes[1]["plain"]  # nobody asked
  assert (code, err) == (0, "") and "pca_squared_error" not in last_json(out)


def test_pca_is_compared_with_what_a_denoising_model_makes_of_clean_images(outcomes):
  code, out, err = outcomes[1]["pca of noise"]
  result = last_json(out)
  assert f"{result['clean_squared_error']:.5f}" != f"{result['squared_error']:.5f}"
  assert f"model {result['clean_squared_error']:.5f}, PCA" in out
  assert code == int(result["clean_squared_error"] > result["pca_squared_error"]), err


def test_split_and_checkpoint_choose_images_and_weights(outcomes):
  tmp, ends = outcomes
  assert last_json(ends["train"][1])["images"] == 1300
  best = last_json(ends["validation"][1])
  logged = {line["step"]: line["loss"] for line in runs.lines(tmp / "good")
            if line["kind"] == "validation"}
  assert best["checkpoint"] == min(logged, key=logged.get) and best["images"] == 200
  assert best["loss"] == pytest.approx(min(logged.values()), rel=1e-6)
  assert last_json(ends["first"][1])["checkpoint"] == 0
  assert last_json(ends["first"][1])["loss"] != last_json(ends["plain"][1])["loss"]


def test_the_likelihood_of_the_first_images_is_that_of_the_library(outcomes):
  tmp, ends = outcomes
  code, out, err = ends["likelihood"]
  assert code == 1, err  # one step of training is worse than PCA
  result = last_json(out)
  assert (result["log_likelihood_images"], result["images"]) == (120, 297)
  assert (result["log_likelihood_samples"], result["code_size"]) == (40, 2)
  model, experiment_, _, _ = build.load_model(tmp / "vae")
  found = likelihood.log_likelihood(model, ex.load_data(experiment_).test, 40, images=120)
  assert result["log_likelihood"] == pytest.approx(found.mean(), rel=1e-6)
  assert result["log_likelihood_standard_error"] == pytest.approx(found.std() / 120**0.5, rel=1e-6)
  assert "log p(x) on 120 images, 40 samples each" in out
  assert "the images are not black and white" in err  # grey scans under a Bernoulli likelihood
  assert "log likelihood of 100 of 120 images" in err


def test_the_likelihood_is_a_line_of_the_log(outcomes):
  tmp, ends = outcomes
  result = last_json(ends["likelihood"][1])
  (line,) = [line for line in workdirs.read_metrics(tmp / "vae")
             if line["kind"] == "log_likelihood"]
  timing = line.pop("timing")
  assert sorted(timing) == ["seconds", "time"] and 0 < timing["seconds"] < 300
  assert line == {
      "kind": "log_likelihood", "step": 1, "epoch": 1, "split": "test", "samples": 40,
      "images": 120, "log_likelihood": result["log_likelihood"],
      "standard_error": result["log_likelihood_standard_error"]}
  # PCA had been asked for as well.
  assert [other["kind"] for other in runs.lines(tmp / "vae")][:-2] == [
      other["kind"] for other in runs.lines(tmp / "held")]


def test_a_likelihood_of_a_run_in_training_is_printed_and_said_to_be_in_no_log(outcomes):
  code, out, err = outcomes[1]["in training"]
  assert code == 2 and last_json(out)["log_likelihood_samples"] == 2
  last = err.splitlines()[-1]
  assert last.startswith("error: log likelihood: what is printed above could not be added to ")
  assert "another process is training there" in last


@pytest.mark.parametrize("name, text", [
    ("no samples", "--log_likelihood=0: expected at least 1 sample an image, such as"),
    ("less than none", "--log_likelihood=-3: expected at least 1 sample"),
    ("no likelihood", "task.name='reconstruct', which gives images no likelihood"),
    ("pca of a classifier", "task.name='classify', which gives no images back"),
    ("images alone", "--images=120: has no effect without --log_likelihood"),
    ("no validation", "the run has no validation set"),
    ("no best", "evaluated no validation set"),
    ("no step", "expected 'latest', 'best' or one of the steps 1, 0"),
    ("no run", "holds no run"),
    ("no device", "/GPU:7"),
    ("other data", "not those of the run"),
    ("damaged", "config.json: damaged"),
])
def test_a_mistake_is_one_line_with_exit_code_2(outcomes, name, text):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and text in err
  assert err.startswith("error: ") and err.count("\n") == 1
