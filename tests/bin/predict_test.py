"""tfae-predict as a program: a classifier and an autoencoder, each as a run and as an export."""

import json
import pathlib
import shutil
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, thresholds
from tfae import experiment as ex
from tfae import training
from tfae.tasks.classify import Classify

A, B = "{tmp}/a.png", "{tmp}/b.png"
PICTURES = ["{tmp}/pictures/test/" + name for name in ("a.png", "b.jpg", "c.jpg", "d.png")]
CASES = {
    "class": ["--workdir={tmp}/classifier", A, B],
    "class of the export": ["--saved_model={tmp}/elsewhere", A, B],
    "json": [A, "--saved_model={tmp}/elsewhere", "--json", "{tmp}/black_on_white.png"],
    "inverted": ["--saved_model={tmp}/elsewhere", "--json", "--invert", "--resize",
                 "{tmp}/black_on_white_large.png"],
    "arrays": ["--workdir={tmp}/classifier", "--json", "{tmp}/three.npy"],
    "polarity": ["--workdir={tmp}/classifier", "{tmp}/black_on_white.png"],
    "score": ["--workdir={tmp}/autoencoder", A],
    "judged": ["--workdir={tmp}/judging", A, B],
    "judged by the export": ["--saved_model={tmp}/exported_judging", "--json", A, B],
    "judged before": ["--workdir={tmp}/judging", "--checkpoint=0", A],
    "rebuilt": ["--saved_model={tmp}/exported_autoencoder", "--json", A, B, "--out={tmp}/rebuilt"],
    "one file": ["--workdir={tmp}/autoencoder", A, "--out={tmp}/one.png"],
    "folder with a file's name": ["--workdir={tmp}/autoencoder", A, "--out={tmp}/there.jpg"],
    "pictures": ["--workdir={tmp}/of_files", "--json", "--resize", *PICTURES],
    "pictures of the export": ["--saved_model={tmp}/exported_of_files", "--json", "--resize",
                               *PICTURES],
    "named classes": ["--workdir={tmp}/of_classes", "{tmp}/named/train/cats/0.png"],
    "named classes of the export": ["--saved_model={tmp}/exported_of_classes", "--json",
                                    "{tmp}/named/train/cats/0.png", "{tmp}/named/train/dogs/0.png"],
    "no reconstruction": ["--workdir={tmp}/classifier", A, "--out={tmp}/there"],
}
# Those which are known before TensorFlow is there.
EARLY = {
    "no image": (["--workdir={tmp}/classifier"], "no image is given"),
    "no such image": (["--workdir={tmp}/classifier", "{tmp}/c.png"], "c.png: no such file"),
    "no model": ([A], "give one of --workdir=RUN and --saved_model=EXPORT"),
    "no size for a picture": (["--workdir={tmp}/of_files", PICTURES[3], PICTURES[0]],
                              "has 24 x 40 pixels (height x width), the model takes 6 x 8"),
    "no picture": (["--saved_model={tmp}/exported_of_files", PICTURES[3], "{tmp}/three.npy",
                    "{tmp}/damaged.png"], "damaged.png: damaged PNG: wrong checksum"),
    "no size": (["--saved_model={tmp}/elsewhere", "{tmp}/black_on_white_large.png"],
                "has 16 x 16 pixels (height x width), the model takes 8 x 8"),
    "one file for two": (["--workdir={tmp}/autoencoder", A, B, "--out={tmp}/x.png"],
                         "is one file, there are 2 images"),
    "another kind of file": (["--workdir={tmp}/autoencoder", A, "--out={tmp}/x.JPG"],
                             "x.JPG: reconstructions are .png files. Name"),
    "an array for several": (["--workdir={tmp}/autoencoder", A, B, "--out={tmp}/x.npy"],
                             "or for several images a folder"),
    "same name": (["--workdir={tmp}/autoencoder", A, "{tmp}/again/a.png", "--out={tmp}/x"],
                  "two images would be written as"),
    "over itself": (["--workdir={tmp}/autoencoder", A, "--out={tmp}"], "is an image that is read"),
    "flag": (["--workdir={tmp}/autoencoder", A, "--jsom"], "Did you mean 'json'?"),
}


def png(path, image):
  Image.fromarray((np.asarray(image) * (255 / 16)).round().astype(np.uint8)).save(
      path)


def _pictures(folder):
  """Smooth colour pictures that lie, stand and say that they are turned, in train/ and test/."""
  exif = Image.Exif()
  exif[0x0112] = 6
  random = np.random.default_rng(0)
  for part in ("train", "test"):
    (folder / part).mkdir(parents=True)
    for name, size in (("a.png", (40, 24)), ("b.jpg", (24, 40)), ("c.jpg", (30, 30)),
                       ("d.png", (8, 6))):
      Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8)).resize(
          size, Image.Resampling.BICUBIC).save(folder / part / name, exif=exif)


@pytest.fixture(name="digits", scope="module")
def fixture_digits():
  return tfae.load("digits").test


@pytest.fixture(name="outcomes", scope="module")
def fixture_outcomes(tmp_path_factory, digits):
  tmp = tmp_path_factory.mktemp("predict")
  common = {"batch_size": 100, "jit_compile": "off", "logging": runs.QUIET,
            "optimizer": tfae.Adam(1e-2)}
  training.train(ex.Experiment(
      model=ex.Model((tfae.Flatten(), tfae.Dense(32, activation="relu")), head=(tfae.Dense(10),)),
      task=Classify(), steps=120, **common), tmp / "classifier")
  training.train(ex.Experiment(model=ex.Model((tfae.Flatten(), tfae.Dense(16))), steps=60,
                               **common), tmp / "autoencoder")
  shutil.copytree(tmp / "autoencoder", tmp / "judging")
  # Half way between the scores of the two: one of them is an anomaly.
  scores = build.load_model(tmp / "judging")[0].score(np.float32(digits.images[:2])).numpy()
  thresholds.write(tmp / "judging", thresholds.choose(scores, 60, quantile=0.5))
  _pictures(tmp / "pictures")
  training.train(ex.Experiment(
      data=ex.Data("images", size=(6, 8)), model=ex.Model((tfae.Flatten(), tfae.Dense(4))),
      steps=2, **{**common, "batch_size": 4}), tmp / "of_files", data_dir=tmp / "pictures")
  for label, name in enumerate(("cats", "dogs")):  # black ones and white ones
    for part in ("train", "test"):
      (tmp / "named" / part / name).mkdir(parents=True)
      Image.new("L", (8, 6), 255 * label).save(tmp / "named" / part / name / "0.png")
  training.train(ex.Experiment(
      data=ex.Data("images", size=(6, 8), channels=1),
      model=ex.Model((tfae.Flatten(), tfae.Dense(4)), head=(tfae.Dense(2),)), task=Classify(),
      steps=60, **{**common, "batch_size": 2}), tmp / "of_classes", data_dir=tmp / "named")
  for name in ("classifier", "autoencoder", "judging", "of_files", "of_classes"):
    runs.publish(tmp / name, tmp / f"exported_{name}")
  for folder in ("again", "there.jpg"):
    (tmp / folder).mkdir()
  for name, image in (("a", digits.images[0]), ("b", digits.images[1]),
                      ("again/a", digits.images[2])):
    png(tmp / f"{name}.png", image[..., 0])
  reversed_ = 16 - digits.images[0, ..., 0]
  (tmp / "exported_classifier").rename(tmp / "elsewhere")  # an export needs nothing of its run
  png(tmp / "black_on_white.png", reversed_)
  png(tmp / "black_on_white_large.png", reversed_.repeat(2, 0).repeat(2, 1))
  data = bytearray((tmp / "a.png").read_bytes())
  data[-20] ^= 1  # in the compressed pixels
  (tmp / "damaged.png").write_bytes(data)
  np.save(tmp / "three.npy", digits.images[:3])
  place = lambda flags: ["predict", *(flag.format(tmp=tmp) for flag in flags)]
  ends = runs.many([place(flags) for flags in CASES.values()], tmp_path_factory.mktemp("said"),
                   ["tensorflow", "PIL.Image", "tfae.build", "tfae.workdir", "tfae.saved_model"])
  early = runs.many([place(flags) for flags, _ in EARLY.values()], tmp_path_factory.mktemp("said"),
                    ["PIL.Image", "sklearn.datasets", "tfae.workdir"])
  return tmp, dict(zip([*CASES, *EARLY], ends + early))


def answers(end):
  code, out, err = end
  assert (code, err) == (0, ""), err
  return [json.loads(line) for line in out.splitlines()]


def test_a_classifier_gives_the_class_and_every_probability_from_a_run_and_from_an_export(
    outcomes, digits):
  tmp, ends = outcomes
  code, out, err = ends["class"]
  assert (code, err) == (0, "")
  model = build.load_model(tmp / "classifier")[0]
  probabilities = model.classify(digits.images[:2])[0].numpy()
  for line, name, of_image in zip(out.splitlines(), "ab", probabilities, strict=True):
    assert line.startswith(f"{tmp}/{name}.png: class {of_image.argmax()}    0: ")
    shown = [float(text.split(": ")[1]) for text in line.split("    ")[1].split("  ")]
    np.testing.assert_allclose(shown, of_image, atol=0.02)  # 16 levels came through 256
  assert ends["class of the export"] == ends["class"]


def test_a_class_of_a_folder_is_called_by_the_folders_name(outcomes):
  code, out, err = outcomes[1]["named classes"]
  assert (code, err) == (0, "")
  shown = out.split(": class ")[1].split()
  assert shown[0] == "cats" and shown[1::2] == ["cats:", "dogs:"]
  for found, name in zip(answers(outcomes[1]["named classes of the export"]), ("cats", "dogs")):
    assert found["class_name"] == name and found["probabilities"][found["class"]] > .5


def test_flags_may_stand_between_the_images_and_json_holds_what_was_noticed(outcomes):
  tmp, ends = outcomes
  first, second = answers(ends["json"])
  assert first["image"] == f"{tmp}/a.png" and first["notes"] == []
  assert sum(first["probabilities"]) == pytest.approx(1) and len(first["probabilities"]) == 10
  assert first["class"] == int(np.argmax(first["probabilities"]))
  (note,) = second["notes"]
  assert "border is bright" in note and "--invert" in note


def test_black_on_white_of_another_size_is_the_same_digit_once_it_is_asked_for(outcomes):
  (found,), (expected, _) = answers(outcomes[1]["inverted"]), answers(outcomes[1]["json"])
  np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=0.01)
  assert found["notes"] == ["resized from 16 x 16 to 8 x 8 (area filter)"]


def test_a_word_about_polarity_goes_to_stderr_and_is_no_failure(outcomes):
  code, out, err = outcomes[1]["polarity"]
  assert code == 0 and out.count("\n") == 1 and err.count("\n") == 1
  assert "black_on_white.png: the image's border is bright" in err


def test_an_array_of_several_images_gives_a_line_each(outcomes, digits):
  tmp, ends = outcomes
  found = answers(ends["arrays"])
  assert [line["index"] for line in found] == [0, 1, 2]
  expected = build.load_model(tmp / "classifier")[0].classify(digits.images[:3])[0].numpy()
  np.testing.assert_allclose([line["probabilities"] for line in found], expected, atol=1e-5)


def test_an_autoencoder_gives_its_score_and_the_reconstruction_as_png(outcomes, digits):
  tmp, ends = outcomes
  model = build.load_model(tmp / "autoencoder")[0]
  first, second = answers(ends["rebuilt"])
  assert first["reconstruction"] == f"{tmp}/rebuilt/a.png"
  assert first["score"] == pytest.approx(float(model.score(digits.images[:1])[0]), rel=0.05)
  for line, image in ((first, digits.images[:1]), (second, digits.images[1:2])):
    expected = np.clip(model.reconstruct(image).numpy()[0, ..., 0] / 16, 0, 1)
    found = np.asarray(Image.open(line["reconstruction"])) / 255
    np.testing.assert_allclose(found, expected, atol=0.02)
  code, out, err = ends["score"]
  assert (code, err) == (0, "")
  assert out.splitlines()[0].startswith("score: reconstruction error of each image")
  assert out.splitlines()[1].startswith(f"{tmp}/a.png: score {first['score']:.4g}"[:-1])
  assert ends["one file"][0] == 0
  assert (tmp / "one.png").read_bytes() == (tmp / "rebuilt/a.png").read_bytes()
  assert ends["folder with a file's name"][0] == 0  # it was there
  assert (tmp / "there.jpg/a.png").read_bytes() == (tmp / "one.png").read_bytes()


def test_with_a_threshold_each_image_is_an_anomaly_or_none(outcomes):
  tmp, ends = outcomes
  found = answers(ends["judged by the export"])
  value = thresholds.read(tmp / "judging").value
  assert [line["is_anomaly"] for line in found] == [line["score"] > value for line in found]
  assert {line["is_anomaly"] for line in found} == {True, False}
  code, out, err = ends["judged"]
  assert (code, err) == (0, "")
  assert out.splitlines()[1] == f"anomaly: a score above {value:.6g}"
  for line, shown in zip(found, out.splitlines()[2:], strict=True):
    assert shown.endswith(", an anomaly" if line["is_anomaly"] else ", no anomaly")
  assert "anomaly" not in ends["score"][1]
  # It was chosen for another checkpoint.
  code, out, err = ends["judged before"]
  assert code == 0 and "anomaly" not in out
  assert err.endswith(f"{tmp}/judging/threshold.json: was chosen for the checkpoint of step 60, "
                      "this is that of step 0: whether a score is an anomaly's is not said\n")


def test_a_model_of_image_files_scores_them_as_its_training_read_them(outcomes):
  tmp, ends = outcomes
  images = tfae.load("images", tmp / "pictures", size=(6, 8)).test.images[:]
  expected = build.load_model(tmp / "of_files")[0].score(images).numpy()
  for name in ("pictures", "pictures of the export"):
    found = answers(ends[name])
    np.testing.assert_allclose([line["score"] for line in found], expected, rtol=1e-5)
    assert [len(line["notes"]) for line in found] == [2, 2, 2, 1]
    assert "24 x 40 to 6 x 8 as the model's training images were" in found[0]["notes"][0]
    assert found[3]["notes"] == ["its EXIF orientation is not applied, as in training"]


@pytest.mark.parametrize("name, text", [
    ("no reconstruction", "has no signature 'reconstruct'"),
    *((name, text) for name, (_, text) in EARLY.items())])
def test_a_mistake_is_one_line_with_exit_code_2(outcomes, name, text):
  code, out, err = outcomes[1][name]
  assert (code, out) == (2, "") and text in err
  assert err.startswith("error: ") and err.count("\n") == 1
  assert not any((outcomes[0] / made).exists() for made in ("x.JPG", "x.npy"))
