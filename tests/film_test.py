"""tfae.film: the same images as training goes on, in a film that a kill leaves as it would be."""

import io
import pathlib
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
import tmpfs
from tfae import build, film, training
from tfae import experiment as ex
from tfae.errors import InputError

DATA = runs.dataset(train=90)  # 23 steps an epoch
SEEN = ex.Logging(steps=10, tensorboard=False, film=3)
EXPERIMENT = runs.experiment(logging=SEEN, epochs=3, checkpoints=ex.Checkpoints(0.0),
                             steps_per_loop=7)
TENTHS = [0, 3, 5, 7, 10, 12, 14, 17, 19, 21, 23]  # of 23 steps, rounded up


def made(steps=(0, 5, 10), shape=(2, 4, 3, 1), seed=0):
  """A Film of random pixels."""
  random = np.random.default_rng(seed)
  pixels = lambda: random.integers(0, 256, shape, np.uint8)
  return film.Film(10, pixels(), list(steps), [pixels() for _ in steps])


def filmed(workdir, film_, step=10**9):
  """Writes a Film as a run does; returns the Camera."""
  camera = film.Camera(workdir, film_.originals, step=step, steps_per_epoch=film_.steps_per_epoch)
  for taken, frame in zip(film_.steps, film_.frames):
    camera.take(taken, frame)
  return camera


def same(one, other):
  return (one.steps == other.steps and (one.originals == other.originals).all()
          and len(one.frames) == len(other.frames)
          and all((a == b).all() for a, b in zip(one.frames, other.frames)))


def shown(content):
  """[pixels, uint8 [height, width, 3]] of the frames of a GIF."""
  with Image.open(io.BytesIO(content)) as image:
    frames = []
    for number in range(image.n_frames):
      image.seek(number)
      frames.append(np.asarray(image.convert("RGB")))
    return frames


@pytest.fixture(name="whole", scope="module")
def fixture_whole(tmp_path_factory):
  """The uninterrupted run."""
  workdir = tmp_path_factory.mktemp("film") / "whole"
  training.train(EXPERIMENT, workdir, data=DATA)
  return workdir


def test_a_run_is_filmed_at_step_0_each_tenth_of_its_first_epoch_and_the_end_of_each(whole):
  assert film.read(whole).steps == [*TENTHS, 46, 69]


def test_a_frame_is_what_the_model_of_that_step_makes_of_the_first_test_images(whole):
  found = film.read(whole)
  assert (found.originals == DATA.test.images[:3]).all()
  model = build.load_model(whole, str(69))[0]
  expected = np.clip(model.reconstruct(DATA.test.images[:3]).numpy(), 0, 255)
  assert np.abs(found.frames[-1] - expected).max() <= .5 + 1e-3
  assert np.abs(found.frames[0].astype(float) - found.frames[-1]).max() > 20  # it did learn


def test_a_film_changes_no_bit_of_the_run(whole, tmp_path):
  training.train(runs.replace(EXPERIMENT, logging=runs.QUIET), tmp_path, data=DATA)
  runs.assert_same_bits(whole, tmp_path)
  assert film.read(tmp_path) is None and not (tmp_path / film.GIF).exists()


def test_a_run_that_was_killed_ends_with_the_film_of_one_that_was_not_byte_for_byte(
    whole, tmp_path):
  def kill(step):
    raise runs.Killed(step)

  # In the first epoch, at its end, and later; the film knows more than the newest checkpoint.
  for step, seconds in ((13, 1e6), (23, 0.0), (40, 1e6), (65, 1e6)):
    changed = runs.replace(EXPERIMENT, checkpoints=ex.Checkpoints(seconds))
    with pytest.raises(runs.Killed), runs.stops(step, after=kill):
      training.train(changed, tmp_path, data=DATA)
  assert film.read(tmp_path).steps[-1] == 46  # of a step that no checkpoint has
  training.train(EXPERIMENT, tmp_path, data=DATA)
  for name in (film.FRAMES, film.GIF):
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
  runs.assert_same_bits(whole, tmp_path)


def test_a_run_made_longer_goes_on_with_its_film(whole, tmp_path):
  for epochs in (1, 3):
    training.train(runs.replace(EXPERIMENT, epochs=epochs), tmp_path, data=DATA)
  assert (tmp_path / film.GIF).read_bytes() == (whole / film.GIF).read_bytes()


def test_a_variational_model_is_filmed_at_the_mean_without_noise(tmp_path):
  experiment = runs.replace(EXPERIMENT, epochs=1, task=tfae.Variational(likelihood="gaussian"),
                            model=ex.Model((tfae.Flatten(), tfae.Dense(5, activation="tanh")),
                                           latent=2, tied=False))
  training.train(experiment, tmp_path, data=DATA)
  model = build.load_model(tmp_path)[0]
  images = DATA.test.images[:3]
  expected = model.decode(model.encode_distribution(images)[0]).numpy()
  assert np.abs(film.read(tmp_path).frames[-1] - np.clip(expected, 0, 255)).max() <= .5 + 1e-3


def test_a_run_of_fit_is_filmed_and_a_classifier_is_not(tmp_path):
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(2)), (4, 3, 1), seed=1)
  tfae.fit(tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255), DATA, tfae.Adam(),
           workdir=tmp_path / "fit", batch_size=4, epochs=1, jit_compile="off", logging=SEEN)
  assert film.read(tmp_path / "fit").steps == TENTHS
  labels = lambda split: tfae.Split(split.images, np.arange(len(split)) % 3)
  data = tfae.Dataset("idx", labels(DATA.train), None, labels(DATA.test), 255)
  encoder = tfae.Stack((tfae.Flatten(),), (4, 3, 1))
  head = tfae.Stack((tfae.Dense(3),), (12,), name="head")
  tfae.fit(tfae.Classifier(encoder, head), data, tfae.Adam(), workdir=tmp_path / "classes",
           batch_size=4, epochs=1, jit_compile="off", logging=SEEN)
  assert film.read(tmp_path / "classes") is None


@pytest.mark.parametrize("per_epoch", [1, 3, 10, 23, 600])
def test_frames_are_at_the_steps_that_the_docstring_says(per_epoch):
  steps, step = [], -1
  while step < 450 * per_epoch:
    steps.append(step := film.next_frame(step, per_epoch))
  tenths = {int(np.ceil(round(per_epoch * i / 10, 9))) for i in range(10)}
  epochs = [*range(1, 51), *range(52, 101, 2), *range(104, 201, 4), *range(208, 401, 8),
            *range(416, 451, 16)]
  expected = sorted(tenths | {epoch * per_epoch for epoch in epochs})
  assert steps[:len(expected)] == expected and len(steps) - len(expected) <= 1


def test_images_over_their_reconstructions_stand_where_the_docstring_says():
  found = made()
  picture = film.pairs(found.originals, found.frames[0])
  assert picture.shape == (12, 10, 1)
  for row, images in enumerate((found.originals, found.frames[0])):
    for i, image in enumerate(images):
      top, left = row * 6 + 1, i * 5 + 1
      assert (picture[top:top + 4, left:left + 3] == image).all()
  assert picture.sum(dtype=int) == int(found.originals.sum()) + int(found.frames[0].sum())


def test_pixels_beyond_black_and_white_are_clipped_and_what_is_no_number_is_black():
  values = np.array([-3, 0, 4, 16, 99, np.nan, np.inf, 8.03]).reshape(1, 2, 4, 1)
  assert film.to_bytes(values, 16).ravel().tolist() == [0, 0, 64, 255, 255, 0, 255, 128]


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_made_smaller_by_averages(channels):
  random = np.random.default_rng(1)
  small = random.integers(0, 256, (2, 64, 32, channels)).astype(float)
  large = small.repeat(2, 1).repeat(2, 2)
  assert (film.to_bytes(large, 255) == small).all()


def test_the_gif_has_each_frame_with_its_pixels_and_its_epoch(tmp_path):
  film_ = made(shape=(6, 28, 28, 1))
  filmed(tmp_path, film_).develop()
  frames = shown((tmp_path / film.GIF).read_bytes())
  assert len(frames) == 3
  for frame, expected in zip(frames, film_.frames):
    picture = film.pairs(film_.originals, expected)
    height, width, _ = picture.shape
    assert (frame[:height, :width] == picture).all()
    assert frame[height:].max() > 200  # the text
  assert (frames[0][60:] != frames[1][60:]).any()


def test_small_images_are_enlarged_by_whole_pixels():
  film_ = made(shape=(6, 8, 8, 1))
  frame = shown(film.gif(film_))[0]
  picture = film.pairs(film_.originals, film_.frames[0]).repeat(3, 0).repeat(3, 1)
  assert (frame[:60, :180] == picture).all()


def test_colours_stay_close_in_the_gif():
  film_ = made()
  ramp = np.linspace(0, 255, 12).reshape(1, 4, 3, 1).repeat(2, 0)
  originals = np.concatenate([ramp, 255 - ramp, ramp / 2], -1).astype(np.uint8)
  film_ = film_._replace(originals=originals, frames=[originals] * 3)
  picture = film.pairs(originals, originals).repeat(6, 0).repeat(6, 1).astype(int)
  frame = shown(film.gif(film_))[0][:picture.shape[0], :picture.shape[1]]
  assert np.abs(frame - picture).max() <= 16


def test_a_long_film_shows_100_frames_evenly_and_one_of_noise_is_under_3_megabytes():
  film_ = made(range(0, 500, 2), shape=(1, 4, 3, 1))
  frames = shown(film.gif(film_))
  assert len(frames) == 100
  first, last = (film.pairs(film_.originals, film_.frames[i]).repeat(6, 0).repeat(6, 1)
                 for i in (0, -1))
  assert (frames[0][:72, :30] == first).all() and (frames[-1][:72, :30] == last).all()
  content = film.gif(made(range(30), shape=(20, 64, 64, 3)))
  assert len(content) < film.MOST_BYTES and len(shown(content)) >= 2


def test_later_and_torn_frames_and_zeros_after_a_power_cut_are_left_out(tmp_path):
  film_ = made()
  filmed(tmp_path, film_)
  path = tmp_path / film.FRAMES
  content = path.read_bytes()
  assert same(film.read(tmp_path), film_)
  path.write_bytes(content[:-1])
  assert film.read(tmp_path).steps == [0, 5]
  path.write_bytes(content + bytes(4 * 32))
  assert same(film.read(tmp_path), film_)
  again = film_._replace(steps=[5, 10], frames=film_.frames[1:])
  filmed(tmp_path, again, step=4)
  assert path.read_bytes() == content


def test_a_film_of_other_images_or_of_nothing_known_is_begun_anew(tmp_path):
  filmed(tmp_path, made())
  for film_ in (made(shape=(3, 4, 3, 1)), made(seed=1)):
    filmed(tmp_path, film_)
    assert same(film.read(tmp_path), film_)
  whole = (tmp_path / film.FRAMES).read_bytes()
  no_epoch = whole.replace(b'"steps_per_epoch": 10', b'"steps_per_epoch": 0')
  assert no_epoch != whole
  for content in (b"", b"{}\n", b"\xff\n123", b'{"shape": [1], "steps_per_epoch": 1}\n', no_epoch):
    (tmp_path / film.FRAMES).write_bytes(content)
    assert film.read(tmp_path) is None
    filmed(tmp_path, made())
    assert same(film.read(tmp_path), made())


def test_a_full_disk_is_one_error_and_with_room_the_film_goes_on_whole(tmp_path):
  with tmpfs.mounted(tmp_path / "disk", "1m") as disk:
    film_ = made(range(5), shape=(20, 28, 28, 1))
    camera = filmed(disk, film_._replace(steps=[0], frames=film_.frames[:1]))
    tmpfs.fill(disk)
    with pytest.raises(InputError, match="film.frames: can't be written .No space left on device"):
      camera.take(1, film_.frames[1])
    assert film.read(disk).steps == [0]
    with pytest.raises(InputError, match="film.gif: can't be written .No space left on device"):
      camera.develop()
    (disk / "filler").unlink()
    filmed(disk, film_).develop()
    assert same(film.read(disk), film_)
    assert len(shown((disk / film.GIF).read_bytes())) == 5


@pytest.mark.parametrize("value", [-1, 21, True, 1.5])
def test_a_bad_number_of_filmed_images_is_refused(value):
  with pytest.raises(InputError, match="logging.film=.*: expected an integer from 0 to 20"):
    ex.Logging(film=value)
