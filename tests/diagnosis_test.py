"""tfae.diagnosis: the layer, variable or image that is named is the one that NumPy finds."""

import logging
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import diagnosis, training
from tfae import experiment as ex
from tfae.data.datasets import Dataset, Split

DATA = runs.dataset()
IMAGES = DATA.test.images
RELU = (tfae.Flatten(), tfae.Dense(6, activation="relu"), tfae.Dense(4, activation="tanh"),
        tfae.Dense(2))


def model(layers=RELU, **options):
  encoder = tfae.Stack(layers, (4, 3, 1), seed=3)
  return tfae.Autoencoder(encoder, tfae.mirror(encoder, tied=False, **options), scale=1 / 255)


def dense(layer, x):
  """The affine part of a layer in float64."""
  return x @ layer.kernel.numpy().astype(np.float64) + layer.bias.numpy()


def floats(bad):
  """The data with float images; training image `bad` is NaN."""
  images = np.array(DATA.train.images, np.float32)
  images[bad] = np.nan
  return Dataset("idx", Split(images, None), None, DATA.test, 255)


# Units that are stuck


@pytest.mark.parametrize("dead", [0, 2, 4, 6])
def test_dead_relu_units_are_those_that_are_zero_for_every_image_in_numpy(dead):
  ae = model()
  layer = ae.encoder.layers[1]
  layer.bias.assign([-100.0] * dead + [0.3] * (6 - dead))
  x = IMAGES.reshape(len(IMAGES), -1) / 255.0
  expected = int((np.maximum(dense(layer, x), 0) == 0).all(axis=0).sum())
  assert expected >= dead
  found = {stuck.path: stuck for stuck in diagnosis.stuck_units(ae, Split(IMAGES, None))}
  assert found["encoder/layer_1"] == ("encoder/layer_1", "relu", expected, 6)


def test_a_unit_that_lives_for_one_image_alone_is_not_dead(monkeypatch):
  ae = model()
  layer = ae.encoder.layers[1]
  x = IMAGES.reshape(len(IMAGES), -1) / 255.0
  first = dense(layer, x)[:, 0]
  # Above zero for the image of the highest value alone, whichever chunk it is in.
  layer.bias.assign(np.array([-np.sort(first)[-2:].mean(), *[-100.0] * 5], np.float32))
  monkeypatch.setattr(diagnosis, "chunk_size", lambda _: 2)
  (found,) = [s for s in diagnosis.stuck_units(ae, Split(IMAGES, None)) if s.path == "encoder/layer_1"]
  assert (found.stuck, found.units) == (5, 6)


def test_a_channel_of_a_convolution_is_dead_if_it_is_zero_at_every_place():
  ae = model((tfae.Conv2D(3, 2, activation="relu"), tfae.Flatten(), tfae.Dense(2)))
  ae.encoder.layers[0].bias.assign([-100.0, 1.0, -100.0])
  (found,) = [s for s in diagnosis.stuck_units(ae, Split(IMAGES, None)) if s.path == "encoder/layer_0"]
  assert (found.stuck, found.units) == (2, 3)


@pytest.mark.parametrize("bias, stuck", [(20.0, 4), (-20.0, 4), (0.0, 0)])
def test_a_tanh_unit_at_one_end_for_every_image_is_stuck(bias, stuck):
  ae = model()
  ae.encoder.layers[2].bias.assign([bias] * 4)
  (found,) = [s for s in diagnosis.stuck_units(ae, Split(IMAGES, None)) if s.path == "encoder/layer_2"]
  assert found == ("encoder/layer_2", "tanh", stuck, 4)


def test_pixels_that_are_black_in_every_image_are_no_dead_units_of_the_output():
  images = IMAGES.copy()
  images[:, 0] = 0
  ae = model(output_activation="relu")
  ae.decoder.layers[2].bias.assign([-100.0] * 12)
  found = {stuck.path: stuck for stuck in diagnosis.stuck_units(ae, Split(images, None))}
  assert found["decoder/layer_2"] == ("decoder/layer_2", "relu", 9, 9)
  ae.decoder.layers[2].bias.assign([-100.0] * 3 + [100.0] * 9)
  found = {stuck.path: stuck for stuck in diagnosis.stuck_units(ae, Split(images, None))}
  assert found["decoder/layer_2"] == ("decoder/layer_2", "relu", 0, 9)


def test_linear_and_elu_layers_are_never_stuck():
  ae = model((tfae.Flatten(), tfae.Dense(3, activation="elu"), tfae.Dense(2)))
  for variable in ae.trainable:
    variable.assign(tf.zeros_like(variable))
  assert diagnosis.stuck_units(ae, Split(IMAGES, None)) == []


def test_a_run_whose_relu_layer_dies_ends_with_a_warning_that_names_it(tmp_path, caplog):
  # One long step pushes every bias down; images are never negative, so nothing comes back.
  dying = runs.experiment(
      model=ex.Model((tfae.Flatten(), tfae.Dense(8, activation="relu"), tfae.Dense(2)),
                     tied=False, output_activation="relu"),
      optimizer=tfae.SGD(1e4, clip_norm=1.0), steps=12)
  training.train(dying, tmp_path, data=DATA)
  said = [r.getMessage() for r in caplog.records if "relu units" in r.getMessage()]
  # By hand, from the checkpoint alone.
  w = {name.split("/.ATTR")[0]: value for name, value in runs.tensors(tmp_path).items()}
  x = IMAGES.reshape(len(IMAGES), -1) / 255.0
  part = lambda stack, i, what: w[f"model/{stack}/layers/{i}/{what}"].astype(np.float64)
  hidden = np.maximum(x @ part("encoder", 1, "kernel") + part("encoder", 1, "bias"), 0)
  dead = int((hidden == 0).all(axis=0).sum())
  assert dead > 4
  share = f"{100 * dead / 8:.0f}%"
  assert any(f"encoder/layer_1: {dead} of 8 relu units ({share}) are zero for every test image"
             in text for text in said), said


def test_a_healthy_run_ends_without_a_warning(tmp_path, caplog):
  training.train(runs.experiment(), tmp_path, data=DATA)
  assert [r for r in caplog.records
          if r.levelno >= logging.WARNING and r.name.startswith("tfae")] == []


def test_a_loss_that_grows_tenfold_and_stays_finite_ends_with_a_warning(tmp_path, caplog):
  training.train(runs.experiment(optimizer=tfae.SGD(30.0, clip_norm=1.0), epochs=2), tmp_path,
                 data=DATA)
  epochs = [line["loss"] for line in runs.lines(tmp_path) if line["kind"] == "epoch"]
  (said,) = [r.getMessage() for r in caplog.records if "the loss grew" in r.getMessage()]
  worst = max(range(2), key=lambda i: epochs[i])
  assert f"{epochs[worst]:.3g} on average in epoch {worst + 1}" in said and "at step 1" in said


# What is not finite


def test_the_first_layer_whose_output_overflows_is_named_as_numpy_finds_it():
  for victim in (1, 2, 3):
    ae = model((tfae.Flatten(), tfae.Dense(6), tfae.Dense(5), tfae.Dense(2)))
    for index, layer in enumerate(ae.encoder.layers[1:], 1):
      layer.kernel.assign(tf.fill(layer.kernel.shape, 3e38 if index == victim else 1.0))
    x = IMAGES.reshape(len(IMAGES), -1).astype(np.float32) / 255
    with np.errstate(over="ignore", invalid="ignore"):
      for index, layer in enumerate(ae.encoder.layers):
        if index:
          x = x @ layer.kernel.numpy() + layer.bias.numpy()
        if not np.isfinite(x).all():
          break
    fault = diagnosis.of_forward_pass(ae, runs.batch(IMAGES))
    assert fault.text == f"the first output that is not finite is that of encoder/layer_{index} " \
                         "(Dense)"
    assert index == victim and not fault.of_data
  assert diagnosis.of_forward_pass(model(), runs.batch(IMAGES)) is None


def test_finite_outputs_with_a_gradient_that_is_not_name_its_variable():
  ae = model((tfae.Flatten(), tfae.Dense(6), tfae.Dense(2)))
  # The codes are small, what comes back through the second kernel is not.
  first, second = ae.encoder.layers[1:]
  first.kernel.assign(tf.zeros_like(first.kernel))
  second.kernel.assign(tf.fill(second.kernel.shape, 3e38))
  ae.decoder.layers[0].kernel.assign(tf.fill(ae.decoder.layers[0].kernel.shape, 1e3))
  fault = diagnosis.of_step(ae, runs.batch(IMAGES), 0, 0)
  assert "encoder/layer_1/" in fault.text and "every layer's output is finite" in fault.text


def test_the_images_at_fault_are_named_and_no_layer_is_blamed(tmp_path):
  with pytest.raises(tfae.NotFiniteError) as error:
    training.train(runs.experiment(data=ex.Data("idx")), tmp_path, data=floats(9))
  text = str(error.value)
  assert "pixels that are not finite in training image 9 (counted from 0)" in text
  assert "learning rate" not in text and "layer" not in text


def test_a_test_image_at_fault_is_named(tmp_path):
  images = np.array(IMAGES, np.float32)
  images[[1, 3]] = np.inf
  data = Dataset("idx", DATA.train, None, Split(images, None), 255)
  with pytest.raises(tfae.NotFiniteError, match="not finite in test image 1, 3 "):
    training.train(runs.experiment(data=ex.Data("idx"), steps=1), tmp_path, data=data)


EXPLODING = runs.experiment(
    model=ex.Model((tfae.Flatten(), tfae.Dense(5), tfae.Dense(4), tfae.Dense(2)), tied=False),
    optimizer=tfae.SGD(20.0), epochs=100, data=ex.Data("idx"))


@pytest.mark.parametrize("jit", ["on", "off"])
def test_the_layer_of_a_run_that_explodes_is_that_of_the_replayed_step(tmp_path, jit):
  data = Dataset("idx", DATA.train, None, DATA.test, 255)
  experiment = runs.replace(EXPLODING, jit_compile=jit)
  with pytest.raises(tfae.NotFiniteError) as error:
    training.train(experiment, tmp_path / "run", data=data)
  text = str(error.value)
  step = int(text.split(":")[0].removeprefix("step "))
  assert step >= 2  # so that there is something to replay
  # Independently: a model trained to the step before, and NumPy's forward pass of the next batch.
  run = training.prepare(experiment, data)
  for number in range(step - 1):
    assert run.loop.run(number, 1) == (1, True)
  at = tf.constant(step - 1, tf.int64)
  batch = [row for row in run.batches.indices(at, 1).numpy()[0] if row >= 0]
  x = DATA.train.images[batch].reshape(len(batch), -1).astype(np.float32) / np.float32(255)
  layers = [*run.model.encoder.layers[1:], *run.model.decoder.layers[:3]]
  found = None
  with np.errstate(over="ignore", invalid="ignore"):
    for layer in layers:
      x = x @ layer.kernel.numpy() + layer.bias.numpy()
      if found is None and not np.isfinite(x).all():
        found = f"the first output that is not finite is that of {layer.path} (Dense)"
  assert (found or "the loss of the reconstruction is not") in text


def test_without_a_folder_the_first_spoilt_variable_is_named():
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(5), tfae.Dense(2)), (4, 3, 1), seed=3)
  ae = tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255)
  with pytest.raises(tfae.NotFiniteError) as error:
    tfae.fit(ae, DATA, tfae.SGD(1e30), epochs=9, batch_size=4)
  (first, *_) = [v.name[:-2] for v in ae.trainable if not np.isfinite(v.numpy()).all()]
  assert f"the first variable that is not finite is {first}" in str(error.value)
  assert "checkpoint" not in str(error.value)


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_an_explosion_into_a_bounded_output_ends_with_a_warning_that_names_the_layer(
    output, tmp_path, caplog):
  # Every pixel goes to one end of the range and stays there, which is no infinite loss.
  wild = runs.experiment(model=ex.Model((tfae.Flatten(), tfae.Dense(5, activation="elu"),
                                         tfae.Dense(2)), output_activation=output),
                         task=tfae.Reconstruct("sum_squared_error"),
                         optimizer=tfae.SGD(1e3), epochs=3)
  training.train(wild, tmp_path, data=DATA)
  said = [r.getMessage() for r in caplog.records if r.name.startswith("tfae")]
  assert any("decoder/layer_1: " in text and f"of 12 {output} units" in text for text in said), said


def test_pixels_that_are_black_in_every_image_are_not_stuck_wrongly():
  ae = model(output_activation="sigmoid")
  ae.decoder.layers[-2].bias.assign(tf.fill(ae.decoder.layers[-2].bias.shape, -100.0))
  black = np.zeros((5, *IMAGES.shape[1:]), np.uint8)
  assert diagnosis.stuck_units(ae, Split(black, None))[-1].stuck == 0
  white = np.full_like(black, 255)
  found = diagnosis.stuck_units(ae, Split(white, None))[-1]
  assert found.stuck == found.units == black[0].size


def test_a_loss_that_does_not_fall_from_the_first_step_on_is_warned_of(caplog):
  diagnosis.warn_of_loss(1, 10.0, 2, 30.0, 12.0)
  diagnosis.warn_of_loss(1, 10.0, 2, 30.0, 9.0)  # it fell in the end
  diagnosis.warn_of_loss(500, 10.0, 2, 30.0, 12.0)  # resumed: it may be at its minimum
  assert len(caplog.messages) == 1
  assert "did not fall: 10 at step 1, 12 on average in the last epoch" in caplog.text


def test_looking_at_a_step_moves_no_average_of_batch_normalisation():
  ae = model((tfae.Flatten(), tfae.Dense(6, use_bias=False), tfae.BatchNorm(), tfae.Dense(2)))
  before = {v.name: v.numpy() for v in ae.variables}
  assert any("moving_mean" in name for name in before)
  diagnosis.of_step(ae, runs.batch(IMAGES), 0, 0)
  for variable in ae.variables:
    np.testing.assert_array_equal(variable.numpy(), before[variable.name])
