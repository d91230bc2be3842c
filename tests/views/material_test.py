"""What pictures are made of: computed once, of the right images, from any state of a run."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import InputError, build, checkpoint, training
from tfae import workdir as workdirs
from tfae.data import datasets
from tfae.views import material as materials_module
from tfae.views.material import Material


def test_images_are_test_images_with_their_labels_in_a_seeded_order(materials, folders):
  material, data = materials["conv"], datasets.load("digits", validation=30)
  rows = {image.tobytes(): row for row, image in enumerate(data.test.images)}
  found = [rows[image.tobytes()] for image in material.split.images]
  assert len(set(found)) == 120 and found != sorted(found)
  np.testing.assert_array_equal(material.labels, data.test.labels[found])
  np.testing.assert_allclose(material.images * 16, data.test.images[found])
  other = Material(folders["conv"], images=120, seed=1)
  assert (other.split.images != material.split.images).any()
  assert len(Material(folders["conv"]).images) == 297


def test_what_the_model_makes_is_what_the_library_makes(materials, folders):
  material = materials["conv"]
  model = build.load_model(folders["conv"])[0]
  images = material.split.images
  np.testing.assert_allclose(material.codes, model.encode(images), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(material.reconstructions,
                             np.clip(model.reconstruct(images) / 16, 0, 1), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(material.scores, model.score(images), rtol=1e-4)
  assert material.step == 60 and material.metrics == logged(folders["conv"])
  assert material.codes is material.codes  # computed once


def logged(workdir):
  return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_codes_of_a_variational_model_are_means_and_their_kl_is_that_of_the_densities(materials):
  material = materials["variational"]
  mean, log_variance = material.distributions
  np.testing.assert_array_equal(mean, material.codes)
  assert log_variance.std() > 0.01
  # KL(q || p) = E_q[log q - log p], by Gauss-Hermite quadrature: exact for these polynomials.
  nodes, weights = np.polynomial.hermite_e.hermegauss(8)
  weights = weights / weights.sum()
  stddev = np.exp(log_variance.astype(np.float64) / 2)
  z = mean[..., None] + stddev[..., None] * nodes
  ratio = -nodes**2 / 2 - np.log(stddev)[..., None] + z**2 / 2
  np.testing.assert_allclose(material.kl, (ratio * weights).sum(-1), rtol=1e-6, atol=1e-9)
  assert "nats" in material.score_unit


def test_a_classifiers_score_is_the_cross_entropy_of_the_label(materials):
  material = materials["classifier"]
  probabilities = material.probabilities
  assert probabilities.shape == (120, 10)
  np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
  expected = [-np.log(p[label]) for p, label in zip(probabilities, material.labels)]
  np.testing.assert_allclose(material.scores, expected, rtol=1e-6)
  assert (material.predictions == material.labels).mean() > 0.3
  assert "gives no images back" in material.reason("reconstructions")


def test_a_denoising_run_corrupts_as_its_evaluation_does(materials):
  material = materials["denoising"]
  changed = material.corrupted != material.images
  assert (material.corrupted[changed] == 0).all()
  # A third of the dark pixels is hit without being changed.
  assert changed[material.images > 0].mean() == pytest.approx(0.3, abs=0.02)
  expected = material.model.reconstruct(material.corrupted * 16).numpy() / 16
  np.testing.assert_allclose(material.restored, np.clip(expected, 0, 1), atol=1e-5)
  assert "corruption.name='none'" in materials_module.Material(
      material.workdir.replace("denoising", "conv")).reason("restored")


def test_without_the_data_the_images_are_the_runs_own_examples(folders, monkeypatch):
  asked = []

  def gone(*_):
    asked.append(1)
    raise InputError("data: gone.")
  monkeypatch.setattr(materials_module, "load_data", gone)
  material = Material(folders["conv"])
  assert material.without_data == "data: gone." and material.labels is None
  np.testing.assert_array_equal(material.split.images, np.load(folders["conv"] / "examples.npy"))
  assert material.reconstructions.shape == (100, 8, 8, 1)
  for _ in range(3):
    with pytest.raises(InputError, match="data: gone"):
      material.data  # pylint: disable=pointless-statement
  assert asked == [1]  # nobody asks the network again


def test_other_data_than_the_runs_are_refused(folders, tmp_path):
  shutil.copytree(folders["conv"], tmp_path / "w")
  values = json.loads((tmp_path / "w/config.json").read_text())
  values["data"]["sha256"] = "0" * 64
  del values["checksum"]
  (tmp_path / "w/config.json").write_text(json.dumps(values))
  assert "not those of the run" in Material(tmp_path / "w").without_data


def test_a_run_in_training_is_read_and_left_as_it_is(folders):
  workdir = folders["conv"]
  before = {path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(workdir.rglob("*")) if path.is_file()}
  with workdirs.locked(workdir):
    material = Material(workdir)
    assert material.reconstructions.shape and material.metrics
  after = {path: (path.stat().st_mtime_ns, path.read_bytes())
           for path in sorted(workdir.rglob("*")) if path.is_file()}
  assert {path.name for path in after} == {path.name for path in before}
  assert all(after[path] == before[path] for path in before if path.name != "lock")


def test_a_run_of_fit_says_that_its_model_was_built_by_hand(tmp_path):
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(3)], (4, 3, 1), name="encoder")
  training.fit(tfae.Autoencoder(encoder, tfae.mirror(encoder)), runs.dataset(), tfae.Adam(1e-3),
               epochs=1, batch_size=5, workdir=tmp_path / "fit")
  material = Material(tmp_path / "fit")
  assert material.images.shape == (5, 4, 3, 1) and material.task is None
  for name in ("model", "codes", "reconstructions", "scores", "data"):
    assert "built by hand" in material.reason(name)


def test_a_checkpoint_is_chosen(folders):
  oldest = checkpoint.steps(folders["conv"] / "checkpoints")[-1]
  assert oldest < 60
  assert Material(folders["conv"], checkpoint=str(oldest)).step == oldest
  assert "one of the steps" in Material(folders["conv"], checkpoint="7").reason("codes")
