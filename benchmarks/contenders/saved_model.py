"""A SavedModel in a process that knows only TensorFlow, called as a Python service would."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from contenders import serving


class Contender(serving.Contender):
  """`endpoint` is 'signature' (serving_default) or the name of an attribute such as 'serve'."""

  def __init__(self, folder, *, path, endpoint="signature"):
    self.versions = {"tensorflow": tf.__version__}
    super().__init__(folder, path)
    self._endpoint = endpoint

  def _load(self, path):
    self._model = tf.saved_model.load(path)  # kept: its functions do not keep the variables
    if self._endpoint != "signature":
      call = getattr(self._model, self._endpoint)
      return lambda images: call(images).numpy()
    call = self._model.signatures["serving_default"]
    (name,), (output,) = call.structured_input_signature[1], call.structured_outputs
    return lambda images: call(**{name: tf.constant(images)})[output].numpy()
