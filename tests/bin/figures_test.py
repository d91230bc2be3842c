"""tfae-figures: which files it writes, what it says, and its mistakes."""

import io
import pathlib
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import training
from tfae.views.material import Material

CASES = {
    "list": ["--list"],
    "some": ["--workdir={tmp}/conv", "--only=montage,mean,diagram,loss"],
    "again": ["--workdir={tmp}/conv", "--only=montage,mean", "--out={tmp}/again"],
    "not for it": ["--workdir={tmp}/conv", "--only=montage,kl", "--out={tmp}/kl"],
    "of an image": ["--workdir={tmp}/conv", "--only=responses", "--out={tmp}/image",
                    "--image={tmp}/x.png", "--layer=encoder/layer_0"],
    "no data": ["--workdir={tmp}/gone", "--only=samples"],
    "no such view": ["--workdir={tmp}/conv", "--only=montge"],
    "no such layer": ["--workdir={tmp}/conv", "--only=responses", "--layer=encoder/layr_0"],
    "layer for nothing": ["--workdir={tmp}/conv", "--only=mean", "--layer=encoder/layer_0"],
    "image for nothing": ["--workdir={tmp}/conv", "--only=maximisation", "--image={tmp}/x.png"],
    "invert nothing": ["--workdir={tmp}/conv", "--invert"],
    "wrong size": ["--workdir={tmp}/conv", "--image={tmp}/large.png"],
    "no run": ["--workdir={tmp}/nowhere"],
    "no workdir": [],
    "no view": ["--workdir={tmp}/conv", "--only="],
    "no checkpoint": ["--workdir={tmp}/conv", "--checkpoint=17"],
    "no images": ["--workdir={tmp}/conv", "--images=0"],
    "no folder": ["--workdir={tmp}/conv", "--out={tmp}/x.png/figures"],
}
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
  tmp = tmp_path_factory.mktemp("figures")
  training.train(ex.Experiment(
      data=ex.Data("digits"), model=ex.Model((tfae.Conv2D(3, 3, stride=2, activation="relu"),)),
      steps=20, jit_compile="off", logging=runs.QUIET), tmp / "conv")
  training.train(ex.Experiment(
      data=ex.Data("idx"), model=ex.Model((tfae.Flatten(), tfae.Dense(2))), batch_size=5,
      steps=1, jit_compile="off", logging=runs.QUIET), tmp / "gone",
                 data=runs.dataset(validation=0))
  Image.fromarray(PIXELS).save(tmp / "x.png")
  Image.fromarray(np.zeros((9, 8), np.uint8)).save(tmp / "large.png")
  cases = [["figures", *(flag.format(tmp=tmp) for flag in flags)] for flags in CASES.values()]
  ends = runs.many(cases, tmp_path_factory.mktemp("said"),
                   ["tensorflow", "matplotlib.figure", "tfae.evaluation", "tfae.views.catalogue"])
  return tmp, dict(zip(CASES, ends))


def pixels(path):
  return np.asarray(Image.open(path), np.float64)


def test_each_view_is_a_file_that_is_said_as_it_is_written(outcomes):
  tmp, ends = outcomes
  code, out, err = ends["some"]
  assert (code, err) == (0, "")
  folder = tmp / "conv/figures"
  assert sorted(path.name for path in folder.iterdir()) == ["diagram.svg", "loss.png", "mean.png",
                                                            "montage.png"]
  for line in out.splitlines()[:-1]:
    path, _, said = line.partition(": ")
    assert f"{pathlib.Path(path).stat().st_size:,} bytes, " in said and said.endswith(" s")
  assert out.splitlines()[-1].startswith("4 of 4 views in ")


def test_a_montages_file_shows_the_images_pixel_by_pixel(outcomes):
  tmp, _ = outcomes
  found = pixels(tmp / "conv/figures/montage.png")
  zoom = 900 // (18 * 9 - 1)  # 297 images: 17 rows of 18
  assert found.shape == ((17 * 9 - 1) * zoom, (18 * 9 - 1) * zoom)
  images = Material(tmp / "conv").images
  for number in (0, 20, 296):
    row, column = divmod(number, 18)
    cell = found[::zoom, ::zoom][row * 9:row * 9 + 8, column * 9:column * 9 + 8]
    np.testing.assert_allclose(cell, np.rint(images[number, :, :, 0] * 255))


def test_the_same_run_gives_the_same_bytes(outcomes):
  tmp, _ = outcomes
  for name in ("montage.png", "mean.png"):
    assert (tmp / "again" / name).read_bytes() == (tmp / "conv/figures" / name).read_bytes()


def test_what_was_asked_for_and_does_not_apply_is_said_and_the_exit_code_is_1(outcomes):
  tmp, ends = outcomes
  code, out, err = ends["not for it"]
  assert (code, err) == (1, "")
  assert "kl: not drawn: task.name='reconstruct': only variational codes" in out
  assert (tmp / "kl/montage.png").exists() and not (tmp / "kl/kl.png").exists()


def test_responses_are_those_to_the_image_of_a_file(outcomes):
  tmp, ends = outcomes
  assert ends["of an image"][0] == 0, ends["of an image"][2]
  material = Material(tmp / "conv", image=(PIXELS / 255)[None, :, :, None].astype(np.float32),
                      layer="encoder/layer_0")
  from tfae.views import catalogue, picture
  drawn = picture.encoded(catalogue.BY_NAME["responses"].draw(material))[1]
  np.testing.assert_allclose(pixels(tmp / "image/responses.png"), pixels(io.BytesIO(drawn)),
                             atol=1.5)


def test_without_the_data_the_images_are_those_of_the_run_and_that_is_said(outcomes):
  tmp, ends = outcomes
  code, out, err = ends["no data"]
  assert code == 0 and "samples.png" in out
  assert err.startswith("without the data: ") and err.count("\n") == 1
  assert (tmp / "gone/figures/samples.png").exists()


def test_the_list_has_every_view(outcomes):
  from tfae.views import catalogue
  code, out, _ = outcomes[1]["list"]
  assert code == 0
  assert [line.split()[0] for line in out.splitlines()] == list(catalogue.BY_NAME)
  assert out.count("only when asked for") == 1


@pytest.mark.parametrize("name, text", [
    ("no such view", "--only='montge': no such view. Did you mean 'montage'?"),
    ("no such layer", "layer='encoder/layr_0': the model has no such layer. Did you mean"),
    ("layer for nothing", "--layer=encoder/layer_0: has no effect on mean. It is for responses"),
    ("image for nothing", "has no effect on maximisation. It is for responses."),
    ("invert nothing", "--invert: has no effect without --image"),
    ("wrong size", "has 9 x 8 pixels"),
    ("no run", "holds no run"),
    ("no workdir", "--workdir is missing"),
    ("no view", "--only=: names no view"),
    ("no checkpoint", "--checkpoint=17: expected 'latest', 'best' or one of the steps 20, 0."),
    ("no images", "images"),
    ("no folder", "can't be made"),
])
def test_a_mistake_is_one_line_with_exit_code_2(outcomes, name, text):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and text in err
  assert err.startswith("error: ") and err.count("\n") == 1
