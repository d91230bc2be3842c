"""The image that makes one unit or filter answer most: activation maximisation."""

import numpy as np
import tensorflow as tf

from tfae.errors import check_int, check_number
from tfae.views.responses import before_activation, layer_of, output_of

_SMALL = 1e-8  # no division by a gradient of 0


def responses(model, path, units, images):
  """Returns how unit `units[i]` answers to `images[i]`, float32 `[n]`; see `maximise`."""
  images = tf.convert_to_tensor(images / np.float32(model.scale), tf.float32)
  return _responses(model, path, units, images).numpy()


def maximise(model, path, units, *, steps=100, step_size=0.05, seed=0):
  """Returns (images float32 `[n, height, width, channels]` in [0, 1], their responses `[n]`).

  Gradient ascent on the response a of a unit, from an image of seeded noise about mid-grey:

      g = da/dx,  x <- clip(x + step_size * g / sqrt(mean(g^2)), 0, 1)

  The response is the unit's output, of a filter the mean of its channel over all places. Where it
  does not depend on the image, as that of a relu that is off, the layer's value before activation
  is ascended until it does. The same arguments give the same images. They stay in [0, 1] after
  every step, so that they are images which the model could be given; nothing is rescaled.

  Sources: Erhan, Bengio, Courville and Vincent 2009, "Visualizing higher-layer features of a deep
  network", section 3; the gradient's normalisation by its root mean square: Chollet 2016, "How
  convolutional neural networks see the world".

  Args:
    model: a `tfae.models.model.Model`.
    path: of a layer, such as 'encoder/layer_1'.
    units: integers [n]: indices along the last axis of the layer's output.
    steps: of the ascent.
    step_size: root mean square of what a step moves the pixels by, in [0, 1] units.
    seed: of the first images.

  Raises:
    InputError: no such layer, or a unit that it does not have.
  """
  layer = layer_of(model, path)
  steps = check_int("steps", steps, 1)
  step_size = check_number("step_size", step_size, 0, above=True)
  units = [check_int("units", unit, 0, layer.output_shape[-1] - 1) for unit in units]
  first = start(model.input_shape, len(units), seed)

  def step(index, x):
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(x)
      images = x / tf.constant(model.scale, tf.float32)
      after = _responses(model, path, units, images)
      before = _responses(model, path, units, images, activated=False)
    gradient, other = (_gradient(tape, value, x) for value in (after, before))
    flat = tf.reduce_all(tf.equal(gradient, 0), [1, 2, 3], keepdims=True)
    gradient = tf.where(flat, other, gradient)
    size = tf.sqrt(tf.reduce_mean(gradient**2, [1, 2, 3], keepdims=True))
    return index + 1, tf.clip_by_value(x + step_size * gradient / (size + _SMALL), 0, 1)

  @tf.function(autograph=False)
  def ascend(x):
    _, x = tf.while_loop(lambda index, _: index < steps, step, [tf.constant(0), x])
    return x, _responses(model, path, units, x / tf.constant(model.scale, tf.float32))

  images, found = ascend(tf.constant(first))
  return images.numpy(), found.numpy()


def start(image_shape, number, seed):
  """Returns the images that the ascent begins at: grey, with noise of .05 standard deviation."""
  noise = np.random.default_rng(seed).standard_normal((number, *image_shape), np.float32)
  return np.clip(0.5 + 0.05 * noise, 0, 1)


def _gradient(tape, value, x):
  return tape.gradient(value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _responses(model, path, units, images, activated=True):
  """Returns `[n]`: of image i the mean over all places of channel units[i]."""
  value = tf.cast((output_of if activated else before_activation)(model, path, images), tf.float32)
  if value.shape.rank > 2:
    value = tf.reduce_mean(value, list(range(1, value.shape.rank - 1)))
  return tf.gather(value, tf.constant(units), batch_dims=1)
