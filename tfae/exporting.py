"""From a model to a published SavedModel: freeze, write, verify, publish."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

import tfae
from tfae import graph, images, labels, publish, saved_model, thresholds
from tfae import raw_inputs as raws
from tfae import warmup as warmups
from tfae.errors import InputError, check_number

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


def export(model, export_dir, *, examples=None, max_value=None, metadata=None, keep=None,
           warmup=labels.MAX_BATCH, raw_inputs=(), threshold=None):
  """Freezes a model, verifies it in a fresh process without tfae, and publishes it.

  Args:
    model: a `tfae.models.model.Model`, such as a `tfae.Autoencoder`.
    export_dir: folder of integer versions; the next one is made.
    examples: images `[n, ...]` in the dataset's units that the verification runs on; None: random
      ones between 0 and max_value, or 1 / scale.
    max_value: largest value of an image, for signature.json.
    metadata: dict of JSON values for signature.json. From {"dataset": "images"} tfae-predict knows
      that the model was trained on image files, and reads its own as training did;
      "class_names" is what the classes are called, in the order of the labels.
    keep: how many versions stay; None: all.
    warmup: examples of the larger of the two requests a signature that TensorFlow Serving warms up
      with, 1 being the other; 0: none, and no file.
    raw_inputs: of `tfae.raw_inputs.KINDS`: 'uint8', 'bytes'; which signatures for such images there are beside
      those for floats.
    threshold: a `tfae.thresholds.Threshold`, or a number: the signature `score` then has a second
      output, `is_anomaly`, int32 [batch]: 1 where the score is above it.

  Returns:
    An `Export`.

  Raises:
    InputError: an export_dir that can't be written, examples that are not images of the model, or
      `raw_inputs` without max_value or for images that it can't hold; a threshold that is no
      number, or of a model without scores.
    tfae.saved_model.VerificationError: the written model differs; nothing was published.
  """
  given = examples is not None
  if not given:
    high = max_value or 1 / model.scale
    examples = np.random.default_rng(0).uniform(0, high, (16, *model.input_shape))
  examples = np.asarray(examples, np.float32)
  if examples.shape[1:] != model.input_shape or not len(examples):
    raise InputError(f"export: examples of shape {examples.shape}: expected "
                     f"(n, {', '.join(map(str, model.input_shape))}) with n >= 1.")
  signatures, value = model.signatures(max_value), None
  if threshold is not None:
    kept = (dataclasses.asdict(threshold) if isinstance(threshold, thresholds.Threshold) else
            {"value": float(np.float32(check_number("threshold", threshold)))})
    metadata, value = {**(metadata or {}), "threshold": kept}, kept["value"]
    signatures = thresholds.add(signatures, value)
  described = raws.add(signatures, raw_inputs, model.input_shape, max_value)
  if given and max_value and examples.ndim == 4:
    # tfae-predict tells by it that an image is of the other polarity.
    metadata = {"border": images.border(examples, max_value), **(metadata or {})}
  frozen = graph.freeze(described)
  feeds = {**model.feeds(examples), **raws.feeds(raw_inputs, examples, max_value)}
  inputs = {key: {name: feeds[name] for name in s.inputs} for key, s in described.items()}
  # As graphs: eager bfloat16 rounds between ops that a graph fuses.
  references = {key: outputs(s, {name: tf.constant(feeds[name]) for name in s.inputs})
                for key, s in described.items()}
  tolerance = TOLERANCES[model.compute_dtype.name]
  parameters = sum(math.prod(v.shape) for stack in model.components.values()
                   for v in stack.own_variables)
  requests = warmups.requests(frozen.inputs, inputs, warmup) if warmup else ()
  report = {}

  def write(folder):
    report["sha256"] = saved_model.write(folder, frozen, {
        "tfae": tfae.__version__, "parameters": parameters, **model.settings(),
        "scale": model.scale, "compute_dtype": model.compute_dtype.name,
        **(metadata or {})}, tolerance, requests)
    # Measured here: another exporter's `keep` may retire the version as soon as it is published.
    report["bytes"] = (folder / "saved_model.pb").stat().st_size

  def verify(folder):
    report["differences"] = saved_model.verify(folder, inputs, references, tolerance, value)

  path = publish.publish(export_dir, write, verify, keep)
  return Export(path=path, parameters=parameters, **report)


def outputs(signature, feeds):
  """Returns {output: array} of a signature as a graph."""
  # By hand: TensorFlow takes the first call of each of several signatures for retracing.
  traced = tf.function(signature.function, autograph=False).get_concrete_function(
      **{name: tf.TensorSpec.from_tensor(value) for name, value in feeds.items()})
  return {name: value.numpy() for name, value in traced(**feeds).items()}
