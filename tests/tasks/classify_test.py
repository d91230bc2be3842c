"""The task classify: what it refuses at the door, and a run of it from images to accuracy."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build
from tfae import experiment as ex
from tfae import training
from tfae.data.datasets import Dataset, Split
from tfae.errors import InputError

ENCODER = (tfae.Flatten(),)


def experiment(head=(tfae.Dense(2),), **fields):
  return runs.experiment(model=ex.Model(ENCODER, head=head), task=tfae.Classify(),
                         data=ex.Data("idx"), epochs=30, optimizer=tfae.Adam(0.05), **fields)


def dataset(n=40):
  """Images whose class is whether the left half is brighter."""
  random = np.random.default_rng(0)

  def split(n):
    labels = random.integers(0, 2, n).astype(np.uint8)
    images = random.integers(0, 100, (n, 4, 4, 1)).astype(np.uint8)
    images[labels == 1, :, :2] += 100
    images[labels == 0, :, 2:] += 100
    return Split(images, labels)

  return Dataset("idx", split(n), None, split(30), 255)


def test_a_run_learns_the_classes_and_is_built_again_from_its_folder(tmp_path):
  result = training.train(experiment(), tmp_path, data=dataset())
  assert result.metrics["test"]["accuracy"] == 1
  model, *_ = build.load_model(tmp_path)
  data = dataset().test
  probabilities, classes = model.classify(data.images)
  np.testing.assert_array_equal(classes, data.labels)
  np.testing.assert_allclose(probabilities.numpy().sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("head, message", [
    ((), r"model.head=\(\): expected the layers"),
    ((tfae.Dense(2, activation="softmax"),), "ends in 'softmax'; the softmax is applied by"),
])
def test_a_head_without_logits_is_refused_at_the_door(head, message):
  with pytest.raises(InputError, match=message):
    experiment(head)


def test_a_head_of_another_number_of_classes_and_data_without_labels_are_refused():
  with pytest.raises(InputError, match=r"ends in shape \(3,\), the data have 2 classes. Let it end "
                                       r"in Dense\(2\)"):
    ex.check_fit(experiment((tfae.Dense(3),)), dataset())
  with pytest.raises(InputError, match="task.name='classify': needs labels"):
    ex.check_fit(experiment(batch_size=4), runs.dataset())


@pytest.mark.parametrize("fields, message", [
    ({"decoder": (tfae.Dense(3),), "tied": False}, "model.decoder=.*has no effect on task.name="),
    ({"output_activation": "relu"}, "model.output_activation='relu': has no effect on task.name="),
])
def test_a_field_that_classification_does_not_use_is_refused(fields, message):
  with pytest.raises(InputError, match=message):
    ex.Experiment(model=ex.Model(ENCODER, head=(tfae.Dense(2),), **fields), task=tfae.Classify())


def test_a_placement_of_a_component_that_is_not_there_is_refused():
  with pytest.raises(InputError, match="placement.decoder='/CPU:0': there is no such component"):
    ex.check_fit(experiment(placement=ex.Placement(decoder="/CPU:0")), dataset())
