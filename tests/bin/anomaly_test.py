"""tfae-anomaly as a program: trains on one class, chooses, measures, and what it refuses."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
from sklearn import metrics

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import anomaly, thresholds
from tfae import experiment as ex
from tfae import training
from tfae.errors import InputError

CONFIG = """
import tfae

def get_config():
  config = tfae.default_config()
  config.data.validation = 30
  config.model.encoder = (tfae.Flatten(), tfae.Dense(32, activation="elu"), tfae.Dense(4))
  config.model.output_activation = "sigmoid"
  config.batch_size = 20
  config.epochs = 30
  config.jit_compile = "off"
  config.logging.tensorboard = False
  return config
"""
CASES = {
    "trains": ["--config={tmp}/config.py", "--workdir={tmp}/trained", "--normal_class=3"],
    "chooses": ["--workdir={tmp}/three", "--contamination=.1"],
    "all normal": ["--workdir={tmp}/all", "--quantile=.9"],
}
EARLY = {
    "another class": (["--workdir={tmp}/three", "--normal_class=4"],
                      "--normal_class=4: the run in {tmp}/three was trained on the classes (3,)"),
    "all classes": (["--workdir={tmp}/all", "--normal_class=4"],
                    "was trained on all classes. Give --config=... and another workdir"),
    "two classes": (["--config={tmp}/config.py", "--config.data.normal_classes=(5,)",
                     "--workdir={tmp}/x", "--normal_class=3"],
                    "the config has data.normal_classes=(5,)"),
    "both": (["--workdir={tmp}/three", "--quantile=.9", "--contamination=.1"],
             "both say where the threshold is"),
    "no quantile": (["--workdir={tmp}/three", "--quantile=95"], "quantile=95"),
    "no validation": (["--config={tmp}/config.py", "--config.data.validation=0",
                       "--workdir={tmp}/x"], "there is no validation set"),
    "no such class": (["--config={tmp}/config.py", "--workdir={tmp}/x", "--normal_class=10"],
                      "data.normal_classes=(10,): class 10 has no training images"),
    "another run": (["--config={tmp}/config.py", "--workdir={tmp}/three", "--normal_class=4"],
                    "data.normal_classes: [3] -> [4]"),
    "no run": (["--workdir={tmp}/nowhere"], "holds no run"),
    "classifier": (["--workdir={tmp}/classifier"], "task.name='classify': gives images no score"),
}


def experiment(normal_classes=(), **fields):
  return ex.Experiment(
      **{"data": ex.Data("digits", 30, normal_classes=normal_classes),
         "model": ex.Model((tfae.Flatten(), tfae.Dense(32, activation="elu"), tfae.Dense(4)),
                           output_activation="sigmoid"),
         "batch_size": 20, "jit_compile": "off", "logging": runs.QUIET, **fields})


@pytest.fixture(name="tmp", scope="module")
def fixture_tmp(tmp_path_factory):
  tmp = tmp_path_factory.mktemp("anomaly")
  (tmp / "config.py").write_text(CONFIG)
  training.train(experiment((3,), epochs=30), tmp / "three")
  training.train(experiment(steps=1), tmp / "all")
  training.train(experiment(steps=1, model=ex.Model((tfae.Flatten(),), head=(tfae.Dense(10),)),
                            task=tfae.Classify()), tmp / "classifier")
  return tmp


def _called(cases, tmp, folder, preload):
  (tmp / folder).mkdir()
  flags = [["anomaly", *(flag.format(tmp=tmp) for flag in case)] for case in cases]
  return runs.many(flags, tmp / folder, preload)


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp):
  preload = ["tfae.bin.anomaly", "tensorflow", "tfae.training", "tfae.anomaly", "sklearn.metrics"]
  return dict(zip(CASES, _called(CASES.values(), tmp, "out", preload)))


def test_it_trains_on_one_class_and_its_figures_are_those_of_the_run(tmp, outcomes):
  code, out, err = outcomes["trains"]
  assert code == 0, err
  found = json.loads(out.splitlines()[-1])
  data = tfae.load("digits", validation=30, normal_classes=(3,))
  detection = anomaly.of_run(tmp / "trained", data)
  truth = data.test.labels != 3
  assert found["auroc"] == pytest.approx(metrics.roc_auc_score(truth, detection.scores), abs=1e-6)
  assert found["auroc"] > 0.9
  assert (found["anomalies"], found["normal"]) == (truth.sum(), (~truth).sum())
  assert found["positive"] == "anomalous"
  validation = anomaly.of_run(tmp / "trained", data, split="validation")
  assert detection.threshold.value == pytest.approx(np.quantile(validation.scores, 0.95), rel=1e-5)
  kept = json.loads((tmp / "trained/anomaly.json").read_text())
  assert kept["measures"].items() <= found.items() and kept["normal_classes"] == [3]
  line = runs.lines(tmp / "trained")[-1]
  assert line["kind"] == "anomaly" and line["auroc"] == found["auroc"] and line["epoch"] == 30


def test_a_run_that_is_there_gets_the_threshold_of_a_contamination(tmp, outcomes):
  code, out, err = outcomes["chooses"]
  assert code == 0, err
  threshold = thresholds.read(tmp / "three")
  assert out.splitlines()[0] == (f"threshold {threshold.value:.6g}: contamination 0.1 of 30 "
                                 "validation images, step 210")
  # The same training as that of "trains": the same scores.
  assert json.loads(out.splitlines()[-1])["auroc"] == json.loads(
      outcomes["trains"][1].splitlines()[-1])["auroc"]


def test_without_an_anomaly_in_the_test_set_that_is_said(outcomes):
  code, out, err = outcomes["all normal"]
  assert code == 0, err
  assert "no test image is of a class that was not trained on" in err
  found = json.loads(out.splitlines()[-1])
  assert "auroc" not in found and found["anomalies"] == 0 and found["normal"] == 297


def test_a_run_that_goes_on_has_no_threshold_until_it_is_chosen_anew(tmp):
  workdir = shutil.copytree(tmp / "three", tmp / "longer")
  data = tfae.load("digits", validation=30, normal_classes=(3,))
  anomaly.choose(workdir, data)
  training.train(experiment((3,), epochs=31), workdir)
  with pytest.raises(InputError, match="step 210, not for that of step 217"):
    anomaly.of_run(workdir, data)
  assert anomaly.of_run(workdir, data, checkpoint="210").threshold.step == 210
  anomaly.choose(workdir, data)
  assert anomaly.of_run(workdir, data).threshold.step == 217


def test_mistakes_are_one_line_and_exit_code_2_before_tensorflow_is_imported(tmp):
  called = _called([case for case, _ in EARLY.values()], tmp, "early", ["tfae.bin.anomaly"])
  for (name, (_, said)), (code, out, err) in zip(EARLY.items(), called):
    assert (code, out, len(err.splitlines())) == (2, "", 1), (name, err)
    assert said.format(tmp=tmp) in err, (name, err)
