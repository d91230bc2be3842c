"""tfae-predict: what a model makes of image files.

    tfae-predict --workdir=W digit.png [more.png ...] [--resize] [--invert] [--json]
    tfae-predict --saved_model=D/1 digit.png --out=reconstructed.png

Of a classifier: the class, by its name if it has one, and the probability of each. Of an
autoencoder: its score, whether that is an anomaly's if it has a threshold (tfae-anomaly), and with
--out the reconstruction as PNG. An image of another size is refused without --resize, which keeps
its aspect ratio and pads it with its border. For a model that was trained on image files a file is
read, cut and resized as training did it. MNIST is white on black: for black on white --invert.
"""

import json
import pathlib

from absl import flags
import numpy as np

from tfae import images, thresholds
from tfae.bin import cli
from tfae.errors import InputError

# What --out must not end in, unless such a folder is there: a file was meant, of another kind.
_OTHER_FILES = (".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".npy", ".npz")

cli.define_subject()
flags.DEFINE_string("out", None, "Where reconstructions go: a folder, or of one image a .png file.")
flags.DEFINE_bool("json", False, "One JSON object an image instead of text.")


def main(paths):
  args = flags.FLAGS
  subject = cli.subject()
  if not paths:
    raise InputError("no image is given. Example: tfae-predict --workdir=W digit.png")
  wanted = cli.wanted(subject)
  read = cli.read_images(paths, wanted)
  if not args.json:
    for path, (_, notes) in zip(paths, read):
      cli.say_notes(path, notes)
  outs = _outs(args.out, paths, [len(found) for found, _ in read])
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import graph
  frozen = subject.frozen()
  classifies = "classify" in frozen.outputs
  if args.out and "reconstruct" not in frozen.outputs:
    raise InputError(f"--out={args.out}: the model has no signature 'reconstruct'; it has "
                     f"{', '.join(sorted(frozen.outputs))}. Leave out --out.")
  if not classifies and "score" not in frozen.outputs:
    raise InputError(f"the model has neither 'classify' nor 'score' among its signatures: "
                     f"{', '.join(sorted(frozen.outputs))}.")
  feeds = {"images": np.concatenate([found for found, _ in read])}
  values = graph.call(frozen, "classify" if classifies else "score", feeds)
  if args.out:
    values.update(graph.call(frozen, "reconstruct", feeds))
  if not classifies and not args.json:
    print(f"score: {frozen.outputs['score']['score'].meaning}")
    if subject.threshold is not None:
      print(f"anomaly: a score above {subject.threshold:.6g}")
  rows = ({name: value[row] for name, value in values.items()}
          for row in range(len(feeds["images"])))
  for path, (found, notes), of_path in zip(paths, read, outs):
    for index, out in enumerate(of_path):
      result = {"image": path} if len(found) == 1 else {"image": path, "index": index}
      _add(result, next(rows), out, wanted.max_value, subject.class_names)
      if args.json:
        print(json.dumps({**result, "notes": notes}))
      else:
        _print(result, subject.class_names)
  return 0


def _add(result, values, out, max_value, class_names):
  """Adds to `result`, JSON values, what the model says of one image; writes its reconstruction."""
  if "classes" in values:
    result.update({"class": int(values["classes"]),
                   "probabilities": [float(p) for p in values["probabilities"]]})
    if class_names:
      result["class_name"] = _called(result["class"], class_names)
  else:
    result["score"] = float(values["score"])
    if thresholds.OUTPUT in values:
      result[thresholds.OUTPUT] = bool(values[thresholds.OUTPUT])
  if out:
    images.write_png(out, values["reconstruction"], max_value)
    result["reconstruction"] = str(out)


def _outs(out, paths, counts):
  """Returns for each path the list of its PNG files, None each without --out."""
  if not out:
    return [[None] * count for count in counts]
  out = pathlib.Path(out)
  if out.suffix.lower() in _OTHER_FILES and not out.is_dir():
    raise InputError(f"--out={out}: reconstructions are .png files. Name "
                     f"{out.with_suffix('.png')}, or for several images a folder.")
  if out.suffix.lower() == ".png":
    if sum(counts) > 1:
      raise InputError(f"--out={out}: is one file, there are {sum(counts)} images. Name a folder.")
    outs = [[out]]
  else:
    outs = [[out / f"{pathlib.Path(path).stem}{'' if count == 1 else f'-{index}'}.png"
             for index in range(count)] for path, count in zip(paths, counts)]
  names = [name for of_path in outs for name in of_path]
  twice = sorted({str(name) for name in names if names.count(name) > 1})
  if twice:
    raise InputError(f"--out={out}: two images would be written as {twice[0]}. Predict them one "
                     "after the other, into two folders.")
  sources = {pathlib.Path(path).resolve() for path in paths}
  for name in names:
    if name.resolve() in sources:
      raise InputError(f"--out={out}: {name} is an image that is read. Choose another place.")
  folder = names[0].parent
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise InputError(f"--out={out}: can't be made ({error.strerror}). Choose another.") from None
  return outs


def _called(label, class_names):
  """Returns the name of a class; its number, as text, if they have none."""
  return class_names[label] if class_names else str(label)


def _print(result, class_names):
  name = result["image"] + (f"[{result['index']}]" if "index" in result else "")
  if "class" in result:
    probabilities = "  ".join(f"{_called(label, class_names)}: {p:.4f}"
                              for label, p in enumerate(result["probabilities"]))
    print(f"{name}: class {_called(result['class'], class_names)}    {probabilities}")
  else:
    written = f", reconstruction {result['reconstruction']}" if "reconstruction" in result else ""
    verdict = {True: ", an anomaly", False: ", no anomaly"}.get(result.get(thresholds.OUTPUT), "")
    print(f"{name}: score {result['score']:.6g}{verdict}{written}")


def run():
  """The console script."""
  cli.run(main, positional=True)


if __name__ == "__main__":
  run()
