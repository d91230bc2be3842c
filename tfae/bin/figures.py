"""tfae-figures: pictures of a run: its data, its training, its results, its codes, its inside.

    tfae-figures --list
    tfae-figures --workdir=W [--only=montage,scatter] [--tsne] [--out=W/figures] [--checkpoint=best]
    tfae-figures --workdir=W --only=responses --image=digit.png --layer=encoder/layer_1

Each view is a file NAME.png (the diagram an .svg). What does not apply to a run is said with its
reason; exit code 1 if that was asked for with --only. t-SNE takes seconds, so it is drawn only
where it is asked for. A run in training is not disturbed.
"""

import pathlib
import sys
import time

from absl import flags
import numpy as np

from tfae import files, inspection
from tfae.bin import cli
from tfae.errors import InputError

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_bool("list", False, "Only list the views: name, section, what it shows.")
flags.DEFINE_list("only", None, "Names of views with commas between them. Not set: all but t-SNE.")
flags.DEFINE_bool("tsne", False, "Draw t-SNE too.")
flags.DEFINE_string("out", None, "Folder for the pictures. Not set: figures/ in the run's folder.")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_string("device", "auto", "Where to compute.")
flags.DEFINE_integer("images", 1000, "At most so many test images.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Of which images, of samples and of t-SNE.", lower_bound=0)
flags.DEFINE_string("image", None, "A file whose responses are drawn. Not set: a test image.")
flags.DEFINE_bool("resize", False, "Bring an image of another size to the model's.")
flags.DEFINE_bool("invert", False, "Turn bright into dark in the image.")
flags.DEFINE_string("layer", None, "Whose responses and maximisation are drawn, such as "
                    "encoder/layer_1. Not set: the encoder's last convolution or Dense.")

_OF_LAYER, _OF_IMAGE = ("responses", "maximisation"), ("responses",)


def main():
  args = flags.FLAGS
  from tfae.views import catalogue  # not before --help, for matplotlib's sake
  if args.list:
    for view in catalogue.VIEWS:
      print(f"{view.name:16} {view.section:9} {view.title}"
            + (" (only when asked for)" if view.asked else ""))
    return 0
  workdir = cli.required("workdir")
  views = catalogue.chosen(args.only, ("tsne",) if args.tsne else ())
  if not views:
    raise InputError("--only=: names no view. Leave it out for all; --list says which there are.")
  for flag, names in (("layer", _OF_LAYER), ("image", _OF_IMAGE)):
    if getattr(args, flag) and not any(view.name in names for view in views):
      raise InputError(f"--{flag}={getattr(args, flag)}: has no effect on "
                       f"{', '.join(view.name for view in views)}. It is for "
                       f"{' and '.join(names)}.")
  for flag in ("resize", "invert"):
    if getattr(args, flag) and not args.image:
      raise InputError(f"--{flag}: has no effect without --image=FILE. Leave it out.")
  from tfae.views import picture
  from tfae.views.material import Material
  material = Material(workdir, args.checkpoint, args.data_dir, images=args.images, seed=args.seed,
                      device=args.device, layer=args.layer)
  if args.image:
    material.image = _image(workdir, args.image)
  out = _folder(args.out or pathlib.Path(workdir) / "figures")
  if material.without_data:
    print(f"without the data: {material.without_data} Drawn from the images that the run keeps, "
          "without labels.", file=sys.stderr)
  cli.import_tensorflow()  # not before the input has been checked
  _check(args.checkpoint, workdir)
  if args.layer and not material.reason("model"):
    from tfae.views import responses
    responses.layer_of(material.model, args.layer)
  began, drawn, missing = time.monotonic(), 0, []
  for view in views:
    start = time.monotonic()
    try:
      reason = view.reason(material)
      if reason is None:
        suffix, content = picture.encoded(view.draw(material))
    except InputError as error:  # of the user's files, such as weights that are not finite
      reason = str(error)
    if reason:
      print(f"{view.name}: not drawn: {reason}")
      missing.append(view.name)
      continue
    files.write(out / (view.name + suffix), content)
    drawn += 1
    print(f"{out / (view.name + suffix)}: {len(content):,} bytes, "
          f"{time.monotonic() - start:.2f} s", flush=True)
  print(f"{drawn} of {len(views)} views in {time.monotonic() - began:.1f} s")
  return int(bool(missing and args.only is not None))


def _check(checkpoint, workdir):
  """Raises InputError for a checkpoint that the run does not have."""
  from tfae import checkpoint as checkpoints
  steps = [*map(str, checkpoints.steps(pathlib.Path(workdir) / "checkpoints"))]
  if checkpoint not in ("latest", "best", *steps):
    raise InputError(f"--checkpoint={checkpoint}: expected 'latest', 'best' or one of the steps "
                     f"{', '.join(steps)}.")


def _image(workdir, path):
  """Returns the image of a file, float32 `[1, height, width, channels]` in [0, 1]."""
  wanted = inspection.Run(workdir).wanted
  (found, notes), = cli.read_images([path], wanted)
  cli.say_notes(path, notes)
  if len(found) != 1:
    raise InputError(f"--image={path}: holds {len(found)} images. Give one.")
  return np.asarray(found / wanted.max_value, np.float32)


def _folder(path):
  """Makes and returns the folder for the pictures."""
  path = pathlib.Path(path)
  try:
    path.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise InputError(f"--out={path}: can't be made ({error.strerror}). Choose another.") from None
  return path


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
