"""From a model to a published SavedModel: freeze, write, verify, publish."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

import tfae
from tfae import graph, publish, saved_model
from tfae.errors import InputError
from tfae.specs.losses import LOSSES

# Largest difference between the written and the live model, as a multiple of the larger of 1 and
# the output's largest value: see `saved_model.verify`. bfloat16 has 8 bits of mantissa.
TOLERANCES = {"float32": 1e-5, "float64": 1e-5, "bfloat16": 2.0**-7}


@dataclasses.dataclass(frozen=True)
class Export:
  """What was published: `path` of the version, `bytes` of saved_model.pb, `parameters` (each
  counted once), `sha256` {file: hex}, `differences` [(signature, output, found, bound)]."""
  path: object
  bytes: int
  parameters: int
  sha256: dict
  differences: list


def signatures(model, max_value=None):
  """Returns {key: graph.Signature} of an autoencoder; images are in the dataset's own units.

  `serving_default` and `reconstruct` are the same; `encode`, `decode`; `score` is the loss of each
  image.
  """
  dtype = tf.float32
  shape = " x ".join(map(str, model.encoder.input_shape))
  images = {"images": graph.Input(
      tf.TensorSpec([None, *model.encoder.input_shape], dtype),
      f"images of {shape} in the dataset's units" + (
          f", 0 to {max_value:g}" if max_value else ""),
      None if max_value is None else (0.0, float(max_value)))}
  codes = {"codes": graph.Input(tf.TensorSpec([None, *model.encoder.output_shape], dtype),
                                "codes, as encode returns them")}
  reconstruct = graph.Signature(
      lambda images: {"reconstruction": tf.cast(model.reconstruct(images), dtype)}, images,
      {"reconstruction": "the images as the model gives them back, in the dataset's units"})
  return {
      "serving_default": reconstruct,
      "reconstruct": reconstruct,
      "encode": graph.Signature(
          lambda images: {"codes": tf.cast(model.encode(images), dtype)}, images,
          {"codes": "the code of each image"}),
      "decode": graph.Signature(
          lambda codes: {"reconstruction": tf.cast(model.decode(codes), dtype)}, codes,
          {"reconstruction": "images for the codes, in the dataset's units"}),
      "score": graph.Signature(
          lambda images: {"score": tf.cast(model.score(images), dtype)}, images,
          {"score": f"reconstruction error of each image: {model.loss} of images scaled by "
                    f"{model.scale:.6g}; {LOSSES[model.loss].unit}"}),
  }


def export(model, export_dir, *, examples=None, max_value=None, metadata=None, keep=None):
  """Freezes a model, verifies it in a fresh process without tfae, and publishes it.

  Args:
    model: a `tfae.Autoencoder`.
    export_dir: folder of integer versions; the next one is made.
    examples: images `[n, ...]` in the dataset's units that the verification runs on; None: random
      ones between 0 and max_value, or 1 / scale.
    max_value: largest value of an image, for signature.json.
    metadata: dict of JSON values for signature.json.
    keep: how many versions stay; None: all.

  Returns:
    An `Export`.

  Raises:
    InputError: an export_dir that can't be written, or examples that are not images of the model.
    tfae.saved_model.VerificationError: the written model differs; nothing was published.
  """
  if examples is None:
    high = max_value or 1 / model.scale
    examples = np.random.default_rng(0).uniform(0, high, (16, *model.encoder.input_shape))
  examples = np.asarray(examples, np.float32)
  if examples.shape[1:] != model.encoder.input_shape or not len(examples):
    raise InputError(f"export: examples of shape {examples.shape}: expected "
                     f"(n, {', '.join(map(str, model.encoder.input_shape))}) with n >= 1.")
  described = signatures(model, max_value)
  frozen = graph.freeze(described)
  codes = model.encode(tf.constant(examples)).numpy().astype(np.float32)
  feeds = {"images": examples, "codes": codes}
  inputs = {key: {name: feeds[name] for name in s.inputs} for key, s in described.items()}
  # As graphs: eager bfloat16 rounds between ops that a graph fuses.
  references = {
      key: {name: value.numpy() for name, value in tf.function(s.function, autograph=False)(
          **{n: tf.constant(feeds[n]) for n in s.inputs}).items()}
      for key, s in described.items()}
  tolerance = TOLERANCES[model.encoder.compute_dtype.name]
  parameters = sum(math.prod(v.shape) for v in model.trainable)
  report = {}

  def write(folder):
    report["sha256"] = saved_model.write(folder, frozen, {
        "tfae": tfae.__version__, "parameters": parameters, "loss": model.loss,
        "scale": model.scale, "compute_dtype": model.encoder.compute_dtype.name,
        **(metadata or {})}, tolerance)
    # Measured here: another exporter's `keep` may retire the version as soon as it is published.
    report["bytes"] = (folder / "saved_model.pb").stat().st_size

  def verify(folder):
    report["differences"] = saved_model.verify(folder, inputs, references, tolerance)

  path = publish.publish(export_dir, write, verify, keep)
  return Export(path=path, parameters=parameters, **report)
