"""The classifier: its loss, its accuracy and its gradients against NumPy and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

import tfae
from tfae import randomness
from tfae.data.pipeline import Batch
from tfae.errors import InputError

KEY = randomness.stream(0, "training")
SHAPE = (4, 3, 1)
IMAGES = np.random.default_rng(1).integers(0, 256, (7, *SHAPE)).astype(np.uint8)
LABELS = np.random.default_rng(2).integers(0, 3, 7).astype(np.int32)


def build(dtype="float64", head=None, frozen=(), **options):
  encoder = tfae.Stack((tfae.Flatten(), tfae.Dense(5, activation="tanh")), SHAPE,
                       compute_dtype=dtype, seed=3)
  head = tfae.Stack(head or (tfae.Dense(3),), (5,), name="head", compute_dtype=dtype, seed=3)
  return tfae.Classifier(encoder, head, scale=1 / 255, frozen=frozen, **options)


def batch(weights=None):
  images = tf.constant(IMAGES)
  weights = np.ones(len(IMAGES), np.float32) if weights is None else weights
  return Batch(images, images, tf.constant(LABELS), tf.constant(weights, tf.float32))


def logits_by_hand(model):
  x = IMAGES.reshape(len(IMAGES), -1) / 255.0
  (_, dense), (head,) = model.encoder.layers, model.head.layers
  hidden = np.tanh(x @ dense.kernel.numpy() + dense.bias.numpy())
  return hidden @ head.kernel.numpy() + head.bias.numpy()


def cross_entropy(logits):
  shifted = logits - logits.max(1, keepdims=True)
  logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
  return -logs[np.arange(len(LABELS)), LABELS]


def test_loss_accuracy_and_probabilities_are_numpys():
  model = build()
  logits = logits_by_hand(model)
  found = model.metrics(batch())
  np.testing.assert_allclose(found["loss"], cross_entropy(logits), rtol=1e-10)
  np.testing.assert_array_equal(found["accuracy"], logits.argmax(1) == LABELS)
  probabilities, classes = model.classify(tf.constant(IMAGES))
  expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  np.testing.assert_allclose(probabilities, expected, rtol=1e-10)
  np.testing.assert_array_equal(classes, logits.argmax(1))


def test_the_loss_of_a_batch_leaves_padding_out_and_its_gradients_are_finite_differences():
  model = build()
  weights = np.array([1, 1, 0, 1, 1, 0, 1], np.float32)
  loss, gradients = model.loss_and_gradients(batch(weights), KEY)
  expected = cross_entropy(logits_by_hand(model))[weights > 0].mean()
  np.testing.assert_allclose(loss, expected, rtol=1e-10)
  assert [v.name for v in model.trainable] == [
      "encoder/layer_1/kernel:0", "encoder/layer_1/bias:0", "head/layer_0/kernel:0",
      "head/layer_0/bias:0"]
  for variable, gradient in zip(model.trainable, gradients):
    value, where, step = variable.numpy(), (0,) * len(variable.shape), 1e-6
    losses = []
    for sign in (1, -1):
      moved = value.copy()
      moved[where] += sign * step
      variable.assign(moved)
      losses.append(cross_entropy(logits_by_hand(model))[weights > 0].mean())
    variable.assign(value)
    np.testing.assert_allclose(gradient[where], (losses[0] - losses[1]) / (2 * step), rtol=1e-6,
                               atol=1e-9)


def test_a_frozen_component_has_no_gradients_and_no_dropout():
  model = build(frozen=("encoder",))
  assert [v.name.split("/")[0] for v in model.trainable] == ["head", "head"]
  _, gradients = model.loss_and_gradients(batch(), KEY)
  _, whole = build().loss_and_gradients(batch(), KEY)
  for found, expected in zip(gradients, whole[2:]):
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_dropout_is_in_training_only_and_a_function_of_the_step():
  model = build(head=(tfae.Dropout(0.5), tfae.Dense(3)))
  loss = lambda step: float(model.loss_and_gradients(batch(), randomness.fold_in(KEY, step))[0])
  assert loss(1) == loss(1) != loss(2)
  evaluated = model.metrics(batch())["loss"].numpy().mean()
  assert evaluated == model.metrics(batch())["loss"].numpy().mean() != loss(1)


def test_exported_probabilities_and_classes_are_the_models(tmp_path):
  model = build("float32")
  export = tfae.export(model, tmp_path, examples=IMAGES, max_value=255)
  served = tf.saved_model.load(str(export.path)).signatures
  assert sorted(served) == ["classify", "encode", "serving_default"]
  probabilities, classes = model.classify(tf.constant(IMAGES))
  found = served["serving_default"](images=tf.constant(IMAGES, tf.float32))
  np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
  np.testing.assert_array_equal(found["classes"], classes)
  assert found["classes"].dtype == tf.int32


def test_a_head_that_does_not_fit_is_refused():
  encoder = tfae.Stack((tfae.Flatten(),), SHAPE)
  with pytest.raises(InputError, match=r"the head takes \(11,\), it must take the features \(12,\)"):
    tfae.Classifier(encoder, tfae.Stack((tfae.Dense(3),), (11,), name="head"))
  with pytest.raises(InputError, match="two components are named 'encoder'"):
    tfae.Classifier(encoder, tfae.Stack((tfae.Dense(3),), (12,)))
