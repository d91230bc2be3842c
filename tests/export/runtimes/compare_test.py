"""The bounds: what is over them is told, also where a plain `>` would not see it."""

import types

import numpy as np
import pytest

from runtimes import compare, process

N = max(process.BATCHES)


def reference(outputs, inputs, tolerance=1e-5):
  """A stand-in of examples.Reference with one signature, `run`."""
  entries = lambda arrays: {name: {} for name in arrays}
  return types.SimpleNamespace(
      tolerance=tolerance, feeds={"run": inputs}, outputs={"run": outputs},
      description={"signatures": {"run": {"inputs": entries(inputs),
                                          "outputs": entries(outputs)}}})


def answers(outputs):
  return {("run", batch): {name: value[:batch] for name, value in outputs.items()}
          for batch in process.BATCHES}


def test_a_float_runtime_may_differ_by_the_bound_and_by_no_more():
  expected = np.full((N, 2), 50.0)
  same = reference({"y": expected}, {}, tolerance=2**-10)
  at, over = expected + 50 * 2**-10, expected + 50 * 2**-10 * 1.001
  verdict = compare.floats(same, answers({"y": at}), 2**-10)
  assert (verdict.faults, verdict.absolute, verdict.worst) == ([], 50 * 2**-10, 2**-10)
  faults = compare.floats(same, answers({"y": over}), 2**-10).faults
  assert len(faults) == len(process.BATCHES)
  assert faults[0].startswith("signature run, output y, batch 1: differs by 0.0489, the bound is")


def test_the_bound_of_small_outputs_is_absolute():
  same = reference({"y": np.full((N,), 1e-3)}, {})
  assert compare.floats(same, answers({"y": np.full((N,), 1e-3 + .9e-5)}), 1e-5).faults == []
  assert compare.floats(same, answers({"y": np.full((N,), 1e-3 + 1.1e-5)}), 1e-5).faults


@pytest.mark.parametrize("found", [np.full((N, 2), np.nan), np.ones((N, 1)), np.ones((N, 2, 1))])
@pytest.mark.parametrize("judge", [lambda r, o: compare.floats(r, o, 1e-5), compare.losses])
def test_not_a_number_or_another_shape_is_over_every_bound(judge, found):
  same = reference({"y": np.ones((N, 2))}, {"x": np.zeros((N, 2))})
  faults = judge(same, answers({"y": found})).faults
  assert any(": differs by" in fault for fault in faults)


def test_one_wrong_batch_is_found():
  same, found = reference({"y": np.ones((N, 2))}, {}), answers({"y": np.ones((N, 2))})
  found["run", 3]["y"] = found["run", 3]["y"] + 1e-3
  fault, = compare.floats(same, found, 1e-5).faults
  assert "batch 3" in fault


def test_outputs_that_are_missing_or_too_many_are_told():
  same = reference({"y": np.ones(N)}, {})
  for outputs in ({}, {"y": np.ones(N), "z": np.ones(N)}):
    assert "expected ['y']" in compare.floats(same, answers(outputs), 1e-5).faults[0]


def test_an_8_bit_model_may_lose_3_percent():
  x = np.ones((N, 4))
  same = reference({"y": x + .1, "code": np.ones((N, 2))}, {"x": x})
  def verdict(factor):
    return compare.losses(same, answers({"y": x + .1 * factor**.5, "code": np.full((N, 2), 1.3)}))
  good, bad = verdict(1.029), verdict(1.031)
  assert good.faults == []  # the code has no loss of its own
  np.testing.assert_allclose(good.loss, (.01029, .01))
  assert len(bad.faults) == 1 and "3.1% over the float model's 0.01" in bad.faults[0]


def test_an_8_bit_model_is_judged_on_the_examples_that_it_was_not_calibrated_on():
  x = np.ones((N, 4))
  y = x + .1
  y[0::2] += 9  # calibrated on
  same = reference({"y": x + .1}, {"x": x})
  assert compare.losses(same, answers({"y": y})).faults == []
  assert compare.losses(same, answers({"y": np.roll(y, 1, axis=0)})).faults


def test_an_8_bit_classifier_may_change_3_classes_in_100():
  classes = np.arange(N)
  same = reference({"classes": classes}, {"x": np.ones((N, 4))})
  one, three = classes.copy(), classes.copy()
  one[1] += 1  # of the 50 that count: 2 percent
  three[1:6:2] += 1
  assert compare.losses(same, answers({"classes": one})).faults == []
  assert compare.losses(same, answers({"classes": three})).faults


def test_an_8_bit_model_whose_loss_can_t_be_told_is_no_good_one():
  same = reference({"code": np.ones((N, 2))}, {"x": np.ones((N, 4))})
  fault, = compare.losses(same, answers({"code": np.ones((N, 2))})).faults
  assert "can't be told" in fault


def test_an_anomaly_is_judged_by_the_score_of_the_same_answer():
  scores = np.linspace(0, 1, N)
  same = reference({"score": scores, "is_anomaly": (scores > 0.5).astype(np.int32)}, {})
  same.description["metadata"] = {"threshold": {"value": 0.5}}
  scores[7] = 0.5 + 1e-6  # an anomaly here, on the other side there
  same.outputs["run"]["is_anomaly"][7] = 1
  own = {"score": scores - 9e-6, "is_anomaly": (scores - 9e-6 > 0.5).astype(np.int32)}
  assert own["is_anomaly"][7] == 0
  assert compare.floats(same, answers(own), 1e-5).faults == []
  for place in (0, N - 1):
    wrong = {**own, "is_anomaly": own["is_anomaly"].copy()}
    wrong["is_anomaly"][place] ^= 1
    assert any("output is_anomaly" in fault
               for fault in compare.floats(same, answers(wrong), 1e-5).faults)
