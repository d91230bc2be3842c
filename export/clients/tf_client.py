"""Calls an exported model from TensorFlow 2. Needs tensorflow; reads the SignatureDefs.

  python export/clients/tf_client.py D/1 encode images=images.npy [--out=FOLDER]
"""

import tensorflow as tf


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  model = tf.saved_model.load(str(directory))
  return {key: _function(signature) for key, signature in model.signatures.items()}


def _function(signature):
  specs = signature.structured_input_signature[1]

  def call(**inputs):
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in signature(**tensors).items()}
  return call


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
