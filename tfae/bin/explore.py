"""tfae-explore: a page in which a browser decodes any point of an exported model's latent space.

    tfae-explore --saved_model=D/1 --workdir=W --out=site/ [--images=1000]
    tfae-explore --saved_model=D/1 --examples=W/examples.npy --out=site/

Writes site/index.html, one file that holds the model, the examples and onnxruntime-web: it opens by
a double click, needs no server and no network. With --workdir the examples are the first test
images of the run's data, with their classes; with --examples those of a file. Needs tfae[onnx], and
the first time npm.
"""

import os
import pathlib

from absl import flags
import numpy as np

from tfae import files, images, inspection
from tfae.bin import cli
from tfae.errors import InputError
from tfae.experiment import load_data
from tfae.explorer import codes, conversion, graphs, page, runtime

flags.DEFINE_string("saved_model", None, "Folder of an exported model.")
flags.DEFINE_string("out", None, "Folder that gets index.html.")
flags.DEFINE_string("workdir", None, "Folder of the run, whose test images are the examples.")
flags.DEFINE_string("examples", None, "Images instead: .npy in the data set's units, or PNG.")
flags.DEFINE_string("data_dir", None, "Where to look for the run's data first.")
flags.DEFINE_integer("images", 1000, "At most so many examples.", lower_bound=1)

_BATCH = 100  # examples that are encoded at a time
_NEEDED = ("decode", "encode")


def main():
  args = flags.FLAGS
  export = inspection.Export(cli.required("saved_model"))
  _check(export)
  out = _out(cli.required("out"))
  pictures, labels = _examples(export, args)
  vendored = runtime.find()
  models, description = conversion.convert(export.path, pictures)
  cli.import_tensorflow()  # not before the input has been checked
  found, scores = _answers(export.frozen(), pictures)
  flat = found.reshape(len(found), -1)
  shared, weights = graphs.share(models)
  small, white = page.pixels(pictures, export.wanted.max_value)
  content = page.build(vendored, shared, weights, {
      "name": "/".join(export.path.absolute().parts[-2:]),
      "signatures": {key: description["signatures"][key] for key in shared},
      "metadata": description["metadata"],
      "prior": "sample" in description["signatures"],
      "codes": {"names": codes.names(found.shape[1:]), **codes.spread(flat)},
      "scores": scores,
      "white": white,
      "labels": labels,
      "classes": _classes(export, labels),
  }, small, flat)
  with files.writing(out):
    out.parent.mkdir(parents=True, exist_ok=True)
  files.clear_stale(out.parent)
  files.write(out, content)
  print(f"{out}: {len(content):,} bytes, of them the model {len(weights):,} before it is packed; "
        f"{len(flat):,} examples, {flat.shape[1]:,} numbers a code. Open it in a browser.")
  return 0


def _check(export):
  """Raises InputError for an export that the page can't show."""
  given = f"--saved_model={export.path}: "
  signatures = export.description["signatures"]
  missing = [key for key in _NEEDED if key not in signatures]
  if missing:
    raise InputError(f"{given}has no signature {' and no '.join(map(repr, missing))}, but "
                     f"{', '.join(sorted(signatures))}. Give the export of an autoencoder.")
  if cli.wanted(export).shape[-1] not in (1, 3):
    raise InputError(f"{given}takes images of {export.wanted.shape[-1]} channels; a page can show "
                     "grey and colour ones, of 1 and 3.")
  outputs = signatures["encode"]["outputs"]
  if np.prod(outputs[_code(outputs)]["shape"][1:]) < 2:
    raise InputError(f"{given}has codes of one number; a plane needs two or more.")


def _code(outputs):
  """Name of the output of encode that decode takes: of a variational model the mean."""
  return next((name for name in ("codes", "mean") if name in outputs), next(iter(outputs)))


def _out(folder):
  """Returns the path of the page; InputError if another program's page has its name."""
  path = pathlib.Path(folder) / "index.html"
  there = next(place for place in path.absolute().parents if place.exists())
  if not there.is_dir():
    raise InputError(f"--out={folder}: {there} is a file. Give a folder, which is made if need be.")
  if not os.access(there, os.W_OK | os.X_OK):  # before the minute that the page takes
    raise InputError(f"--out={folder}: you may not write in {there}. Make it writable, or give "
                     "another folder.")
  if path.exists():
    with files.writing(path):
      ours = page.GENERATOR.encode() in path.read_bytes()[:1000]
    if not ours:
      raise InputError(f"--out={folder}: holds an index.html that tfae-explore did not write. "
                       "Remove it, or give another folder.")
  return path


def _examples(export, args):
  """Returns (float32 images `[n, ...]` in the data set's units, their labels or None)."""
  if bool(args.workdir) == bool(args.examples):
    raise InputError("give one of --workdir=RUN and --examples=FILE: the codes of examples are what "
                     "the plane shows.")
  if args.examples:
    found, notes = images.read(args.examples, cli.wanted(export))
    cli.say_notes(args.examples, notes)
    return found[:args.images], None
  experiment, _ = cli.run_of(args.workdir)
  data = load_data(experiment, args.data_dir)
  wanted = export.description["metadata"].get("dataset_sha256", data.sha256)
  shape = data.test.images.shape[1:]
  if data.sha256 != wanted or tuple(shape) != export.wanted.shape:
    raise InputError(f"--workdir={args.workdir}: its data, {data.name!r} of {shape}, are not those "
                     f"that {export.path} was trained on. Give the run that it is an export of.")
  split = data.test
  labels = None if split.labels is None else split.labels[:args.images].tolist()
  return np.asarray(split.images[:args.images], np.float32), labels


def _answers(frozen, pictures):
  """Returns (codes float32 `[n, ...]`, the scores as a list or None if there is no such signature).
  """
  from tfae import graph

  def ask(key, name):
    return np.concatenate([graph.call(frozen, key, {"images": pictures[i:i + _BATCH]})[name]
                           for i in range(0, len(pictures), _BATCH)])
  found = ask("encode", _code(frozen.outputs["encode"]))
  return found, codes.short(ask("score", "score")) if "score" in frozen.outputs else None


def _classes(export, labels):
  """Returns [[label, its name, its colour]] of the classes that the examples have, or None."""
  from tfae.figures import style
  if labels is None:
    return None
  return [[label, export.class_names[label] if export.class_names else str(label),
           style.class_style(label)["color"]] for label in sorted(set(labels))]


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
