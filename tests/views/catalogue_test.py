"""Each view of each kind of run: what it shows, or why it does not apply."""

import json
import math
import pathlib
import shutil
import sys
import xml.etree.ElementTree

import numpy as np
import pytest
from sklearn import metrics

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import InputError, training
from tfae import experiment as ex
from tfae.figures import codes, latent
from tfae.views import catalogue, of_codes, of_training, view
from tfae.views.material import Material

# Which views apply to which run; all others must say why not.
ALWAYS = {"samples", "montage", "mean", "one_hot", "loss", "scatter", "tsne", "neighbours",
          "code_values", "responses", "maximisation", "diagram", "best_worst"}
MAKES_IMAGES = {"reconstructions", "squared_error", "interpolation", "bilinear", "scores"}
CONV = {"filters", "deeper_filters"}
APPLY = {
    "conv": ALWAYS | MAKES_IMAGES | CONV | {"code_maps"},
    "denoising": ALWAYS | MAKES_IMAGES | {"restored", "encoder_weights"},
    "plane": ALWAYS | MAKES_IMAGES | {"manifold", "prior", "kl", "encoder_weights",
                                      "decoder_weights"},
    "variational": ALWAYS | MAKES_IMAGES | {"manifold", "prior", "kl", "encoder_weights",
                                            "decoder_weights"},
    "one_class": ALWAYS | MAKES_IMAGES | {"encoder_weights", "roc", "precision_recall"},
    "classifier": ALWAYS | CONV | {"accuracy", "framed", "confusion"},
}


HALF = 0.51 / 255  # of a step between two bytes: what rounding does to a pixel


def values(figure):
  """The arrays of all images that a Figure shows, in the order in which they were drawn.

  Bytes are brought to [0, 1].
  """
  arrays = [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()]
  return [array / 255 if array.dtype == np.uint8 else array for array in arrays]


def grey(figure):
  """The same of grey images, one channel each."""
  return [array[..., 0] for array in values(figure)]


def drawn(name, material):
  return catalogue.BY_NAME[name].draw(material)


@pytest.mark.parametrize("name", sorted(APPLY))
def test_views_apply_to_the_runs_that_they_suit_and_else_say_why(materials, name):
  reasons = {found.name: found.reason(materials[name]) for found in catalogue.VIEWS}
  assert {found for found, reason in reasons.items() if reason is None} == APPLY[name]
  for reason in reasons.values():
    assert reason is None or len(reason) > 15 and not reason.endswith(".")


@pytest.mark.parametrize("found", [found for found in catalogue.VIEWS if not found.asked],
                         ids=lambda found: found.name)
def test_a_view_that_applies_can_be_drawn(materials, found):
  name = next(name for name in APPLY if found.name in APPLY[name])
  picture = found.draw(materials[name])
  if isinstance(picture, str):
    assert xml.etree.ElementTree.fromstring(picture).tag.endswith("svg")
  elif isinstance(picture, np.ndarray):
    assert np.ptp(picture) > 0
  else:
    assert picture.axes and any(np.ptp(array) for array in values(picture)) == bool(values(picture))


def test_the_table_is_whole_each_view_has_a_section_a_title_and_a_name_of_its_own():
  assert len(catalogue.BY_NAME) == len(catalogue.VIEWS)
  for found in catalogue.VIEWS:
    assert found.section in view.SECTIONS and 10 < len(found.title) < 80
  assert [found.name for found in catalogue.VIEWS if found.asked] == ["tsne"]


def test_views_are_chosen_by_name_in_the_order_of_the_table():
  names = lambda *arguments: [found.name for found in catalogue.chosen(*arguments)]
  assert names(["tsne", "samples"]) == ["samples", "tsne"]
  assert "tsne" not in names(None) and len(names(None)) == len(catalogue.VIEWS) - 1
  assert len(names(None, ("tsne",))) == len(catalogue.VIEWS)
  with pytest.raises(InputError, match="no such view. Did you mean 'montage'"):
    catalogue.chosen(["montge"])


def test_a_montages_pixels_are_the_images_pixels(materials):
  material = materials["conv"]
  picture = drawn("montage", material)
  columns = math.ceil(math.sqrt(120))
  for number in (0, 7, 41, 119):
    row, column = divmod(number, columns)
    cell = picture[row * 9:row * 9 + 8, column * 9:column * 9 + 8]
    np.testing.assert_array_equal(cell, material.images[number])


@pytest.mark.parametrize("name", ["conv", "plane"])
def test_the_ends_of_an_interpolation_are_the_decoded_codes_of_its_images(materials, name):
  material = materials[name]
  shown = grey(drawn("interpolation", material))
  assert len(shown) == 4 * of_codes._STEPS
  ends = of_codes._one_of_each_class(material, 8)
  for row in range(4):
    for end, cell in ((0, 0), (1, of_codes._STEPS - 1)):
      np.testing.assert_allclose(shown[row * of_codes._STEPS + cell],
                                 material.reconstructions[ends[2 * row + end], :, :, 0], atol=HALF)
  assert sorted(material.labels[ends]) == list(range(8))  # between different classes


def test_the_corners_of_the_bilinear_grid_are_the_decoded_codes_of_four_images(materials):
  material = materials["conv"]
  shown = grey(drawn("bilinear", material))
  corners = of_codes._one_of_each_class(material, 4)
  for cell, corner in zip((0, 9, 90, 99), corners):
    np.testing.assert_allclose(shown[cell], material.reconstructions[corner, :, :, 0], atol=HALF)
  between = (material.codes[corners[0]] * (4 / 9) + material.codes[corners[1]] * (5 / 9))[None]
  expected = np.clip(material.model.decode(between).numpy() / 16, 0, 1)
  np.testing.assert_allclose(shown[5], expected[0, :, :, 0], atol=HALF)


@pytest.mark.parametrize("name", ["plane", "variational"])
def test_the_manifold_is_the_decoder_over_the_two_dimensions_of_the_largest_kl(materials, name):
  material = materials[name]
  shown = grey(drawn("manifold", material))
  kl = material.kl.mean(axis=0)
  first, second = sorted(sorted(range(len(kl)), key=lambda i: -kl[i])[:2])
  for row, column in ((0, 0), (3, 17), (19, 19)):
    code = np.zeros((1, len(kl)), np.float32)
    code[0, first], code[0, second] = latent.quantiles(20)[column], latent.quantiles(20)[19 - row]
    expected = material.model.decode(code).numpy()[0, :, :, 0] / 16
    np.testing.assert_allclose(shown[row * 20 + column], expected, atol=HALF)


def test_neighbours_are_those_of_brute_force(materials):
  material = materials["conv"]
  flat = material.codes.reshape(120, -1).astype(np.float64)
  anchors = of_codes._one_of_each_class(material, 8)
  shown = grey(drawn("neighbours", material))
  for row, anchor in enumerate(anchors):
    distances = np.sqrt(((flat - flat[anchor]) ** 2).sum(1))
    distances[anchor] = np.inf
    expected = np.argsort(distances, kind="stable")[:8]
    cells = shown[row * 9:row * 9 + 9]
    for cell, index in zip(cells, [anchor, *expected]):
      np.testing.assert_allclose(cell, material.images[index, :, :, 0], atol=HALF)


def test_the_scatter_shows_the_codes_or_their_principal_components(materials):
  def points(material):
    axes, = drawn("scatter", material).axes
    return np.concatenate([part.get_offsets() for part in axes.collections]), axes
  material = materials["plane"]
  found, _ = points(material)
  order = np.argsort(material.labels, kind="stable")
  np.testing.assert_allclose(found, material.codes[order], rtol=1e-6)
  material = materials["variational"]
  found, axes = points(material)
  centred = material.codes - material.codes.mean(axis=0)
  variances = np.linalg.eigvalsh(np.cov(centred.T))[::-1]
  np.testing.assert_allclose(found.var(axis=0, ddof=1), variances[:2], rtol=1e-3)
  assert f"{variances[0] / variances.sum():.1%} of the variance" in axes.get_xlabel()


def test_codes_that_are_all_the_same_have_no_principal_components(folders):
  material = Material(folders["variational"], images=20)
  material.__dict__["_found"] = {"codes": (np.ones((20, 5), np.float32), None)}
  with pytest.raises(InputError, match="all 20 codes are the same"):
    drawn("scatter", material)


def test_tsne_is_that_of_the_seed(folders):
  material = Material(folders["plane"], images=30, seed=2)
  axes, = drawn("tsne", material).axes
  found = np.concatenate([part.get_offsets() for part in axes.collections])
  order = np.argsort(material.labels, kind="stable")
  np.testing.assert_allclose(found, codes.tsne(material.codes, 2)[order], rtol=1e-4, atol=1e-3)


def test_kl_bars_are_the_mean_over_the_images(materials):
  axes, = drawn("kl", materials["variational"]).axes
  heights = [bar.get_height() for bar in axes.patches]
  np.testing.assert_allclose(heights, sorted(materials["variational"].kl.mean(axis=0))[::-1])


def test_scores_and_roc_are_those_of_all_test_images_by_class(materials):
  material = materials["one_class"]
  found, data = material.detection, material.data
  np.testing.assert_array_equal(found.anomalous, data.test.labels != 3)
  np.testing.assert_allclose(found.scores, material.model.score(data.test.images), rtol=1e-4)
  axes = drawn("roc", material).axes[0]
  area = metrics.roc_auc_score(data.test.labels != 3, found.scores)
  assert f"{area:.4f}" in " ".join(text.get_text() for text in [
      *axes.texts, axes.figure._suptitle] if text)  # pylint: disable=protected-access
  value = np.quantile(material.model.score(data.validation.images), 0.95)
  axes = drawn("scores", material).axes[0]
  line, = [line for line in axes.lines if line.get_label().startswith("threshold")]
  assert line.get_xdata()[0] == pytest.approx(value, rel=1e-4)


def test_framed_shows_right_ones_then_wrong_ones_and_counts_all(materials):
  material = materials["classifier"]
  right = int((material.predictions == material.labels).sum())
  figure = drawn("framed", material)
  texts = [text.get_text() for axes in figure.axes for text in axes.texts]
  assert any(f"{right} of 120 test images right" in text.replace("\n", " ") for text in texts)
  assert sum(text.startswith("✓") for text in texts) == min(right, 30)
  assert sum(text.startswith("✗") for text in texts) == min(120 - right, 30)


def test_the_confusion_matrix_is_that_of_sklearn(materials):
  material = materials["classifier"]
  matrix = metrics.confusion_matrix(material.labels, material.predictions, labels=range(10))
  share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
  np.testing.assert_allclose(values(drawn("confusion", material))[0], share)


def test_weights_are_the_models_a_tied_decoder_is_not_shown_twice(materials):
  material = materials["plane"]
  rows = (material.model.encoder.layers[1].kernel.numpy().T,
          material.model.decoder.layers[1].kernel.numpy())
  for name, units in zip(("encoder_weights", "decoder_weights"), rows):
    cells = values(drawn(name, material))
    assert len(cells) >= len(units) == 32
    # Red is the largest of all weights, blue minus that: red - blue grows with the weight.
    cell = cells[5].astype(float)
    order = np.argsort(units[5])
    shown = (cell[..., 0] - cell[..., 2]).ravel()[order]
    assert shown[0] < shown[32] < shown[-1] and np.corrcoef(shown, np.sort(units[5]))[0, 1] > 0.9
  assert "tied" in catalogue.BY_NAME["decoder_weights"].reason(materials["denoising"])


def test_responses_and_maximisation_are_of_the_layer_that_is_named(materials, folders):
  image = materials["conv"].images[5:6]
  material = Material(folders["conv"], images=20, layer="encoder/layer_0", image=image)
  text = lambda figure: " ".join(t.get_text() for axes in figure.axes for t in axes.texts)
  assert "encoder/layer_0: 4 channels of 4 x 4" in text(drawn("responses", material)).replace(
      "\n", " ")
  np.testing.assert_allclose(grey(drawn("responses", material))[0], image[0, :, :, 0], atol=HALF)
  assert "encoder/layer_0" in text(drawn("maximisation", material))
  dense = Material(folders["plane"], images=20, layer="encoder/layer_1")
  assert "32 units, row by row" in text(drawn("responses", dense)).replace("\n", " ")
  wrong = Material(folders["conv"], layer="encoder/layer_7")
  with pytest.raises(InputError, match="no such layer"):
    drawn("maximisation", wrong)


def test_curves_are_the_lines_of_the_log(materials):
  material = materials["plane"]
  found = of_training.series(material.metrics, "loss")
  lines = material.metrics
  assert found["training"] == tuple(zip(*[(line["step"], line["loss"]) for line in lines
                                          if line["kind"] == "train"]))
  assert found["test"][1] == ([line["loss"] for line in lines if line["kind"] == "test"][-1],)
  axes = drawn("loss", material).axes[0]
  assert axes.get_ylabel() == "minus the ELBO, nats"


def test_one_point_is_no_curve(folders, tmp_path):
  shutil.copytree(folders["classifier"], tmp_path / "w")
  lines = [line for line in (tmp_path / "w/metrics.jsonl").read_text().splitlines()
           if json.loads(line)["kind"] != "validation"]
  (tmp_path / "w/metrics.jsonl").write_text("\n".join(lines) + "\n")
  material = Material(tmp_path / "w")
  assert "knows accuracy at 1 step only" in catalogue.BY_NAME["accuracy"].reason(material)
  assert catalogue.BY_NAME["loss"].reason(material) is None


def test_the_diagram_names_what_is_tied_and_counts_each_kernel_once(materials):
  picture = drawn("diagram", materials["conv"])
  model = materials["conv"].model
  total = sum(math.prod(v.shape) for v in model.trainable)
  assert f"4 layers, {total:,} parameters" in picture
  assert picture.count('class="tied"') == 2


def test_a_run_without_data_still_shows_what_it_keeps(folders, tmp_path):
  shutil.copytree(folders["plane"], tmp_path / "w")
  config = json.loads((tmp_path / "w/config.json").read_text())
  config["data"]["sha256"] = "0" * 64
  del config["checksum"]
  (tmp_path / "w/config.json").write_text(json.dumps(config))
  material = Material(tmp_path / "w")
  missing = {found.name for found in catalogue.VIEWS if found.reason(material)}
  assert missing - {found.name for found in catalogue.VIEWS
                    if found.reason(Material(folders["plane"]))} == {"one_hot", "scores"}
  assert "not those of the run" in catalogue.BY_NAME["one_hot"].reason(material)
  assert values(drawn("samples", material))


def test_a_run_of_fit_shows_its_curves_and_images_and_says_why_no_more(tmp_path):
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(3)], (4, 3, 1), name="encoder")
  training.fit(tfae.Autoencoder(encoder, tfae.mirror(encoder)), runs.dataset(), tfae.Adam(1e-3),
               epochs=2, batch_size=5, workdir=tmp_path / "fit")
  material = Material(tmp_path / "fit")
  reasons = {found.name: found.reason(material) for found in catalogue.VIEWS}
  shown = {name for name, reason in reasons.items() if reason is None}
  assert shown == {"samples", "montage", "mean", "loss", "squared_error"}
  assert "built by hand" in reasons["reconstructions"] and "built by hand" in reasons["diagram"]
  for name in shown:
    drawn(name, material)


def test_a_run_that_diverged_is_drawn_from_the_checkpoint_before(tmp_path):
  diverging = ex.Experiment(
      data=ex.Data("digits"), model=ex.Model((tfae.Flatten(), tfae.Dense(3, activation="relu"))),
      optimizer=tfae.SGD(1e12), steps=50, jit_compile="off", logging=runs.QUIET)
  with pytest.raises(training.NotFiniteError):
    training.train(diverging, tmp_path / "w")
  material = Material(tmp_path / "w", images=20)
  for name in ("reconstructions", "scatter", "diagram"):
    assert catalogue.BY_NAME[name].reason(material) is None
    drawn(name, material)
  assert np.isfinite(material.codes).all()


def test_a_run_of_no_step_at_all_has_pictures(folders, tmp_path):
  shutil.copytree(folders["conv"], tmp_path / "w")
  (tmp_path / "w/metrics.jsonl").unlink()
  (tmp_path / "w/examples.npy").unlink()
  material = Material(tmp_path / "w", images=20)
  assert "knows loss at 0 steps only" in catalogue.BY_NAME["loss"].reason(material)
  assert catalogue.BY_NAME["reconstructions"].reason(material) is None
  shutil.rmtree(tmp_path / "w/checkpoints")
  material = Material(tmp_path / "w", images=20)
  assert "no checkpoint" in catalogue.BY_NAME["reconstructions"].reason(material)
  assert catalogue.BY_NAME["samples"].reason(material) is None
