"""tfae.report.pictures: the film of a run, in whatever state it is."""

import io
import pathlib
import sys

from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
from tfae import experiment as ex
from tfae import film, training
from tfae.report import pictures


def test_the_film_of_a_killed_run_has_all_frames_though_it_left_no_gif(tmp_path):
  def kill(_):
    raise runs.Killed
  with pytest.raises(runs.Killed), runs.stops(8, after=kill):
    training.train(runs.experiment(logging=ex.Logging(film=3)), tmp_path,
                   data=runs.dataset())
  assert not (tmp_path / film.GIF).exists()
  kept = film.read(tmp_path)
  (picture,) = pictures.film(tmp_path)
  assert Image.open(io.BytesIO(picture.content)).n_frames == len(kept.frames) > 1


def test_a_run_without_a_film_has_none_and_one_that_cannot_be_read_is_told(tmp_path):
  assert pictures.film(tmp_path) == ()
  (tmp_path / film.FRAMES).mkdir()
  (picture,) = pictures.film(tmp_path)
  assert picture.content is None and film.FRAMES in picture.error
