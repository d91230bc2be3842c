"""The variational autoencoder: its bounds by hand, its gradients by finite differences."""

import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import diagnosis, optimizers, placement, randomness
from tfae.data.pipeline import Batch, Batches
from tfae.data.datasets import Split
from tfae.errors import InputError

KEY = randomness.stream(0, "training")
SHAPE, LATENT = (3, 2, 1), 2
MEAN = np.random.default_rng(4).uniform(0.2, 0.8, SHAPE)


def images(n, seed=0, shape=SHAPE):
  return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def stacks(dtype="float64", devices=("/CPU:0",) * 3, hidden=4, seed=3, latent=LATENT, last="linear"):
  encode, between, decode = devices
  options = {"compute_dtype": dtype, "seed": seed}
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(hidden, activation="tanh")], SHAPE,
                       device=encode, **options)
  heads = [tfae.Stack([tfae.Dense(latent)], (hidden,), name=name, device=between, **options)
           for name in ("mean", "log_variance")]
  decoder = tfae.Stack([tfae.Dense(hidden, activation="tanh"), tfae.Dense(6, activation=last),
                        tfae.Reshape(SHAPE)], (latent,), name="decoder", device=decode, **options)
  return encoder, *heads, decoder


def build(bound=None, **options):
  model = tfae.VariationalAutoencoder(*stacks(**options), scale=1 / 255, **(bound or {}))
  random = np.random.default_rng(1)
  for variable in model.trainable:
    if variable.shape.rank == 1:
      variable.assign(random.normal(size=variable.shape, scale=0.5))
  return model


def weights_of(model):
  return {v.name.removesuffix(":0"): v.numpy() for v in model.trainable}


def encoded(model, x):
  """(mean, log variance) of scaled images, in numpy."""
  w = weights_of(model)
  h = np.tanh(x.reshape(len(x), -1) @ w["encoder/layer_1/kernel"] + w["encoder/layer_1/bias"])
  return tuple(h @ w[f"{name}/layer_0/kernel"] + w[f"{name}/layer_0/bias"]
               for name in ("mean", "log_variance"))


def decoded(model, z):
  w = weights_of(model)
  h = np.tanh(z @ w["decoder/layer_0/kernel"] + w["decoder/layer_0/bias"])
  return h @ w["decoder/layer_1/kernel"] + w["decoder/layer_1/bias"]


def log_p(model, x, z):
  """log p(x | z), summed over pixels, in numpy; x `[n, ...]`, z `[n, latent]`."""
  output, x = decoded(model, z), x.reshape(len(x), -1)
  if model.bound.likelihood == "bernoulli":
    p = 1 / (1 + np.exp(-output))
    return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
  s = model.bound.likelihood_stddev
  return (-0.5 * np.log(2 * np.pi * s**2) - (x - output) ** 2 / (2 * s**2)).sum(1)


def kl(mean, log_variance):
  return 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)


GAUSSIAN = {"likelihood": "gaussian", "likelihood_stddev": 0.3}


@pytest.mark.parametrize("bound", [{}, GAUSSIAN], ids=["bernoulli", "gaussian"])
@pytest.mark.parametrize("image_mean", [None, MEAN], ids=["", "mean"])
def test_units_distributions_and_score_are_those_of_the_formulas(bound, image_mean):
  if image_mean is not None and not bound:
    return  # refused, see below
  model = tfae.VariationalAutoencoder(*stacks(), scale=1 / 255, image_mean=image_mean, **bound)
  pixels = images(5)
  shift = 0 if image_mean is None else image_mean
  x = pixels / 255 - shift
  mean, log_variance = encoded(model, x)
  for found, expected in zip(model.encode_distribution(pixels), (mean, log_variance)):
    np.testing.assert_allclose(found, expected, atol=1e-12)
  np.testing.assert_allclose(model.encode(pixels), mean, atol=1e-12)
  output = decoded(model, mean).reshape(x.shape)
  reconstruction = 255 * ((output + shift) if bound else 1 / (1 + np.exp(-output)))
  for found in (model.reconstruct(pixels), model.decode(mean), model.sample(mean)):
    np.testing.assert_allclose(found, reconstruction, atol=1e-9)
  np.testing.assert_allclose(model.score(pixels),
                             kl(mean, log_variance) - log_p(model, x, mean), atol=1e-11)
  found = model.metrics(runs.batch(pixels), KEY)
  np.testing.assert_allclose(found["squared_error"], np.square(
      reconstruction / 255 - pixels / 255).mean((1, 2, 3)), atol=1e-12)
  np.testing.assert_allclose(found["kl"], kl(mean, log_variance), atol=1e-12)
  np.testing.assert_allclose(found["elbo"], -found["reconstruction"] - found["kl"], atol=1e-12)
  np.testing.assert_array_equal(found["loss"], -found["elbo"])


@pytest.mark.parametrize("bound", [{}, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_the_elbo_is_the_mean_over_codes_that_numpy_draws(bound):
  model, pixels, n = build({**bound, "samples": 2000}), images(4), 20_000
  mean, log_variance = encoded(model, pixels / 255)
  noise = np.random.default_rng(2).normal(size=(n, *mean.shape))
  codes = (mean + np.exp(log_variance / 2) * noise).reshape(-1, LATENT)
  drawn = log_p(model, np.tile(pixels / 255, (n, 1, 1, 1)), codes).reshape(n, 4)
  error = drawn.std(0) * np.sqrt(1 / n + 1 / 2000)
  found = model.metrics(runs.batch(pixels), KEY)
  assert np.all(np.abs(found["elbo"] - (drawn.mean(0) - kl(mean, log_variance))) < 5 * error)
  assert np.all(error < 0.02 * np.abs(drawn.mean(0)))


def test_importance_weights_are_joint_over_posterior_density():
  model = build(GAUSSIAN)
  pixels, noise = images(4), np.random.default_rng(0).normal(size=(3, 4, LATENT))
  mean, log_variance = encoded(model, pixels / 255)
  found = model.log_weights(model.observed(pixels, None), mean, log_variance, tf.constant(noise))
  normal = lambda z, m, v: (-0.5 * (np.log(2 * np.pi * v) + (z - m) ** 2 / v)).sum(-1)
  for row, eps in zip(found, noise):
    z = mean + np.exp(log_variance / 2) * eps
    np.testing.assert_allclose(row, log_p(model, pixels / 255, z) + normal(z, 0, 1)
                               - normal(z, mean, np.exp(log_variance)), rtol=1e-10)


def test_beta_free_bits_and_iwae_change_the_loss_as_their_formulas_say():
  pixels, batch = images(6), runs.batch(images(6))
  plain = build({"samples": 3}).metrics(batch, KEY)
  reconstruction, each = plain["reconstruction"].numpy(), plain["kl"].numpy()
  beta = build({"samples": 3, "beta": 2.5}).metrics(batch, KEY)
  np.testing.assert_allclose(beta["loss"], reconstruction + 2.5 * each, rtol=1e-12)
  np.testing.assert_allclose(beta["elbo"], plain["elbo"], rtol=1e-12)
  model = build({"samples": 3})
  mean, log_variance = encoded(model, pixels / 255)
  per_dimension = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean(0)
  limit = per_dimension.mean()  # one dimension below, one above
  free = build({"samples": 3, "free_bits": float(limit), "beta": 2.0}).metrics(batch, KEY)
  np.testing.assert_allclose(
      free["loss"], reconstruction + 2 * np.maximum(per_dimension, limit).sum(), rtol=1e-6)
  assert np.abs(free["loss"] - reconstruction - 2 * each).min() > 1e-3
  # log of the mean weight, by way of the weights themselves.
  noise = np.random.default_rng(0).normal(size=(3, 6, LATENT))
  iwae = build({"samples": 3, "objective": "iwae"})
  iwae._noise = lambda batch, key: tf.constant(noise)  # pylint: disable=protected-access
  weights = iwae.log_weights(iwae.observed(pixels, None), mean, log_variance, tf.constant(noise))
  expected = -np.log(np.exp(weights).mean(0))
  np.testing.assert_allclose(iwae.metrics(batch, KEY)["loss"], expected, rtol=1e-10)
  np.testing.assert_allclose(iwae.loss_and_gradients(batch, KEY)[0], expected.mean(), rtol=1e-10)


BOUNDS = {"elbo": {"samples": 3, "beta": 0.5, "noise_stddev": 0.5},
          "gaussian": {**GAUSSIAN, "free_bits": 0.3, "beta": 1.5},
          "iwae": {"samples": 3, "objective": "iwae", "binarize": True}}


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_gradients_agree_with_finite_differences(bound):
  model = build(bound)
  batch = runs.batch(images(3), tf.constant([1., 1., 0.]))
  call = tf.function(lambda: model.loss_and_gradients(batch, KEY), autograph=False)
  _, gradients = call()
  assert [v.name for v in model.trainable] == [
      f"{name}/{kind}:0" for name in ("encoder/layer_1", "mean/layer_0", "log_variance/layer_0",
                                      "decoder/layer_0", "decoder/layer_1")
      for kind in ("kernel", "bias")]
  step, checked = 1e-5, 0
  for variable, found in zip(model.trainable, gradients):
    assert found.shape == variable.shape and found.dtype == variable.dtype
    value = variable.numpy()
    for index in list(np.ndindex(value.shape))[::4]:
      sides = []
      for sign in (1, -1):
        moved = value.copy()
        moved[index] += sign * step
        variable.assign(moved)
        sides.append(call()[0].numpy())
      np.testing.assert_allclose(found.numpy()[index], (sides[0] - sides[1]) / (2 * step),
                                 rtol=1e-5, atol=1e-8, err_msg=variable.name)
      checked += 1
    variable.assign(value)
    assert np.abs(found).max() > 1e-5
  assert checked > 12


@pytest.mark.parametrize("bound", [
    {"samples": 3, "objective": "iwae", "binarize": True},
    pytest.param({**GAUSSIAN, "samples": 2, "free_bits": 0.1}, marks=pytest.mark.full)])
def test_a_compiled_step_gives_the_loss_and_gradients_of_one_that_is_not(bound):
  model, batch = build(bound, dtype="float32"), runs.batch(images(8))
  (loss, gradients), (compiled, others) = (
      tf.function(model.loss_and_gradients, autograph=False, jit_compile=jit)(batch, KEY)
      for jit in (False, True))
  np.testing.assert_allclose(loss, compiled, rtol=1e-6)
  for a, b in zip(gradients, others):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_training_loss_and_metric_agree_at_the_same_key_and_noise_is_another_at_each_step():
  for bound in BOUNDS.values():
    model, batch = build(bound), runs.batch(images(6))
    loss, _ = model.loss_and_gradients(batch, KEY)
    np.testing.assert_allclose(loss, np.mean(model.metrics(batch, KEY)["loss"]), rtol=1e-12)
    other, _ = model.loss_and_gradients(batch, randomness.fold_in(KEY, 1))
    assert loss != other


def test_padding_counts_for_nothing():
  for bound in ({"noise_stddev": 0.0}, {"noise_stddev": 0.0, "free_bits": 0.5, "samples": 2}):
    model = build(bound)
    alone = model.loss_and_gradients(runs.batch(images(3)), KEY)
    padded = np.concatenate([images(3), images(4, seed=9)])
    found = model.loss_and_gradients(runs.batch(padded, tf.constant([1., 1, 1, 0, 0, 0, 0])), KEY)
    for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(alone)):
      np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_less_noise_changes_the_loss_but_not_the_elbo():
  batch = runs.batch(images(6))
  full, less = (build({"noise_stddev": s}).metrics(batch, KEY) for s in (1.0, 0.001))
  np.testing.assert_array_equal(full["elbo"], less["elbo"])
  assert np.abs(full["loss"] - less["loss"]).min() > 1e-4
  # With hardly any noise it is the score.
  np.testing.assert_allclose(less["loss"], build().score(images(6)), rtol=1e-2)


def test_pixels_are_drawn_anew_at_each_step_with_the_probability_that_their_value_is():
  model = build({"binarize": True})
  pixels = np.tile(np.array([0, 51, 102, 153, 204, 255], np.uint8).reshape(1, *SHAPE),
                   (2000, 1, 1, 1))
  draws = [model.observed(pixels, randomness.fold_in(KEY, step)).numpy() for step in (0, 1)]
  assert set(np.unique(draws)) == {0.0, 1.0}
  for draw in draws:
    shares, p = draw.reshape(2000, 6).mean(0), np.arange(6) / 5
    assert np.all(np.abs(shares - p) <= 5 * np.sqrt(p * (1 - p) / 2000))
  assert 0.1 < np.mean(draws[0] != draws[1]) < 0.4
  np.testing.assert_array_equal(draws[0], model.observed(pixels, randomness.fold_in(KEY, 0)))
  # Without a key, as in serving, pixels are what they are.
  np.testing.assert_allclose(model.observed(pixels, None), pixels / 255)
  # A corrupted image differs from the clean one only where it was corrupted.
  masked = pixels.copy()
  masked[::2] = 0
  other = model.observed(masked, randomness.fold_in(KEY, 0)).numpy()
  np.testing.assert_array_equal(other[1::2], draws[0][1::2])
  assert not other[::2].any()


def test_the_encoder_sees_the_corrupted_images_and_the_likelihood_is_of_the_clean_ones():
  model = build({"noise_stddev": 0.0})
  clean, seen = images(4), images(4, seed=7)
  batch = Batch(tf.constant(clean), tf.constant(seen), None, tf.ones(4))
  mean, log_variance = encoded(model, seen / 255)
  expected = kl(mean, log_variance) - log_p(model, clean / 255, mean)
  np.testing.assert_allclose(model.metrics(batch, KEY)["loss"], expected, rtol=1e-12)
  np.testing.assert_allclose(model.loss_and_gradients(batch, KEY)[0], expected.mean(), rtol=1e-12)


def test_a_bfloat16_model_draws_and_sums_in_float32():
  half, full = (build({"samples": 2}, dtype=dtype) for dtype in ("bfloat16", "float32"))
  for a, b in zip(half.trainable, full.trainable):
    b.assign(a)
  assert {v.dtype for v in half.variables} == {tf.float32}
  batch = runs.batch(images(8))
  found = half.metrics(batch, KEY)
  assert {v.dtype for v in found.values()} == {tf.float32}
  assert {half.score(images(8)).dtype, half.encode(images(8)).dtype} == {tf.float32}
  for name, value in full.metrics(batch, KEY).items():
    np.testing.assert_allclose(found[name], value, rtol=0.1, atol=0.02)
  loss, gradients = half.loss_and_gradients(batch, KEY)
  assert loss.dtype == tf.float32 and {g.dtype for g in gradients} == {tf.float32}
  # bfloat16 codes would have 8 bits.
  codes, _ = half._draw(*half.encode_distribution(images(8)),  # pylint: disable=protected-access
                        half._noise(8, KEY))  # pylint: disable=protected-access
  assert codes.dtype == tf.float32
  assert np.any(codes.numpy() != tf.cast(tf.cast(codes, tf.bfloat16), tf.float32).numpy())


def test_a_frozen_encoder_stays_as_it_is_and_the_rest_is_trained():
  model = tfae.VariationalAutoencoder(*stacks(), scale=1 / 255, frozen=("encoder",))
  _, gradients = model.loss_and_gradients(runs.batch(images(4)), KEY)
  assert len(gradients) == len(model.trainable) == 8
  assert not any(v.name.startswith("encoder") for v in model.trainable)
  assert all(np.abs(g).max() > 0 for g in gradients)


def test_layers_are_shown_in_forward_order_and_the_codes_are_those_of_the_step():
  model, batch = build({"samples": 2}), runs.batch(images(3))
  outputs = [(layer.path, value.shape.as_list()) for layer, value in model.outputs(batch)]
  assert outputs == [
      ("encoder/layer_0", [3, 6]), ("encoder/layer_1", [3, 4]), ("mean/layer_0", [3, 2]),
      ("log_variance/layer_0", [3, 2]), ("decoder/layer_0", [3, 4]), ("decoder/layer_1", [3, 6]),
      ("decoder/layer_2", [3, *SHAPE])]
  *_, (_, last) = model.outputs(batch)
  np.testing.assert_allclose(tf.sigmoid(last) * 255, model.reconstruct(images(3)), atol=1e-9)
  *_, (_, last) = model.outputs(batch, KEY)
  p = 1 / (1 + np.exp(-last.numpy().reshape(2, 3, 6)))
  x = images(3).reshape(3, 6) / 255
  found = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(2).mean()
  loss, _ = model.loss_and_gradients(batch, KEY)
  np.testing.assert_allclose(found + np.mean(model.metrics(batch, KEY)["kl"]), loss, rtol=1e-12)


def test_a_fault_is_found_in_the_layer_where_it_is():
  model, batch = build(), runs.batch(images(3))
  model.log_variance.layers[0].bias.assign([np.inf, 0])
  fault = diagnosis.of_forward_pass(model, batch, KEY)
  assert "log_variance/layer_0" in fault.text
  model = build()
  model.decoder.layers[1].kernel.assign(tf.fill([4, 6], tf.constant(np.nan, tf.float64)))
  assert "decoder/layer_1 (Dense)" in diagnosis.of_forward_pass(model, batch).text
  assert diagnosis.stuck_units(build(), Split(images(3), None))


@pytest.fixture(scope="module", name="executed")
def executed_step():
  """(model, executed ops) of a training step with encoder, latent, decoder and data apart."""
  model = build({"samples": 2, "binarize": True}, dtype="float32",
                devices=("/CPU:1", "/CPU:2", "/CPU:3"))
  batches = Batches(images(10), 4, device="/device:CPU:0")
  updater = optimizers.Updater(tfae.Adam(), model.trainable, 10)

  @tf.function(autograph=False)
  def step(number, key):
    with tf.device(batches.device):
      row = batches.indices(number, 1)[0]
    loss, gradients = model.loss_and_gradients(batches.gather(row), key)
    return loss, updater.apply(gradients, number)

  return model, placement.executed_ops(lambda: step(tf.constant(2, tf.int64), KEY))


def test_every_op_of_a_component_runs_on_its_device_forward_and_backward(executed):
  model, ops = executed
  where = {"encoder": "/CPU:1", "mean": "/CPU:2", "log_variance": "/CPU:2", "decoder": "/CPU:3"}
  seen = {}
  for device, op, name in ops:
    found = re.match(r"(?:\w+/)*?(encoder|mean|log_variance|decoder)/layer_\d+", name)
    if found and not re.fullmatch(r"_Send|_Recv|_Arg|_Retval|ReadVariableOp|_Host\w+", op) \
        and "/ctrl/" not in name:
      assert device == where[found[1]], (device, op, name)
      seen.setdefault(found[1], set()).add("gradient" if "gradient_tape" in name else "forward")
  assert seen == {name: {"forward", "gradient"} for name in where}
  for variable in model.trainable:
    assert placement.short(variable.device) == where[variable.name.split("/")[0]]


def test_noise_is_drawn_on_the_latent_device_and_pixels_on_the_encoders(executed):
  drawn = {device for device, op, _ in executed[1] if op.startswith("StatelessRandomUniform")}
  assert drawn - {"/CPU:0"} == {"/CPU:1", "/CPU:2"}  # on CPU:0: the order of the images
  for device, op, name in executed[1]:
    if re.search("MatMul|BiasAdd|Tanh|Exp|Log|Softplus|Cos", op):
      assert device in ("/CPU:1", "/CPU:2", "/CPU:3"), (device, op, name)


@pytest.mark.parametrize("make, message", [
    (lambda: build({"beta": -1}), "VariationalAutoencoder.beta=-1"),
    (lambda: build({"likelihood": "normal"}), "likelihood='normal': expected one of"),
    (lambda: build({"colour": 1}), "colour"),
    (lambda: build(last="sigmoid"), "decoder gives logits.*ends in 'sigmoid'"),
    (lambda: tfae.VariationalAutoencoder(*stacks(), image_mean=MEAN),
     "image_mean: not with likelihood='bernoulli'"),
    (lambda: tfae.VariationalAutoencoder(*stacks(), image_mean=MEAN[:2], **GAUSSIAN),
     r"mean: expected shape \(3, 2, 1\)"),
    (lambda: build(devices=("/CPU:0", "/CPU:1", "/CPU:0")) and tfae.VariationalAutoencoder(
        *stacks()[:2], stacks(devices=("/CPU:1",) * 3)[2], stacks()[3]),
     "mean is on /device:CPU:0, log_variance on /device:CPU:1"),
    (lambda: tfae.VariationalAutoencoder(*stacks()[:2], *stacks(latent=3)[2:]),
     "both must take the encoder's"),
    (lambda: tfae.VariationalAutoencoder(*stacks()[:3], stacks(latent=3)[3]),
     r"the decoder takes \(3,\).*the codes \(2,\)"),
    (lambda: tfae.VariationalAutoencoder(stacks(hidden=5)[0], *stacks()[1:]),
     r"both must take the encoder's \(5,\)"),
])
def test_what_does_not_join_is_refused(make, message):
  with pytest.raises((InputError, TypeError), match=message):
    make()
