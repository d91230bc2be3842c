"""The classifier: an encoder and a head that gives the logits of the classes."""

import tensorflow as tf

from tfae.errors import InputError
from tfae.models.model import Model, weighted_mean


class Classifier(Model):
  """images -> features -> logits -> probabilities.

  The loss of an image is the cross-entropy of its label, -log softmax(logits)[label], in nats.

  Attributes:
    encoder: from the images to the features; a whole encoder of an autoencoder, or a `Flatten`.
    head: from the features to `[classes]` logits.
    classes: number of classes.
  """
  makes_images = False

  def __init__(self, encoder, head, *, scale=1.0, mean=None, frozen=()):
    """Joins two stacks.

    Raises:
      InputError: the head does not take the encoder's output, or does not give a vector; a bad
        scale or mean.
    """
    if head.input_shape != encoder.output_shape or len(head.output_shape) != 1:
      raise InputError(f"{type(self).__name__}: the head takes {head.input_shape} to "
                       f"{head.output_shape}, it must take the features {encoder.output_shape} to "
                       "(classes,). Build it with input_shape=encoder.output_shape and a Dense at "
                       "its end.")
    super().__init__({"encoder": encoder, "head": head}, scale=scale, mean=mean, frozen=frozen)

  @property
  def classes(self):
    return self.head.output_shape[0]

  def _cross_entropy(self, labels, logits):
    with tf.device(self.head.device):
      return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, self.dtype))

  def encode(self, images):
    """Returns the features `[batch, *feature shape]` of images in the dataset's units."""
    return tf.cast(self.run("encoder", self.normalised(images)), self.dtype)

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

    return ([self.segment("encoder", lambda x: self.run("encoder", x, key, batch.weights)),
             self.segment("head", loss)], self.normalised(batch.inputs))

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
