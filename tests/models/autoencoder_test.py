"""The autoencoder: its units, its losses and its gradients, by hand and by finite differences."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import errors, losses, network, randomness
from tfae.errors import InputError
from tfae.models.autoencoder import Autoencoder
from tfae.specs.layers import Conv2D, Dense, Dropout, Flatten, MaxPool, Reshape
from tfae.specs.losses import LOSS_NAMES

KEY = randomness.stream(0, "training")
SHAPE = (5, 4, 1)
CONV = [Conv2D(3, 3, 2, activation="tanh"), Flatten(), Dense(4, activation="tanh")]
MEAN = np.random.default_rng(4).uniform(0.2, 0.8, SHAPE)


def images(n, shape=SHAPE):
  return np.random.default_rng(n).integers(0, 256, (n, *shape)).astype(np.uint8)


def build(specs=CONV, shape=SHAPE, tied=True, dtype="float64", device="/CPU:0", **options):
  encoder = network.Stack(specs, shape, compute_dtype=dtype, device=device)
  return Autoencoder(encoder, network.mirror(encoder, tied=tied),
                     **{"scale": 1 / 255, **options})


def dense_by_hand(model, x):
  """Returns (codes, output) of a model of Flatten and one tied tanh Dense layer, in numpy."""
  kernel, bias, decoder_bias = (v.numpy() for v in model.trainable)
  codes = np.tanh(x.reshape(len(x), -1) @ kernel + bias)
  return codes, (codes @ kernel.T + decoder_bias).reshape(x.shape)


def dense_model(**options):
  model = build([Flatten(), Dense(3, activation="tanh")], (2, 2, 1), **options)
  for variable in model.trainable[1:]:
    variable.assign(np.random.default_rng(1).normal(size=variable.shape))
  return model


@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_squared_error"])
@pytest.mark.parametrize("mean", [None, MEAN[:2, :2]])
def test_units_are_those_of_the_dataset_outside_and_scaled_less_the_mean_inside(mean, loss):
  model = dense_model(loss=loss, mean=mean)
  x = images(6, (2, 2, 1))
  scaled = x / 255 - (0 if mean is None else mean)
  codes, output = dense_by_hand(model, scaled)
  reconstruction = (output + (0 if mean is None else mean)) * 255
  np.testing.assert_allclose(model.encode(x), codes, atol=1e-12)
  np.testing.assert_allclose(model.decode(codes), reconstruction, atol=1e-9)
  np.testing.assert_allclose(model.reconstruct(x), reconstruction, atol=1e-9)
  squares = np.square(output - scaled).reshape(6, 4)
  score = squares.sum(1) if loss == "sum_squared_error" else squares.mean(1)
  np.testing.assert_allclose(model.score(x), score, atol=1e-12)
  np.testing.assert_allclose(model.metrics(runs.batch(x))["loss"], score, atol=1e-12)
  # The mean falls out of the difference.
  np.testing.assert_allclose(model.metrics(runs.batch(x))["squared_error"], squares.mean(1), atol=1e-12)


def test_binary_cross_entropy_reconstructs_through_the_logistic_function():
  model = dense_model(loss="binary_cross_entropy")
  x = images(6, (2, 2, 1))
  codes, logits = dense_by_hand(model, x / 255)
  probability = 1 / (1 + np.exp(-logits))
  np.testing.assert_allclose(model.reconstruct(x), probability * 255, atol=1e-9)
  np.testing.assert_allclose(model.decode(codes), probability * 255, atol=1e-9)
  z = x / 255
  entropy = -z * np.log(probability) - (1 - z) * np.log(1 - probability)
  np.testing.assert_allclose(model.score(x), entropy.reshape(6, 4).mean(1), atol=1e-12)
  found = model.metrics(runs.batch(x))
  np.testing.assert_allclose(found["loss"], entropy.reshape(6, 4).mean(1), atol=1e-12)
  np.testing.assert_allclose(found["squared_error"],
                             np.square(probability - z).reshape(6, 4).mean(1), atol=1e-12)


def test_the_training_loss_is_the_mean_of_the_scores():
  model = build(mean=MEAN)
  x = images(6)
  loss, _ = model.loss_and_gradients(runs.batch(x, tf.ones(6)), KEY)
  np.testing.assert_allclose(loss, np.mean(model.score(x)), rtol=1e-12)


def test_every_trainable_variable_is_listed_once_and_the_mean_is_not():
  model = build(mean=MEAN)
  assert [v.name for v in model.trainable] == [
      "encoder/layer_0/kernel:0", "encoder/layer_0/bias:0", "encoder/layer_2/kernel:0",
      "encoder/layer_2/bias:0", "decoder/layer_0/bias:0", "decoder/layer_2/bias:0"]
  assert {v.ref() for v in model.trainable_variables} == {v.ref() for v in model.trainable}
  assert {v.ref() for v in model.variables} - {v.ref() for v in model.trainable} == {
      model.mean.ref()}
  assert model.mean.dtype == tf.float64
  np.testing.assert_array_equal(model.mean, MEAN)


@pytest.mark.parametrize("loss", LOSS_NAMES)
@pytest.mark.parametrize("tied", [True, False, (0,)])
def test_gradients_agree_with_finite_differences(tied, loss):
  model = build(tied=tied, loss=loss, mean=None if loss == "binary_cross_entropy" else MEAN)
  x, weights = tf.constant(images(3)), tf.constant([1., 1., 0.])
  call = tf.function(lambda: model.loss_and_gradients(runs.batch(x, weights), KEY), autograph=False)
  _, gradients = call()
  runs.assert_gradients(call, model.trainable, gradients, every=5)
  assert min(np.abs(found).max() for found in gradients) > 1e-4


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_two_tapes_give_the_gradients_of_one_over_everything(loss):
  model = build(loss=loss)
  x = images(4)
  with tf.GradientTape() as tape:
    expected_loss = tf.reduce_mean(model.score(x))
  expected = tape.gradient(expected_loss, model.trainable)
  found_loss, found = model.loss_and_gradients(runs.batch(x, tf.ones(4)), KEY)
  np.testing.assert_allclose(found_loss, expected_loss, rtol=1e-12)
  for a, b in zip(found, expected):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("jit", [False, True])
def test_a_padded_batch_gives_the_loss_and_gradients_of_the_examples_alone(jit):
  model = build([*CONV[:1], MaxPool(), *CONV[1:]], mean=MEAN)
  call = tf.function(lambda x, w: model.loss_and_gradients(runs.batch(x, w), KEY), autograph=False,
                     jit_compile=jit)
  x = images(3)
  padded = np.concatenate([x, np.repeat(images(1), 4, 0)])
  loss, gradients = call(x, tf.ones(3))
  padded_loss, padded_gradients = call(padded, tf.constant([1., 1, 1, 0, 0, 0, 0]))
  np.testing.assert_allclose(padded_loss, loss, rtol=1e-12)
  for a, b in zip(padded_gradients, gradients):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_dropout_draws_from_the_key_in_training_only():
  model = build([Flatten(), Dropout(0.5), Dense(4)], device="/CPU:0")
  x, weights = images(4), tf.ones(4)
  loss = lambda key: float(model.loss_and_gradients(runs.batch(x, weights), key)[0])
  assert loss(KEY) == loss(KEY)
  assert len({loss(randomness.fold_in(KEY, step)) for step in range(5)}) == 5
  np.testing.assert_array_equal(model.score(x), model.score(x))
  assert float(tf.reduce_mean(model.score(x))) not in {loss(KEY)}


def test_encoder_and_decoder_drop_different_values():
  encoder = network.Stack([Dropout(0.5)], (400,), compute_dtype="float64")
  decoder = network.Stack([Dropout(0.5)], (400,), compute_dtype="float64", name="decoder")
  model = Autoencoder(encoder, decoder)
  # Each value survives both with 4 x, else 0: errors 9 and 1. Were the masks equal: half and half.
  loss, gradients = model.loss_and_gradients(runs.batch(np.ones((1, 400))), KEY)
  assert gradients == [] and abs(float(loss) - (9 / 4 + 3 / 4)) < 0.8


def test_a_bfloat16_model_keeps_float32_outside_and_is_close_to_float32():
  x, weights = images(8), tf.ones(8)
  full, half = (build([Flatten(), Dense(8, activation="tanh")], dtype=dtype, mean=MEAN)
                for dtype in ("float32", "bfloat16"))
  for a, b in zip(half.trainable, full.trainable):
    b.assign(a)
  assert {v.dtype for v in half.variables} == {tf.float32}
  assert half.encoder.compute_dtype == half.decoder.compute_dtype == tf.bfloat16
  for method in ("encode", "reconstruct", "score"):
    assert getattr(half, method)(x).dtype == tf.float32
  assert {v.dtype for v in half.metrics(runs.batch(x)).values()} == {tf.float32}
  # The target is not rounded to bfloat16, and the loss is computed in float32.
  target = (x / np.float32(255) - MEAN.astype(np.float32)).astype(np.float32)
  output = tf.cast(half.decoder(half.encoder(target)), tf.float32).numpy()
  np.testing.assert_allclose(half.score(x), np.square(output - target).mean((1, 2, 3)), rtol=1e-5)
  # bfloat16 has 8 bits: a relative error of 2^-8 an operation.
  np.testing.assert_allclose(half.score(x), full.score(x), rtol=0.05)
  loss, gradients = half.loss_and_gradients(runs.batch(x, weights), KEY)
  expected_loss, expected = full.loss_and_gradients(runs.batch(x, weights), KEY)
  assert loss.dtype == tf.float32 and {g.dtype for g in gradients} == {tf.float32}
  assert loss != expected_loss and abs(loss / expected_loss - 1) < 0.02
  for a, b in zip(gradients, expected):
    np.testing.assert_allclose(a, b, rtol=0.1, atol=0.05 * np.abs(b).max())


def test_any_batch_size_runs_in_one_graph():
  model = build([*CONV[:1], MaxPool(), *CONV[1:]], dtype="float32", mean=MEAN)
  run = tf.function(model.reconstruct, autograph=False,
                    input_signature=[tf.TensorSpec((None, *SHAPE), tf.uint8)])
  for n in (1, 3, 8):
    np.testing.assert_allclose(run(images(n)), model.reconstruct(images(n)), atol=1e-2)


def test_the_parts_stay_on_their_devices():
  encoder = network.Stack(CONV, SHAPE, device="/CPU:1")
  model = Autoencoder(encoder, network.mirror(encoder, device="/CPU:2"), mean=MEAN)
  assert model.mean.device.endswith("CPU:1")
  assert model.encode(images(2)).device.endswith("CPU:1")
  assert model.reconstruct(images(2)).device.endswith("CPU:2")
  assert model.score(images(2)).device.endswith("CPU:2")
  assert {v.device[-5:] for v in model.metrics(runs.batch(images(2))).values()} == {"CPU:2"}
  loss, gradients = model.loss_and_gradients(runs.batch(images(2)), KEY)
  assert loss.device.endswith("CPU:2")
  for variable, gradient in zip(model.trainable, gradients):
    assert gradient.device == variable.device


def test_summary_lists_both_stacks_and_counts_a_shared_kernel_once():
  found = []
  build([Flatten(), Dense(3)], dtype="float32").summary(found.append)
  assert found == [
      "layer                    output shape  parameters  device  tied to",
      "encoder/layer_0 Flatten  20            0           /CPU:0",
      "encoder/layer_1 Dense    3             63          /CPU:0",
      "decoder/layer_0 Dense    20            20          /CPU:0  encoder/layer_1/kernel",
      "decoder/layer_1 Reshape  5 x 4 x 1     0           /CPU:0",
      "83 parameters in 3 variables"]


def stack(specs, shape, name="encoder"):
  return network.Stack(specs, shape, name=name)


@pytest.mark.parametrize("make, message", [
    (lambda: Autoencoder(stack([Dense(3)], (4,)), stack([Dense(4)], (2,), "decoder")),
     r"the decoder takes \(2,\) to \(4,\), it must take the codes \(3,\) to the images \(4,\)"),
    (lambda: Autoencoder(stack([Flatten(), Dense(3)], SHAPE), stack([Dense(20)], (3,), "decoder")),
     r"the decoder takes \(3,\) to \(20,\).*images \(5, 4, 1\)"),
    (lambda: build(loss="mse"), "Autoencoder.loss='mse'"),
    (lambda: build(loss=losses.mean_squared_error), "Autoencoder.loss="),
    (lambda: build(scale=0), "Autoencoder.scale=0"),
    (lambda: build(scale=float("nan")), "Autoencoder.scale=nan"),
    (lambda: build(mean=np.zeros((4, 5, 1))),
     r"Autoencoder.mean: expected shape \(5, 4, 1\), found \(4, 5, 1\)"),
    (lambda: build(mean=0.5), r"Autoencoder.mean: expected shape \(5, 4, 1\), found \(\)"),
    (lambda: build(loss="binary_cross_entropy", mean=MEAN), "Autoencoder.mean: not with loss="),
    (lambda: Autoencoder(stack([Dense(4)], (4,)), network.mirror(stack([Dense(4)], (4,)))),
     "decoder/layer_0 shares encoder/layer_0/kernel.*of another encoder"),
    (lambda: Autoencoder(stack([Dense(3)], (4,)), stack([Dense(4)], (3,))),
     "two components are named 'encoder'"),
])
def test_what_does_not_join_is_refused(make, message):
  with pytest.raises(errors.InputError, match=message):
    make()


def test_a_decoder_of_its_own_layers_joins():
  model = Autoencoder(stack([Flatten(), Dense(3)], SHAPE),
                      stack([Dense(20), Reshape(SHAPE)], (3,), "decoder"))
  assert model.reconstruct(images(2)).shape == (2, *SHAPE) and len(model.trainable) == 4


def test_an_encoder_that_shares_kernels_is_refused():
  generator = tfae.Stack([tfae.Dense(6), tfae.Dense(4)], (3,), name="generator")
  with pytest.raises(InputError, match="encoder shares kernels of another stack"):
    tfae.Autoencoder(tfae.mirror(generator, name="encoder"), generator)


@pytest.mark.parametrize("last", [
    (tfae.Dense(4, activation="sigmoid"),),
    (tfae.Dense(4), tfae.Activation("sigmoid")),
    (tfae.Dense(4, activation="sigmoid"), tfae.Reshape((4,)), tfae.Dropout(0.1))])
def test_a_decoder_of_probabilities_is_refused_for_a_loss_of_logits(last):
  encoder = tfae.Stack([tfae.Dense(2)], (4,))
  decoder = tfae.Stack(last, (2,), name="decoder")
  with pytest.raises(InputError, match="takes logits.*ends in 'sigmoid'"):
    tfae.Autoencoder(encoder, decoder, loss="binary_cross_entropy")
  tfae.Autoencoder(encoder, decoder)
