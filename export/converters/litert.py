"""LiteRT: one file with all signatures, float or 8-bit; inputs and outputs are float in both.

An 8-bit model is calibrated on every other example, so that the rest can judge it. Dynamic-range
quantisation is not offered: it makes convolutions slower than float.
"""

FILE = "model.tflite"


def convert(reference, folder):
  return _convert(reference, folder, lambda tf, converter: None)


def convert_int8(reference, folder):
  def quantise(tf, converter):
    def calibration():
      for key, feeds in sorted(reference.feeds.items()):
        for i in range(0, len(next(iter(feeds.values()))), 2):
          yield key, {name: value[i:i + 1] for name, value in feeds.items()}

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  return _convert(reference, folder, quantise)


def _convert(reference, folder, prepare):
  import tensorflow as tf
  from ai_edge_litert.interpreter import Interpreter
  keys = sorted(reference.description["signatures"])
  converter = tf.lite.TFLiteConverter.from_saved_model(str(reference.directory),
                                                       signature_keys=keys)
  prepare(tf, converter)
  (folder / FILE).write_bytes(converter.convert())
  # The converter names tensors anew; a caller by signature needs no tensor name.
  interpreter = Interpreter(str(folder / FILE))
  entries = {}
  for key in keys:
    runner = interpreter.get_signature_runner(key)
    entries[key] = {"file": FILE, **{
        side: {name: details["name"] for name, details in found.items()}
        for side, found in (("inputs", runner.get_input_details()),
                            ("outputs", runner.get_output_details()))}}
  return entries
