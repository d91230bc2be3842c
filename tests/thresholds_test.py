"""tfae.thresholds: the value by hand, the file that keeps it, the output that it decides."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfae import graph, thresholds
from tfae.errors import InputError
from tfae.thresholds import Threshold


def test_a_quantile_lies_between_two_scores_as_by_hand_and_is_a_number_of_float32():
  # Of 0, 1, ..., 10 the .95 quantile is half way between the tenth and the eleventh: 9.5.
  scores = np.random.default_rng(0).permutation(np.arange(11.0))
  assert thresholds.choose(scores, 7) == Threshold(9.5, "quantile", 0.95, 11, 7)
  assert thresholds.choose(scores, 7, quantile=1).value == 10
  found = thresholds.choose(scores / 3, 7, quantile=0.33).value
  assert found == np.float32(found) == np.float32(np.quantile(scores / 3, 0.33))


def test_a_contamination_is_the_share_of_the_images_that_lie_above():
  scores = np.random.default_rng(1).normal(size=1000)
  found = thresholds.choose(scores, 3, contamination=0.1)
  assert (found.method, found.level, found.images) == ("contamination", 0.1, 1000)
  assert np.sum(scores > found.value) == 100
  assert found.value == thresholds.choose(scores, 3, quantile=0.9).value


@pytest.mark.parametrize("scores, options, part", [
    ([1.0], {"quantile": 0.9, "contamination": 0.1}, "both say where the threshold is"),
    ([1.0], {"quantile": 0.0}, "quantile=0.0: expected a finite number > 0 and <= 1"),
    ([1.0], {"quantile": 95}, "quantile=95"),
    ([1.0], {"contamination": 0.6}, "contamination=0.6: expected a finite number >= 0 and <= 0.5"),
    ([], {}, "at least one"),
    ([1.0, np.nan], {}, "expected finite numbers"),
])
def test_what_is_no_threshold_is_refused(scores, options, part):
  with pytest.raises(InputError, match=part):
    thresholds.choose(scores, 1, **options)


def test_it_is_kept_with_its_run_for_one_checkpoint_and_a_damaged_file_is_told(tmp_path):
  assert thresholds.of_checkpoint(tmp_path, 5) is None
  chosen = thresholds.choose(np.arange(4) / 7, 5, contamination=0.25)
  thresholds.write(tmp_path, chosen)
  assert thresholds.of_checkpoint(tmp_path, 5) == chosen
  with pytest.raises(InputError, match="step 5, not for that of step 6.*--checkpoint=6, take "
                                       "--checkpoint=5, or remove"):
    thresholds.of_checkpoint(tmp_path, 6)
  path = tmp_path / thresholds.FILE
  kept = json.loads(path.read_text())
  for content in ("{", json.dumps({**kept, "value": None}), json.dumps({"value": 1.0})):
    path.write_text(content)
    with pytest.raises(InputError, match="threshold.json: can't be read.*tfae-anomaly --workdir="):
      thresholds.read(tmp_path)


def test_an_image_is_an_anomaly_where_its_score_is_above_the_threshold_not_at_it():
  images = {"images": graph.Input(tf.TensorSpec([None, 2]), "images")}
  plain = {"score": graph.Signature(lambda images: {"score": images[:, 0]}, images,
                                    {"score": "error"})}
  value = float(np.float32(0.1))
  frozen = graph.freeze(thresholds.add(plain, value))
  assert list(frozen.outputs["score"]) == ["is_anomaly", "score"]
  assert frozen.outputs["score"]["is_anomaly"].dtype == tf.int32
  around = np.nextafter(np.float32(value), np.float32([0, 1]))
  scores = np.array([around[0], value, around[1], np.inf, -1], np.float32)
  found = graph.call(frozen, "score", {"images": np.stack([scores, scores], 1)})
  assert found["is_anomaly"].tolist() == [0, 0, 1, 1, 0]
  np.testing.assert_array_equal(found["score"], scores)
  assert list(plain["score"].outputs) == ["score"]


def test_a_model_without_scores_has_no_anomalies():
  with pytest.raises(InputError, match="has no signature 'score'; it has classify"):
    thresholds.add({"classify": None}, 0.5)
