"""tfae.leakage: test images that a run behind the first weights was trained on."""

import logging
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import leakage, training
from tfae import workdir as workdirs
from tfae.data.datasets import Dataset, Split
from tfae.data.origin import Origin
from tfae.data.splits import joined, split
from tfae.specs.data import Data

N_TRAIN, N_TEST = 80, 40
_RANDOM = np.random.default_rng(0)
IMAGES = _RANDOM.integers(0, 256, (N_TRAIN + N_TEST, 4, 3, 1), np.uint8)
LABELS = _RANDOM.integers(0, 3, N_TRAIN + N_TEST)
HALVES = {"fractions": (0.5, 0.1, 0.4)}


def cut(fields, seed=0, images=IMAGES):
  """The `Dataset` that `tfae.load` would make of `images`, without a folder."""
  config = Data("idx", **fields)
  origin = Origin((N_TRAIN, N_TEST), (LABELS[:N_TRAIN], LABELS[N_TRAIN:]), config, seed)
  parts = (None if rows is None else Split(images[rows], LABELS[rows])
           for rows in split(config, (N_TRAIN, N_TEST), LABELS if joined(config) else
                             LABELS[:N_TRAIN], seed))
  return Dataset("idx", *parts, 255, origin)


def leave_run(path, fields, seed=0, images=IMAGES, **options):
  """Leaves in a folder what a run says of its data; returns the data."""
  data = cut(fields, seed, images)
  experiment = runs.experiment(data=Data("idx", **fields), seed=seed, **options)
  path.mkdir()
  workdirs.write_config(path, "experiment", ex.to_json(experiment), data)
  workdirs.write_examples(path, data)
  return data


def warnings(caplog, init_from, data):
  caplog.clear()
  with caplog.at_level(logging.INFO, "tfae"):
    leakage.warn(str(init_from), data)
  assert all(record.levelname == "WARNING" for record in caplog.records)
  assert not any("\n" in message for message in caplog.messages)
  return caplog.messages


def common(source, data):
  """How many test images are among the source's training images, by their pixels."""
  return len({image.tobytes() for image in source.train.images}
             & {image.tobytes() for image in data.test.images})


@pytest.mark.parametrize("there, here, said", [
    ((HALVES, 0), (HALVES, 1), "(seed: 0 -> 1)"),
    ((HALVES, 0), ({"fractions": (0.3, 0.1, 0.6)}, 0),
     "(data.fractions: (0.5, 0.1, 0.4) -> (0.3, 0.1, 0.6))"),
    (({**HALVES, "stratify": True}, 3), (HALVES, 2), "(data.stratify: True -> False; seed: "),
    (({"pool": True, "train_range": (0, 100, 3), "test_range": (101, 120)}, 0),
     ({"pool": True, "train_range": (0, 50), "test_range": (60, 110)}, 0),
     "data.train_range: (0, 100, 3) -> (0, 50)"),
    (({"validation": 20}, 0), (HALVES, 0), "data.validation: 20 -> 0"),
    (({"labels_per_class": 5}, 2), (HALVES, 2), "data.labels_per_class: 5 -> 0"),
    (({**HALVES, "train_on": "validation"}, 0), (HALVES, 4), "data.train_on: 'validation' -> "),
])
def test_a_source_that_was_trained_on_test_images_is_named_with_their_number(
    tmp_path, caplog, there, here, said):
  source, data = leave_run(tmp_path / "run", *there), cut(*here)
  count = common(source, data)
  assert 0 < count < len(data.test)
  (message,) = warnings(caplog, f"{tmp_path}/run:encoder", data)
  assert message.startswith(f"{tmp_path}/run was trained on {count} of the {len(data.test)} images "
                            "that this run is tested on")
  assert said in message


@pytest.mark.parametrize("there, here", [
    ((HALVES, 1), (HALVES, 1)),
    ((HALVES, 1), ({**HALVES, "train_on": "validation"}, 1)),  # as S14 starts from S13
    (({"validation": 20}, 0), ({"validation": 30}, 1)),  # of the part train
    # As S02 starts from S01.
    (({"pool": True, "train_range": (0, 40), "test_range": (90, 110)}, 0),
     ({"pool": True, "train_range": (40, 90), "test_range": (90, 110)}, 1)),
])
def test_a_source_that_saw_no_test_image_is_no_word_worth(tmp_path, caplog, there, here):
  source, data = leave_run(tmp_path / "run", *there), cut(*here)
  assert common(source, data) == 0
  assert not warnings(caplog, tmp_path / "run", data)


def test_other_images_of_the_same_name_and_number_are_other_data(tmp_path, caplog):
  leave_run(tmp_path / "run", HALVES, 0, images=255 - IMAGES)
  assert not warnings(caplog, tmp_path / "run", cut(HALVES, 1))
  (tmp_path / "run" / "examples.npy").unlink()  # nothing but name and number is left
  assert len(warnings(caplog, tmp_path / "run", cut(HALVES, 1))) == 1


def test_other_numbers_of_images_are_other_data(tmp_path, caplog):
  experiment = runs.experiment(data=Data("idx", **HALVES))
  for path, data in (("fewer", runs.dataset(59, 12, 47)), ("same", cut(HALVES))):
    (tmp_path / path).mkdir()
    workdirs.write_config(tmp_path / path, "experiment", ex.to_json(experiment), data)
  assert not warnings(caplog, tmp_path / "fewer", cut(HALVES, 1))
  assert warnings(caplog, tmp_path / "same", cut(HALVES, 1))
  # Ranges past the end of these data are those of others.
  ranges = {"pool": True, "train_range": (0, 120), "test_range": (120, 200)}
  experiment = runs.experiment(data=Data("idx", **ranges))
  (tmp_path / "more").mkdir()
  workdirs.write_config(tmp_path / "more", "experiment", ex.to_json(experiment), data)
  assert not warnings(caplog, tmp_path / "more", cut(HALVES, 1))


def test_a_run_further_back_is_found_too_and_a_circle_ends(tmp_path, caplog):
  first, second = tmp_path / "first", tmp_path / "second"
  leave_run(first, HALVES, 0, transfer=tfae.Transfer(str(second)))
  leave_run(second, HALVES, 1, transfer=tfae.Transfer(f"{first}:encoder"))
  (message,) = warnings(caplog, second, cut(HALVES, 1))
  assert message.startswith(f"{first} was trained on")


def test_of_files_of_data_by_hand_and_without_a_source_nothing_is_said(tmp_path, caplog):
  leave_run(tmp_path / "run", HALVES, 0)
  (tmp_path / "w.npz").write_bytes(b"")
  data = cut(HALVES, 1)
  by_hand = Dataset("idx", data.train, data.validation, data.test, 255)
  assert warnings(caplog, tmp_path / "run", data)
  for init_from, of in (("", data), (tmp_path / "w.npz", data), (tmp_path / "run", by_hand)):
    assert not warnings(caplog, init_from, of)


def test_a_source_that_can_t_say_is_said(tmp_path, caplog):
  leave_run(tmp_path / "run", HALVES, 0)
  (tmp_path / "run" / "config.json").write_text("{")
  (message,) = warnings(caplog, tmp_path / "run", cut(HALVES, 1))
  assert "can't be told" in message and "config.json: damaged" in message


def test_a_run_says_it_when_it_begins_and_not_when_it_resumes(tmp_path, caplog):
  training.train(runs.experiment(data=Data("idx", **HALVES), epochs=1), tmp_path / "source",
                 data=cut(HALVES, 3))
  experiment = runs.experiment(data=Data("idx", **HALVES), seed=4, epochs=1,
                               transfer=tfae.Transfer(f"{tmp_path}/source:encoder"))
  for expected in (1, 0):
    caplog.clear()
    training.train(experiment, tmp_path / "run", data=cut(HALVES, 4))
    assert sum("that this run is tested on" in message for message in caplog.messages) == expected
