"""The classifier: an encoder and a head that gives the logits of the classes."""

import functools

import tensorflow as tf

from tfae.errors import InputError
from tfae.models.model import Model, weighted_mean


class Classifier(Model):
  """images -> features -> logits -> probabilities.

  The loss of an image is the cross-entropy of its label, -log softmax(logits)[label], in nats.

  Attributes:
    encoder: from the images to the features; a whole encoder of an autoencoder, or a `Flatten`.
    mean_head: of the encoder of a variational model, from the features to the mean of the code,
      which the head takes then; its name among the components is 'mean'.
    head: from the features to `[classes]` logits.
    classes: number of classes.
  """
  makes_images = False
  needs_labels = True

  def __init__(self, encoder, head, *, mean_head=None, scale=1.0, mean=None, frozen=()):
    """Joins stacks.

    Args:
      encoder, head, mean_head: see the class. Without an encoder (None) the head sees the images.
      scale, mean, frozen: see `tfae.models.model.Model`.

    Raises:
      InputError: the head does not take what comes before it, or does not give a vector; a bad
        scale or mean.
    """
    features = [(name, stack) for name, stack in (("encoder", encoder), ("mean", mean_head))
                if stack is not None]
    parts = [*features, ("head", head)]
    for (_, before), (name, after) in zip(parts, parts[1:]):
      if after.input_shape != before.output_shape:
        raise InputError(f"{type(self).__name__}: the {name} takes {after.input_shape}, it must "
                         f"take the features {before.output_shape}. Build it with that "
                         "input_shape.")
    if len(head.output_shape) != 1:
      raise InputError(f"{type(self).__name__}: the head gives {head.output_shape}, it must give "
                       "(classes,). Let it end in a Dense.")
    super().__init__(dict(parts), scale=scale, mean=mean, frozen=frozen)
    self._features = tuple(name for name, _ in features)

  @property
  def classes(self):
    return self.head.output_shape[0]

  @property
  def code_shape(self):
    return self.head.input_shape

  def _cross_entropy(self, labels, logits):
    with tf.device(self.head.device):
      return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, self.dtype))

  def encode(self, images):
    """Returns what the head sees of images in the dataset's units, `[batch, *code_shape]`."""
    x = self.normalised(images)
    for name in self._features:
      x = self.run(name, x)
    return tf.cast(x, self.dtype)

  def logits(self, images):
    """Returns `[batch, classes]` for images in the dataset's units."""
    return tf.cast(self.run("head", self.encode(images)), self.dtype)

  def classify(self, images):
    """Returns (probabilities `[batch, classes]`, classes int32 `[batch]`)."""
    with tf.device(self.head.device):
      logits = self.logits(images)
      return tf.nn.softmax(logits), tf.argmax(logits, 1, tf.int32)

  def metrics(self, batch, key=None):
    """Returns {name: per-example values `[batch]`}: `loss`, the cross-entropy in nats, and
    `accuracy`, 1 where the most probable class is the label."""
    logits = self.logits(batch.inputs)
    with tf.device(self.head.device):
      right = tf.equal(tf.argmax(logits, 1, batch.labels.dtype), batch.labels)
      return {"loss": self._cross_entropy(batch.labels, logits),
              "accuracy": tf.cast(right, self.dtype)}

  def segments(self, batch, key):
    def loss(features):
      logits = self.run("head", features, key, batch.weights)
      values = self._cross_entropy(batch.labels, logits)
      return weighted_mean(values, batch.weights)

    features = [self.segment(name, functools.partial(self.run, name, key=key,
                                                     weights=batch.weights))
                for name in self._features]
    return [*features, self.segment("head", loss)], self.normalised(batch.inputs)

  def signatures(self, max_value=None):
    """`serving_default` and `classify` are the same; `encode` gives the features."""
    def classify(images):
      probabilities, classes = self.classify(images)
      return {"probabilities": probabilities, "classes": classes}

    classify = self.images_signature(
        classify, {"probabilities": "of each class", "classes": "the most probable class"},
        max_value)
    return {"serving_default": classify, "classify": classify,
            "encode": self.images_signature(lambda images: {"codes": self.encode(images)},
                                            {"codes": "the features of each image"}, max_value)}

  def feeds(self, images):
    return {"images": images}
