"""Calls an exported model from TensorFlow 1's Session, which places ops exactly or not at all.

  python export/clients/tf1_client.py D/1 encode images=images.npy [--out=FOLDER]

Needs tensorflow (its compat.v1 is TensorFlow 1's interface); reads the SignatureDefs.
"""

import tensorflow.compat.v1 as tf


def load(directory):
  """Returns {signature: function}; a function maps input arrays to output arrays, both by name."""
  session = tf.Session(graph=tf.Graph(), config=tf.ConfigProto(allow_soft_placement=False))
  meta_graph = tf.saved_model.loader.load(
      session, [tf.saved_model.tag_constants.SERVING], str(directory))
  return {key: _function(session, signature)
          for key, signature in meta_graph.signature_def.items()}


def _function(session, signature):
  names = {name: info.name for name, info in signature.inputs.items()}
  # Made once: `Session.run` looks up every fetch by its name anew, at each call.
  call = session.make_callable({name: info.name for name, info in signature.outputs.items()},
                               [names[name] for name in sorted(names)])
  return lambda **inputs: call(*(inputs[name] for name in sorted(names)))


if __name__ == "__main__":
  import command
  command.run(load, __doc__)
