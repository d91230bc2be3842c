"""tfae.loop: what the inner loop sees, adds up, and when it stops."""

import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import randomness, training
from tfae.data.pipeline import Batches
from tfae.errors import InputError
from tfae.loop import Loop, choose_jit
from tfae.optimizers import Updater

NOISE = 8


class Recorder(tf.Module):
  """Its "gradient" is the batch and noise from its key: what a step saw is what it learnt."""

  def __init__(self, batch_size, pixels):
    super().__init__()
    self.device = "/device:CPU:0"
    with tf.device("/CPU:0"):
      self.seen = tf.Variable(tf.zeros(batch_size * (pixels + 1) + NOISE), name="seen")
    self.trainable = [self.seen]

  def loss_and_gradients(self, batch, key):
    weights = batch.weights
    seen = weights[:, None] * tf.reshape(tf.cast(batch.images, tf.float32), [weights.shape[0], -1])
    gradient = tf.concat([tf.reshape(seen, [-1]), weights, randomness.uniform([NOISE], key)], 0)
    return tf.reduce_sum(weights), [gradient]


def images(n=11, pixels=3, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (n, 1, pixels, 1), np.uint8)


def recorder(jit, steps_per_loop=5, seed=7, batch_size=4):
  model = Recorder(batch_size, 3)
  batches = Batches(images(), batch_size, seed=seed, device="/device:CPU:0")
  return Loop(model, batches, Updater(tfae.SGD(1.0), model.trainable, 100), seed=seed,
              steps_per_loop=steps_per_loop, jit=jit), model, batches


def what_each_step_saw(loop, model, steps):
  result = []
  for step in range(steps):
    model.seen.assign(tf.zeros_like(model.seen))
    assert loop.run(step, 1) == (1, True)
    result.append(-model.seen.numpy())
  return np.array(result)


def test_jit_on_and_off_see_the_same_batches_and_noise_bit_for_bit():
  runs_ = [what_each_step_saw(*recorder(jit)[:2], 9) for jit in (False, True)]
  assert runs_[0].tobytes() == runs_[1].tobytes()
  noise = runs_[0][:, -NOISE:]
  assert len(np.unique(noise)) == noise.size  # each step has its own
  assert 0 <= noise.min() and noise.max() < 1


def test_an_epoch_shows_every_image_once_and_the_partial_batch_no_other():
  loop, model, _ = recorder(jit=False)
  for epoch in range(2):
    saw = what_each_step_saw(loop, model, 6)[3 * epoch:3 * epoch + 3]
    weights = saw[:, 12:16]
    assert weights.tolist() == [[1] * 4, [1] * 4, [1, 1, 1, 0]]
    rows = saw[:, :12].reshape(-1, 3)[weights.reshape(-1) == 1]
    assert sorted(rows.tolist()) == sorted(images().reshape(-1, 3).tolist())


def test_dropout_masks_are_the_same_with_jit_on_and_off():
  data = runs.dataset()
  model = tfae.experiment.Model((tfae.Flatten(), tfae.Dropout(0.5), tfae.Dense(3)))
  losses = []
  for jit in ("on", "off"):
    run = training.prepare(runs.experiment(model=model, jit_compile=jit,
                                           optimizer=tfae.SGD(1e-30)), data)
    losses.append([])
    for step in range(6):
      run.loop.run(step, 1)
      losses[-1].append(run.loop.last.numpy()[0])
    assert run.jit == (jit == "on") and run.loop.traces == 1
  # The weights stand still: only masks and batches could differ. Another mask is another 10 %.
  np.testing.assert_allclose(*losses, rtol=1e-6)
  assert np.ptp(losses[0]) > 1e-3 * np.mean(losses[0])


@pytest.mark.parametrize("jit", [False, True])
def test_steps_are_traced_once_whatever_the_count_the_epoch_and_the_partial_batch(jit):
  loop, _, _ = recorder(jit, steps_per_loop=3)
  for first, count in ((0, 1), (1, 2), (3, 3), (6, 2), (8, 1), (9, 1)):
    assert loop.run(first, count) == (count, True)
  assert loop.traces == 1


def test_totals_are_weighted_by_examples_and_reset_apart():
  loop, _, _ = recorder(jit=False)  # the loss of a batch is its number of images
  loop.run(0, 3)
  np.testing.assert_allclose(loop.totals.numpy(), [4 * 4 + 4 * 4 + 3 * 3, 11] * 2)
  assert loop.reset("interval") == pytest.approx(41 / 11)
  loop.run(3, 1)
  assert loop.reset("interval") == pytest.approx(4)
  assert loop.reset("epoch") == pytest.approx((41 + 16) / 15)
  assert loop.totals.numpy().tolist() == [0] * 4
  assert loop.reset("epoch") == 0


def test_last_holds_loss_gradient_norm_and_learning_rate_of_the_last_step():
  loop, model, _ = recorder(jit=False)
  loop.run(0, 3)
  before = model.seen.numpy()
  loop.run(3, 1)
  gradient = before - model.seen.numpy()
  loss, norm, rate = loop.last.numpy()
  assert loss == 4 and rate == 1.0
  np.testing.assert_allclose(norm, np.linalg.norm(gradient.astype(np.float64)), rtol=1e-4)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_loop_stops_at_the_step_that_is_not_finite(jit, value):
  bad = images().astype(np.float32)
  bad[6] = value
  model = Recorder(4, 3)
  batches = Batches(bad, 4, seed=7, device="/device:CPU:0")
  loop = Loop(model, batches, Updater(tfae.SGD(1.0), model.trainable, 100), seed=7,
              steps_per_loop=3, jit=jit)
  # Padding (0 times image 0) is finite, so the norm is infinite where image 6 is.
  at = int(np.argwhere(batches.indices(tf.constant(0, tf.int64), 3).numpy() == 6)[0][0])
  done, good = loop.run(0, 3)
  assert (done, good) == (at + 1, False)


def stack(device, *specs, dtype=tf.float32):
  return types.SimpleNamespace(device=device, compute_dtype=dtype,
                               layers=[types.SimpleNamespace(spec=spec) for spec in specs])


CPU, CPU1, GPU = "/device:CPU:0", "/device:CPU:1", "/device:GPU:0"
DENSE, CONV, TRANSPOSED = tfae.Dense(3), tfae.Conv2D(2, 3), tfae.Conv2DTranspose(2, 3)
IN_BRANCHES = tfae.Branch(((DENSE,), (tfae.Branch(((CONV,), ())),)))
HALF = {"dtype": tf.bfloat16}


@pytest.mark.parametrize("mode, encoder, decoder, data, expected, why", [
    ("auto", stack(CPU, DENSE), stack(CPU, DENSE), CPU, True, "no convolution and no bfloat16"),
    ("auto", stack(CPU, CONV), stack(CPU, DENSE), CPU, False, "convolutions on a CPU"),
    ("auto", stack(CPU, DENSE), stack(CPU, TRANSPOSED), CPU, False, "convolutions on a CPU"),
    ("auto", stack(CPU, IN_BRANCHES), stack(CPU, DENSE), CPU, False, "convolutions on a CPU"),
    ("auto", stack(CPU, tfae.Branch(((DENSE,), ()))), stack(CPU, DENSE), CPU, True, "no conv"),
    ("auto", stack(CPU, DENSE, **HALF), stack(CPU, DENSE, **HALF), CPU, False, "bfloat16"),
    ("auto", stack(GPU, DENSE, **HALF), stack(GPU, DENSE, **HALF), GPU, True, "accelerator"),
    ("auto", stack(GPU, CONV), stack(GPU, TRANSPOSED), GPU, True, "accelerator"),
    ("auto", stack(CPU, DENSE), stack(CPU1, DENSE), CPU, False, "different devices"),
    ("auto", stack(GPU, DENSE), stack(GPU, DENSE), CPU, False, "different devices"),
    ("on", stack(CPU, CONV), stack(CPU, CONV), CPU, True, "as asked for"),
    ("off", stack(CPU, DENSE), stack(CPU, DENSE), CPU, False, "as asked for"),
    ("off", stack(CPU, DENSE), stack(CPU1, DENSE), CPU, False, "as asked for"),
])
def test_auto_compiles_where_it_is_faster_and_says_why(
    mode, encoder, decoder, data, expected, why):
  model = types.SimpleNamespace(components={"encoder": encoder, "decoder": decoder})
  jit, reason = choose_jit(mode, model, data)
  assert jit is expected and why in reason


def test_jit_on_with_two_devices_is_an_error_that_names_them():
  model = types.SimpleNamespace(components={"encoder": stack(CPU, DENSE),
                                            "decoder": stack(CPU1, DENSE)})
  with pytest.raises(InputError, match="CPU:0', '/device:CPU:1'.*jit_compile='auto' or 'off'"):
    choose_jit("on", model, CPU)
