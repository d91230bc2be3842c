"""Scores, codes or reconstructions of many images, by Apache Beam. Needs tensorflow, apache-beam.

  python export/score_beam.py --saved_model=D/1 --images=FOLDER --out=scores [--signature=score]
  python export/score_beam.py --saved_model=D/1 --tfrecord='data/*.tfrecord' --out=codes \\
      --signature=encode --runner=DataflowRunner --project=...

An image is a PNG or JPEG of the model's size: a file below FOLDER, whose key is its path there, or
the feature `image` of a tf.train.Example, whose key is its feature `key` or else the sha256 of the
image. OUT-00000-of-00001.jsonl has one line of JSON an image, {"key": ..., output: ...}, in any
order. It gets its name when it is whole: after a run that ended early, give the command again.
All other flags are Beam's own.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys

try:
  import apache_beam as beam
except ModuleNotFoundError:
  print("score_beam.py: apache-beam is not installed: pip install 'tfae[beam]'", file=sys.stderr)
  sys.exit(2)
from apache_beam.io import fileio
from apache_beam.ml.inference import base
from apache_beam.options import pipeline_options
from google.protobuf import message
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class UserError(Exception):
  """The command line, or a file that it names, is wrong."""


class Parser(argparse.ArgumentParser):
  """One line and exit code 2 instead of a page of usage."""

  def error(self, message):
    raise UserError(message)


class Handler(base.ModelHandler):
  """Runs one signature of a frozen SavedModel on batches of (key, encoded image)."""

  def __init__(self, directory, key, entry, batch):
    super().__init__(max_batch_size=batch)
    self._directory, self._key, self._entry = directory, key, entry

  def load_model(self):
    import tensorflow as tf
    return tf.saved_model.load(self._directory)

  def run_inference(self, batch, model, inference_args=None):
    import tensorflow as tf
    images = np.stack([decode(tf, name, content, self._entry) for name, content in batch])
    outputs = model.signatures[self._key](images=tf.constant(images, self._entry["dtype"]))
    outputs = {name: value.numpy() for name, value in sorted(outputs.items())}
    for index, (name, _) in enumerate(batch):
      yield {"key": name, **{output: value[index].tolist() for output, value in outputs.items()}}


def decode(tf, name, content, entry):
  """Returns [height, width, channels] in the units of `entry`, an input of signature.json."""
  shape = entry["shape"][1:]
  try:
    pixels = tf.io.decode_image(content, channels=shape[2], expand_animations=False).numpy()
  except tf.errors.InvalidArgumentError as error:
    raise UserError(f"{name}: neither a PNG nor a JPEG, or damaged.") from error
  if list(pixels.shape) != shape:
    raise UserError(f"{name}: {'x'.join(map(str, pixels.shape))}, the model takes "
                     f"{'x'.join(map(str, shape))} (height x width x channels).")
  low, high = entry["value_range"] or (0, 255)
  return low + pixels / 255 * (high - low)


def of_file(file, folder):
  """Returns (key, bytes) of a file below `folder`."""
  return file.metadata.path[len(folder):].lstrip("/"), file.read()


def of_record(record):
  """Returns (key, bytes) of a serialized tf.train.Example."""
  import tensorflow as tf
  try:
    features = tf.train.Example.FromString(record).features.feature
    image, = features["image"].bytes_list.value
  except (message.DecodeError, ValueError) as error:
    raise UserError("--tfrecord: a record is no tf.train.Example with one `image`, an encoded PNG "
                    f"or JPEG; it begins with {record[:24]!r}.") from error
  given = features["key"].bytes_list.value
  return given[0].decode() if given else hashlib.sha256(image).hexdigest(), image


def as_line(found):
  return json.dumps(found, sort_keys=True)


def images_entry(directory, key):
  """Returns what signature.json says of the input `images` of a signature."""
  path = pathlib.Path(directory) / "signature.json"
  if not path.is_file():
    raise UserError(f"--saved_model={directory}: no signature.json, so not an exported version.")
  signatures = json.loads(path.read_text())["signatures"]
  takes = {name: s["inputs"]["images"] for name, s in sorted(signatures.items())
           if set(s["inputs"]) == {"images"} and len(s["inputs"]["images"]["shape"]) == 4}
  if key not in takes:
    raise UserError(f"--signature={key}: expected one that takes images: {', '.join(takes)}.")
  return takes[key]


def main(arguments):
  parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                  allow_abbrev=False)
  parser.add_argument("--saved_model", required=True, metavar="D/1")
  parser.add_argument("--signature", default="score")
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--images", metavar="FOLDER")
  source.add_argument("--tfrecord", metavar="PATTERN")
  parser.add_argument("--out", required=True, metavar="PREFIX")
  parser.add_argument("--batch", type=int, default=100, help="images a call at most")
  parser.add_argument("--shards", type=int, default=1, help="files of OUT; each is whole by itself")
  args, rest = parser.parse_known_args(arguments)
  entry = images_entry(args.saved_model, args.signature)
  if args.images and "://" not in args.images and not os.path.isdir(args.images):
    raise UserError(f"--images={args.images}: no such folder.")
  if args.images and "://" not in args.images and not any(
      files for _, _, files in os.walk(args.images)):
    raise UserError(f"--images={args.images}: there is no file below it; expected PNG or JPEG.")
  if args.batch < 1 or args.shards < 1:
    raise UserError(f"--batch={args.batch} --shards={args.shards}: expected 1 or more of each.")
  handler = Handler(args.saved_model, args.signature, entry, args.batch)
  with beam.Pipeline(options=pipeline_options.PipelineOptions(rest)) as pipeline:
    if args.images:
      folder = args.images.rstrip("/")
      # A fusion of the match with the reading would keep all files on one worker.
      images = (pipeline | fileio.MatchFiles(f"{folder}/**") | beam.Reshuffle()
                | fileio.ReadMatches() | beam.Map(of_file, folder))
    else:
      images = (pipeline | beam.io.ReadFromTFRecord(args.tfrecord) | beam.Map(of_record))
    _ = (images | base.RunInference(handler) | beam.Map(as_line)
         | beam.io.WriteToText(args.out, file_name_suffix=".jsonl", num_shards=args.shards))


def run(arguments):
  """Calls main; returns the exit code: 0, 2 after a mistake, or a file or record that is no image,
  told in one line, 130 after Ctrl-C."""
  try:
    main(arguments)
    return 0
  except UserError as error:
    # Beam adds which of its steps was running.
    print(f"score_beam.py: {str(error).split(' [while running')[0]}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("score_beam.py: interrupted; the output gets its name when it is whole: give the command "
          "again.", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(run(sys.argv[1:]))
