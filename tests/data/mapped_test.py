"""tfae.data.mapped: mapped images train as those in memory do, and a changed file is named."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time
import types

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
from tfae import experiment as experiments
from tfae import metrics, training
from tfae import workdir as workdirs
from tfae.data import datasets, idx, mapped, pipeline
from tfae.data.pipeline import Batches
from tfae.data.reading import ReadAhead
from tfae.data.stored import StoredImages
from tfae.errors import InputError


def put(path, images):
  path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *images.shape) + images.tobytes())
  return path


def pixels(n, seed):
  return np.random.default_rng(seed).integers(0, 256, (n, 4, 3), np.uint8)


@pytest.fixture
def paths(tmp_path):
  """IDX files of 23 train and 5 test images of 4x3."""
  return [put(tmp_path / f"{part}-images", pixels(n, n))
          for part, n in (("train", 23), ("test", 5))]


def store_of(*paths):
  return mapped.Maps([(str(path), idx.map_images(path)) for path in paths])


def test_rows_of_several_files_come_in_the_order_that_is_asked_for(paths):
  store = mapped.Maps([(str(paths[0]), idx.map_images(paths[0])), ("held", pixels(5, 5))])
  expected = np.concatenate([pixels(23, 23), pixels(5, 5)])[..., None]
  images = StoredImages(store, (4, 3, 1))
  assert len(store) == 28 and images.shape == (28, 4, 3, 1)
  for rows in ([27, 0, 22, 23, 0], slice(20, 26), np.arange(28) % 5 == 0, [], -1):
    np.testing.assert_array_equal(images[rows], expected[rows])
  np.testing.assert_array_equal(images.subset([25, 1]).joined(images.subset([3]))[:],
                                expected[[25, 1, 3]])
  assert images.names[22:24] == [f"{paths[0]}: image 22", "held: image 0"]
  with pytest.raises(ValueError, match="two stores"):
    images.joined(StoredImages(store_of(paths[0]), (4, 3, 1)))


@pytest.mark.parametrize("change", [
    lambda path: path.unlink(), lambda path: os.truncate(path, 30),
    lambda path: put(path, pixels(23, 1)), lambda path: os.utime(path, ns=(0, 0))])
def test_a_file_that_changed_since_it_was_mapped_is_named_and_ends_no_process(paths, change):
  images = StoredImages(store_of(*paths), (4, 3, 1))
  batches = Batches(images, 4)
  batches.read(0, 1, 1)
  os.utime(paths[0], ns=(1, 1))
  images = StoredImages(store_of(*paths), (4, 3, 1))
  change(paths[0])
  for read in (lambda: images[3], lambda: Batches(images, 28).read(0, 1, 1),
               lambda: batches.read(1, 1, 1), lambda: b"".join(images.identity())):
    with pytest.raises(InputError, match="train-images: changed or gone since the run began") as e:
      read()
    assert "\n" not in str(e.value)


def test_a_mapped_data_set_ends_with_the_bits_of_one_in_memory_and_goes_on_as_the_other(
    paths, tmp_path):
  def kill(step):
    raise runs.Killed(step)

  def experiment(memory_map):
    return runs.experiment(
        data=experiments.Data("idx", validation=6, memory_map=memory_map), epochs=3,
        checkpoints=experiments.Checkpoints(0.0), steps_per_loop=3,
        logging=experiments.Logging(steps=4, tensorboard=False))

  load = lambda memory_map: experiments.load_data(experiment(memory_map), tmp_path)
  held, lazy = load("off"), load("on")
  training.train(experiment("off"), tmp_path / "held", data=held)
  with pytest.raises(runs.Killed), runs.stops(7, before=kill):  # in the middle of an epoch
    training.train(experiment("on"), tmp_path / "lazy", data=lazy)
  cut = tmp_path / "lazy"
  shutil.copytree(cut, tmp_path / "other")
  training.train(experiment("on"), cut, data=load("on"))
  training.train(experiment("off"), tmp_path / "other", data=held)
  for name in ("lazy", "other"):
    runs.assert_same_bits(tmp_path / "held", tmp_path / name)


def test_a_run_says_how_long_it_waited_for_its_input_in_its_lines_and_at_the_end(
    paths, tmp_path, monkeypatch, capsys):
  clock = [0.0]  # a read takes 1 s, a step nothing
  original = ReadAhead.__call__
  monkeypatch.setattr(ReadAhead, "__call__", lambda self, *given: (
      clock.__setitem__(0, clock[0] + 1), original(self, *given))[1])
  for module in (pipeline, metrics):
    monkeypatch.setattr(module, "time", types.SimpleNamespace(
        time=time.time, monotonic=lambda: clock[0]))
  fields = {"steps": 8, "logging": experiments.Logging(2, 1, False)}
  for memory_map in ("on", "off"):
    config = runs.experiment(data=experiments.Data("idx", memory_map=memory_map), **fields)
    training.train(config, tmp_path / memory_map, data=experiments.load_data(config, tmp_path))
    timings = [line["timing"] for line in workdirs.read_metrics(tmp_path / memory_map)
               if line["kind"] == "train"]
    assert [t.get("input_wait") for t in timings] == [1.0 if memory_map == "on" else None] * 4
  assert len(re.findall("^waited for input 100.0% of [4-8] s$", capsys.readouterr().err,
                        re.MULTILINE)) == 1


def test_mapping_imports_no_tensorflow_and_takes_no_memory_for_the_pixels(tmp_path):
  for part in ("train", "test"):
    path = tmp_path / f"{part}-images"
    put(path, np.zeros((1, 100, 100), np.uint8))
    with open(path, "r+b") as stream:  # a hole of 200 MB
      stream.write(struct.pack(">4B3I", 0, 0, 8, 3, 20_000, 100, 100))
      stream.truncate(16 + 20_000 * 10_000)
  code = f"""
import re, sys
from tfae.data import datasets
anonymous = lambda: int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1e3
before = anonymous()
data = datasets.load("idx", {str(tmp_path)!r}, validation=1000)
data.sha256, data.train.images.mean(axis=0)
assert "tensorflow" not in sys.modules
assert len(data.train) == 19_000 and anonymous() - before < 120, anonymous() - before
"""
  subprocess.run([sys.executable, "-c", code], check=True)
