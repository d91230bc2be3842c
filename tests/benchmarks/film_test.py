"""benchmarks/film.py and larger_than_memory.py: frames that move, as data sets that tfae reads."""

import argparse
import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import film
import larger_than_memory
from tfae.data import datasets


@pytest.fixture(scope="module")
def frames():
  """Three films of 100 frames."""
  return np.stack([frame for number in range(3) for frame in film.film(0, number)])


def test_frames_are_those_of_the_seed_and_move_a_little_within_a_film(frames):
  assert frames.shape == (300, 64, 64, 3) and frames.dtype == np.uint8
  np.testing.assert_array_equal(frames[100:200], list(film.film(0, 1)))
  assert not np.array_equal(frames[100:200], list(film.film(1, 1)))
  distance = lambda a, b: np.abs(frames[a].astype(float) - frames[b]).mean()
  assert 0 < distance(0, 1) < distance(0, 99) and distance(0, 1) < 10 < distance(0, 100)


@pytest.mark.parametrize("kind", film.KINDS)
def test_what_is_written_is_a_data_set_whose_images_are_the_frames_in_order(
    kind, frames, tmp_path, monkeypatch):
  monkeypatch.setattr(film, "_SHARD", 100)
  size = film.write(kind, tmp_path, 200, processes=1)
  if kind == "idx":
    data = datasets.load("idx", tmp_path, memory_map="on")
    np.testing.assert_array_equal(data.train.images[:], frames[:200, ..., 1:2])
    np.testing.assert_array_equal(data.test.images[:], frames[200:, ..., 1:2])
  else:
    data = datasets.load(kind, tmp_path, size=(64, 64))
    for part, expected in ((data.train, frames[:200]), (data.test, frames[200:])):
      assert len(part) == len(expected)
      assert np.abs(part.images[:].astype(float) - expected).mean() < 4  # JPEG
  headers = 32 if kind == "idx" else 0
  assert size + headers == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())


def test_growth_is_that_of_the_fitting_line_and_the_table_names_what_was_measured():
  sizes = [size * 2**20 for size in (100, 101, 102, 103, 104)]
  assert larger_than_memory.growth([0, 9 * 2**20, *sizes[:3], *sizes]) == pytest.approx(4 * 2**20)
  assert larger_than_memory.growth([0, *[5 * 2**20] * 3]) == pytest.approx(0, abs=1e-3)
  args = argparse.Namespace(kind="idx", frames=300_000, steps=500, batch=100)
  found = {"start": 3.0, "samples": [7 * 2**20, *sizes], "training": [0] * 5 + sizes,
           "rate": 1234.5, "waited": 0.021, "cores": 1.96}
  text = larger_than_memory.report(
      args, larger_than_memory.cells(args, 5_000_000, found), markdown=True)
  for part in ("300,000 as idx", "1,229", "+4.0 MiB", "1,234", "2.1%", "1.96"):
    assert part in text


def test_lines_are_the_whole_ones_of_training(tmp_path):
  assert larger_than_memory.lines(tmp_path) == []
  train = {"kind": "train", "step": 20}
  (tmp_path / "metrics.jsonl").write_text(
      json.dumps(train) + "\n" + json.dumps({"kind": "epoch"}) + "\n" + '{"kind": "tra')
  assert larger_than_memory.lines(tmp_path) == [train]
