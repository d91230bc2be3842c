"""Tests of tfae.exporting: what a model's signatures give, and what gets published."""

import hashlib
import json
import os
import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

import tfae
from tfae import exporting, saved_model, thresholds, warmup
from tfae.errors import InputError

IMAGES = np.random.default_rng(5).integers(0, 256, (6, 9, 7, 1)).astype(np.uint8)


def conv_model(seed=1, device="/CPU:0", decoder_device=None, **options):
  encoder = tfae.Stack(
      [tfae.Conv2D(4, 3, stride=2, activation="relu"), tfae.MaxPool(2), tfae.Flatten(),
       tfae.Dense(5)],
      (9, 7, 1), seed=seed, device=device, compute_dtype=options.pop("compute_dtype", "float32"))
  decoder = tfae.mirror(encoder, device=decoder_device)
  return tfae.Autoencoder(encoder, decoder, scale=1 / 255, **options)


def load(path):
  return tf.saved_model.load(str(path)).signatures


def run_here(directory, examples, requests):
  """What `saved_model.verify` has a fresh process do, without the seconds that one takes."""
  served = load(directory)

  def outputs(key, inputs):
    found = served[key](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy().astype(np.float64) for name, value in found.items()}

  return ({key: outputs(key, inputs) for key, inputs in examples.items()},
          [outputs(key, inputs) for key, inputs in requests])


@pytest.fixture(name="verified_here")
def fixture_verified_here(monkeypatch):
  """Exports are verified in this process: that of `exported` and tests/export have their own."""
  monkeypatch.setattr(saved_model, "_run_elsewhere", run_here)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  model = conv_model(mean=IMAGES.mean(axis=0) / 255)
  folder = tmp_path_factory.mktemp("served")
  return model, exporting.export(model, folder, examples=IMAGES, max_value=255,
                                 metadata={"dataset": "noise"})


def test_the_five_signatures_give_what_the_model_gives(exported):
  model, export = exported
  served, images = load(export.path), tf.constant(IMAGES, tf.float32)
  codes = model.encode(images)
  expected = {"serving_default": ("reconstruction", model.reconstruct(images)),
              "reconstruct": ("reconstruction", model.reconstruct(images)),
              "encode": ("codes", codes),
              "decode": ("reconstruction", model.decode(codes)),
              "score": ("score", model.score(images))}
  assert sorted(served) == sorted(expected)
  for key, (name, value) in expected.items():
    feeds = {"codes": codes} if key == "decode" else {"images": images}
    found = served[key](**feeds)
    assert list(found) == [name]
    np.testing.assert_allclose(found[name], value, atol=1e-5 * max(1, np.abs(value).max()))


def test_images_go_in_and_come_out_in_the_units_of_the_data_set(exported):
  _, export = exported
  served = load(export.path)
  images = tf.constant(IMAGES, tf.float32)
  reconstruction = served["reconstruct"](images=images)["reconstruction"].numpy()
  # score is the mean squared error of images in [0, 1].
  by_hand = np.mean(((reconstruction - IMAGES) / 255.0) ** 2, axis=(1, 2, 3))
  np.testing.assert_allclose(served["score"](images=images)["score"], by_hand, rtol=1e-4)


def test_signature_json_says_what_the_model_is(exported):
  model, export = exported
  described = json.loads((export.path / "signature.json").read_text())
  # 3*3*1*4 + 4, then 3 x 2 x 4 = 24 inputs to 5 codes, and the biases of the mirror: 24, 1.
  assert export.parameters == described["metadata"]["parameters"] == 40 + 24 * 5 + 5 + 24 + 1
  assert described["metadata"]["dataset"] == "noise"
  assert 0 < described["metadata"]["border"] < 1
  assert described["signatures"]["encode"]["inputs"]["images"]["shape"] == [None, 9, 7, 1]
  assert described["signatures"]["encode"]["inputs"]["images"]["value_range"] == [0, 255]
  assert model.loss in described["signatures"]["score"]["outputs"]["score"]["meaning"]


@pytest.mark.usefixtures("verified_here")
def test_another_placement_of_the_same_weights_is_the_same_bytes(tmp_path):
  one = exporting.export(conv_model(), tmp_path / "one", examples=IMAGES)
  other = exporting.export(conv_model(device="/CPU:1", decoder_device="/CPU:2"),
                           tmp_path / "other", examples=IMAGES)
  assert one.sha256 == other.sha256
  assert set(one.sha256) == {*saved_model.FILES, warmup.FILE}
  for name, digest in one.sha256.items():
    assert hashlib.sha256((other.path / name).read_bytes()).hexdigest() == digest


@pytest.mark.usefixtures("verified_here")
def test_a_tied_dense_model_takes_at_most_one_and_two_hundredths_of_its_weights(tmp_path):
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(400), tfae.Dense(64)], (28, 28, 1))
  model = tfae.Autoencoder(encoder, tfae.mirror(encoder))
  export = exporting.export(model, tmp_path, max_value=1)
  assert export.parameters == 784 * 400 + 400 + 400 * 64 + 64 + 400 + 784
  assert export.bytes <= 1.02 * 4 * export.parameters
  # What is not the model's: 33 images of 784 pixels for four signatures, 33 codes of 64 for decode.
  requests = (export.path / warmup.FILE).stat().st_size
  assert 4 * 33 * (4 * 784 + 64) < requests < 1.01 * 4 * 33 * (4 * 784 + 64)
  print({path.name: path.stat().st_size for path in export.path.rglob("*") if path.is_file()})


@pytest.mark.usefixtures("verified_here")
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full)])
def test_a_trained_bfloat16_model_is_exported_within_its_stated_bound(seed, tmp_path):
  # Trained, as the sums of an untrained model are too small for rounding to matter.
  data = tfae.load("digits")
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(256, activation="elu"), tfae.Dense(8)],
                       (8, 8, 1), seed=seed, compute_dtype="bfloat16")
  model = tfae.Autoencoder(encoder, tfae.mirror(encoder, output_activation="sigmoid"),
                           loss="sum_squared_error", scale=1 / 16)
  tfae.fit(model, data, tfae.Adam(2e-3), epochs=6, batch_size=50, jit_compile="off")
  export = exporting.export(model, tmp_path, examples=data.test.images[:100], max_value=16)
  assert json.loads((export.path / "signature.json").read_text())["tolerance"] == 2.0**-7
  assert all(found <= bound for *_, found, bound in export.differences)
  print(export.differences)


@pytest.mark.parametrize("examples", [np.zeros((0, 9, 7, 1)), np.zeros((3, 7, 9, 1))])
def test_examples_that_verify_nothing_are_refused(examples, tmp_path):
  with pytest.raises(InputError, match=r"expected \(n, 9, 7, 1\) with n >= 1"):
    exporting.export(conv_model(), tmp_path, examples=examples)
  assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("verified_here")
def test_a_binary_cross_entropy_model_serves_pixels_not_logits(tmp_path):
  export = exporting.export(conv_model(loss="binary_cross_entropy"), tmp_path, examples=IMAGES,
                            max_value=255)
  found = load(export.path)["reconstruct"](images=tf.constant(IMAGES, tf.float32))
  pixels = found["reconstruction"].numpy()
  assert pixels.min() >= 0 and pixels.max() <= 255 and pixels.std() > 0


@pytest.mark.usefixtures("verified_here")
def test_a_version_that_another_exporter_retires_at_once_was_still_published(tmp_path, monkeypatch):
  publish_ = exporting.publish.publish

  def publish_and_be_overtaken(*arguments):
    path = publish_(*arguments)
    publish_(tmp_path, lambda folder: (folder / "other").write_text(""), lambda _: None, keep=1)
    return path

  monkeypatch.setattr(exporting.publish, "publish", publish_and_be_overtaken)
  export = exporting.export(conv_model(), tmp_path, examples=IMAGES)
  assert export.path == tmp_path / "1" and not export.path.exists()
  assert export.bytes > 4 * export.parameters


@pytest.mark.usefixtures("verified_here")
def test_an_export_that_fails_its_verification_is_not_published(tmp_path, monkeypatch):
  write = saved_model.write

  def damaged(folder, *rest):
    sums = write(folder, *rest)
    path = folder / "saved_model.pb"
    content = path.read_bytes()
    kernel = conv_model().encoder.layers[3].kernel.numpy().tobytes()
    assert kernel in content
    path.write_bytes(content.replace(kernel, kernel[:-4] + np.float32(9).tobytes()))
    return sums

  monkeypatch.setattr(saved_model, "write", damaged)
  with pytest.raises(saved_model.VerificationError, match="differs from the live one"):
    exporting.export(conv_model(), tmp_path, examples=IMAGES)
  assert not list(tmp_path.iterdir())


def variational(**options):
  """A small variational autoencoder of images `(9, 7, 1)`; its decoder undoes its encoder."""
  dtype = options.pop("compute_dtype", "float32")
  stack = lambda specs, shape, name: tfae.Stack(specs, shape, name=name, compute_dtype=dtype)
  encoder = stack([tfae.Conv2D(4, 3, stride=2, activation="relu"), tfae.Flatten()], (9, 7, 1),
                  "encoder")
  mean, log_variance = (stack([tfae.Dense(3)], encoder.output_shape, name)
                        for name in ("mean", "log_variance"))
  decoder = stack([tfae.Dense(63), tfae.Reshape((9, 7, 1))], (3,), "decoder")
  return tfae.VariationalAutoencoder(encoder, mean, log_variance, decoder, scale=1 / 255, **options)


@pytest.mark.usefixtures("verified_here")
@pytest.mark.parametrize("options", [
    {"binarize": True, "samples": 3},
    pytest.param({"likelihood": "gaussian", "likelihood_stddev": 0.3,
                  "image_mean": IMAGES.mean(axis=0) / 255}, marks=pytest.mark.full),
    pytest.param({"compute_dtype": "bfloat16"}, marks=pytest.mark.full)],
                         ids=["bernoulli", "gaussian", "bfloat16"])
def test_a_variational_model_is_served_without_noise_but_for_the_one_that_the_caller_gives(
    options, tmp_path, monkeypatch):
  model = variational(**options)
  path = exporting.export(model, tmp_path, examples=IMAGES, max_value=255).path
  served, images = load(path), tf.constant(IMAGES, tf.float32)
  noise = tf.constant(np.random.default_rng(0).normal(size=(6, 3)), tf.float32)
  mean, log_variance = model.encode_distribution(images)
  reconstruction = {"reconstruction": model.decode(mean)}
  expected = {
      "serving_default": ({"images": images}, reconstruction),
      "reconstruct": ({"images": images}, reconstruction),
      "encode": ({"images": images}, {"mean": mean, "log_variance": log_variance}),
      "decode": ({"codes": mean}, reconstruction),
      "sample": ({"noise": noise}, {"samples": model.decode(noise)}),
      "score": ({"images": images}, {"score": model.score(images)})}
  assert sorted(served) == sorted(expected)
  tolerance = exporting.TOLERANCES[model.compute_dtype.name]
  for key, (feeds, values) in expected.items():
    found = served[key](**feeds)
    assert sorted(found) == sorted(values)
    for name, value in values.items():
      np.testing.assert_allclose(found[name], value,
                                 atol=tolerance * max(1, np.abs(value).max()), err_msg=key)
  described = json.loads((path / "signature.json").read_text())
  assert described["metadata"]["likelihood"] == model.bound.likelihood
  assert "negative ELBO" in described["signatures"]["score"]["outputs"]["score"]["meaning"]
  # In this process, with its own TensorFlow: tests/export has it as a program.
  program = pathlib.Path(__file__).parents[1] / "export" / "check_saved_model.py"
  for name in ("CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL"):
    monkeypatch.setenv(name, os.environ.get(name, ""))  # puts back what the program sets
  assert runpy.run_path(str(program))["main"]([f"--saved_model={path}"]) == 0


@pytest.mark.usefixtures("verified_here")
def test_with_a_threshold_the_score_says_what_is_an_anomaly_in_every_form_of_the_images(tmp_path):
  model = conv_model()
  scores = model.score(tf.constant(IMAGES, tf.float32)).numpy()
  threshold = thresholds.choose(scores, 12, quantile=0.5)
  path = exporting.export(model, tmp_path, examples=IMAGES, max_value=255, threshold=threshold,
                          raw_inputs=["uint8"]).path
  served = load(path)
  for key, images in (("score", tf.constant(IMAGES, tf.float32)), ("score_uint8", IMAGES)):
    found = served[key](tf.constant(images))
    assert sorted(found) == ["is_anomaly", "score"] and found["is_anomaly"].dtype == tf.int32
    np.testing.assert_array_equal(found["is_anomaly"], found["score"] > threshold.value)
    assert found["is_anomaly"].numpy().sum() == 3
  assert json.loads((path / "signature.json").read_text())["metadata"]["threshold"] == {
      "value": threshold.value, "method": "quantile", "level": 0.5, "images": 6, "step": 12}
  assert sorted(served["reconstruct"].structured_outputs) == ["reconstruction"]


@pytest.mark.usefixtures("verified_here")
def test_a_bare_number_is_a_threshold_and_none_leaves_the_export_as_it_was(tmp_path):
  number = exporting.export(conv_model(), tmp_path, examples=IMAGES, threshold=0.1)
  described = json.loads((number.path / "signature.json").read_text())
  assert described["metadata"]["threshold"] == {"value": float(np.float32(0.1))}
  plain = exporting.export(conv_model(), tmp_path, examples=IMAGES)
  described = json.loads((plain.path / "signature.json").read_text())
  assert "threshold" not in described["metadata"]
  assert sorted(described["signatures"]["score"]["outputs"]) == ["score"]
  with pytest.raises(InputError, match="threshold=nan: expected a finite number"):
    exporting.export(conv_model(), tmp_path, examples=IMAGES, threshold=float("nan"))


def test_an_anomaly_that_its_own_score_does_not_make_one_fails_the_verification(tmp_path,
                                                                                monkeypatch):
  def lies(directory, examples, requests):
    outputs, replies = run_here(directory, examples, requests)
    outputs["score"]["is_anomaly"][0] = 1 - outputs["score"]["is_anomaly"][0]
    return outputs, replies

  monkeypatch.setattr(saved_model, "_run_elsewhere", lies)
  with pytest.raises(saved_model.VerificationError, match="'score', output 'is_anomaly'"):
    exporting.export(conv_model(), tmp_path, examples=IMAGES, threshold=0.1)


def test_a_score_within_its_bound_of_the_threshold_may_lie_on_either_side(tmp_path, monkeypatch):
  model = conv_model()
  score = model.score(tf.constant(IMAGES, tf.float32)).numpy()[0]

  def rounds_otherwise(directory, examples, requests):
    outputs, replies = run_here(directory, examples, requests)
    for answer in (outputs, *({"score": reply} for reply in replies if "is_anomaly" in reply)):
      answer["score"]["score"] = answer["score"]["score"] + 1e-6
      answer["score"]["is_anomaly"] = (answer["score"]["score"] > float(score)).astype(float)
    return outputs, replies

  monkeypatch.setattr(saved_model, "_run_elsewhere", rounds_otherwise)
  exporting.export(model, tmp_path, examples=IMAGES, threshold=float(score))
