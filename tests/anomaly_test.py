"""Tests of tfae.anomaly: figures by scikit-learn and by hand, scores as an export gives them."""

import dataclasses
import runpy

import numpy as np
import pytest
from sklearn import metrics

import tfae
from tfae import anomaly, training
from tfae import experiment as experiments
from tfae.anomaly import Detection
from tfae.data.datasets import Split
from tfae.errors import InputError
from tfae.specs.systems import configs_folder
from tfae.thresholds import Threshold


def detection(scores, truth, value=0.5):
  return Detection(np.float32(scores), None if truth is None else np.array(truth, bool),
                   Threshold(value, "quantile", 0.95, 9, 3), 3)


def test_figures_of_six_images_are_those_that_a_hand_counts():
  # Sorted by score: anomalous, normal, anomalous, anomalous | normal, normal.
  found = anomaly.measures(detection([0.9, 0.8, 0.7, 0.6, 0.3, 0.1], [1, 0, 1, 1, 0, 0]))
  assert (found["true_positives"], found["false_positives"], found["false_negatives"],
          found["true_negatives"]) == (3, 1, 0, 2)
  assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((3 / 4, 1, 6 / 7))
  assert found["false_positive_rate"] == pytest.approx(1 / 3)
  # Of nine pairs the anomalous image is above the normal one in 3 + 2 + 2.
  assert found["auroc"] == pytest.approx(7 / 9)
  # Precision where each of the three is found: 1/1, 2/3, 3/4.
  assert found["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
  assert (found["images"], found["flagged"], found["anomalies"], found["normal"]) == (6, 4, 3, 3)


def test_figures_of_many_images_are_scikit_learns():
  random = np.random.default_rng(0)
  truth = random.random(500) < 0.9
  scores = np.float32(random.normal(size=500) + truth)
  found = anomaly.measures(detection(scores, truth, 1.5))
  assert found["auroc"] == metrics.roc_auc_score(truth, scores)
  assert found["average_precision"] == metrics.average_precision_score(truth, scores)
  assert found["f1"] == pytest.approx(metrics.f1_score(truth, scores > 1.5))
  assert found["false_positive_rate"] == np.mean(scores[~truth] > 1.5)


def test_what_is_not_known_is_left_out():
  everything = [0.9, 0.2]
  assert anomaly.measures(detection(everything, None)) == {
      "images": 2, "flagged": 1, "threshold": 0.5}
  normal = anomaly.measures(detection(everything, [0, 0]))
  assert normal["false_positive_rate"] == 0.5 and "auroc" not in normal
  anomalous = anomaly.measures(detection(everything, [1, 1]))
  assert "false_positive_rate" not in anomalous and "auroc" not in anomalous
  with pytest.raises(InputError, match="has no threshold"):
    anomaly.measures(dataclasses.replace(detection(everything, None), threshold=None))
  with pytest.raises(InputError, match="1 of 2 scores are not finite"):
    anomaly.measures(detection([0.1, np.nan], None))


def test_anomalous_are_the_classes_that_were_not_trained_on():
  data = tfae.load("digits", validation=20, normal_classes=(3, 5))
  np.testing.assert_array_equal(anomaly.anomalous(data), ~np.isin(data.test.labels, (3, 5)))
  assert not anomaly.anomalous(data, "validation").any()
  bare = dataclasses.replace(data, test=Split(data.test.images, None))
  assert anomaly.anomalous(bare) is None
  with pytest.raises(InputError, match="no validation set.*--config.data.validation=N"):
    anomaly.anomalous(dataclasses.replace(data, validation=None), "validation")


def test_scores_are_those_of_the_export_and_a_classifier_has_none():
  data = tfae.load("digits")
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(3)], (8, 8, 1))
  model = tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 16)
  found = anomaly.score(model, data.test)
  exported = model.signatures()["score"].function(images=np.float32(data.test.images))["score"]
  np.testing.assert_allclose(found, exported, rtol=1e-6)
  assert found.dtype == np.float32 and found.shape == (297,)
  head = tfae.Stack([tfae.Dense(10)], (3,), name="head")
  with pytest.raises(InputError, match="Classifier: it has no score"):
    anomaly.score(tfae.Classifier(encoder, head), data.test)


@pytest.mark.full
def test_a_digit_of_mnist_is_told_from_the_others_better_than_by_deep_svdd(tmp_path):
  config = runpy.run_path(str(configs_folder() / "one_class_mnist.py"))["get_config"]()
  config.update_from_flattened_dict({"data.normal_classes": (4,), "epochs": 15,
                                     "jit_compile": "off", "logging.tensorboard": False})
  experiment = experiments.from_config(config)
  try:
    data = experiments.load_data(experiment)
  except InputError as error:
    pytest.skip(f"MNIST can't be had here: {error}")
  assert set(data.train.labels) == {4} and len(data.train) == 5842 - 300
  training.train(experiment, tmp_path, data=data)
  anomaly.choose(tmp_path, data)
  found = anomaly.measures(anomaly.of_run(tmp_path, data))
  print(found)
  # Ruff et al. 2018, table 1: .949. Ours has a quarter of its epochs here.
  assert found["auroc"] > 0.955 and found["images"] == 10000
  assert found["false_positive_rate"] < 0.15 and found["recall"] > 0.7
