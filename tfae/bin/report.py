"""tfae-report: all that a run's folder says of the run, in one HTML file that needs nothing else.

    tfae-report --workdir=W [--out=W/report.html] [--saved_model=D/1] [--checkpoint=latest] [--tsne]

What was trained, on what, how it went, what the model does, how to repeat it. Also of a run that is
in training, was interrupted, diverged, or was made by tfae.fit. Opens in any browser, offline.
"""

import pathlib
import sys
import time

from absl import flags

from tfae import files, sessions
from tfae.bin import cli
from tfae.errors import InputError
from tfae.report import export as exports
from tfae.report import facts, page
from tfae.views.material import Material

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_string("out", None, "The HTML file. Default: report.html in the run's folder.")
flags.DEFINE_string("saved_model", None, "An export of the run; it is compared with the run.")
flags.DEFINE_string("checkpoint", "latest", "Whose weights the pictures show: latest, best or a "
                    "step.")
flags.DEFINE_string("data_dir", None, "Where to look for the data first.")
flags.DEFINE_bool("tsne", False, "Draw the t-SNE of the codes too, which takes longest.")


def main():
  args = flags.FLAGS
  workdir = cli.required("workdir")
  run = facts.gather(workdir)
  out = cli.html_file(args.out or pathlib.Path(workdir) / "report.html")
  exported = exports.read(cli.required("saved_model"), run) if args.saved_model else None
  material = Material(workdir, args.checkpoint, args.data_dir)
  _check(args.checkpoint, run)
  cli.import_tensorflow()  # not before the input has been checked
  from tfae.report import curves, pictures
  if exported:
    exported = exports.check(exported, run)
  drawn = (*pictures.draw(material, args.tsne), *pictures.film(workdir))
  notes = [note for note in (_data(material), run.rise) if note]
  text = page.page(run, sessions.versions(), drawn, curves.draw(run), exported,
                   shown=_shown(material), notes=notes, written=time.time())
  files.write(out, text)
  print(f"{out}: {len(text) / 1e6:.1f} MB; {run.state.text}")
  failed = [f"{c.signature}/{c.output}" for c in exported.checks if not c.passed] if exported else []
  if failed:
    print(f"{args.saved_model}: does not compute what the run does: {', '.join(failed)}; exit code "
          "1.", file=sys.stderr)
  return int(bool(failed))


def _shown(material):
  """Returns which weights and images the pictures show, in a sentence."""
  if material.reason("model") or material.reason("images"):
    return None
  return (f"Of the weights of step {material.step:,} and {len(material.images):,} test images, "
          "chosen at random.")


def _data(material):
  """Returns why the data can't be shown, and the way out, in sentences; '' where they can."""
  if not material.without_data:
    return ""
  found = "--data_dir=DIR says where they are." if material.experiment else ""
  return ("The data of the run can't be had, so the pictures are of the test images that it keeps, "
          f"without labels. {material.without_data} {found}").rstrip()


def _check(checkpoint, run):
  """Raises InputError for a checkpoint that is not there, before TensorFlow is asked."""
  steps = [str(c.step) for c in run.checkpoints]
  if checkpoint not in ("latest", "best", *steps):
    raise InputError(f"--checkpoint={checkpoint}: expected 'latest', 'best' or one of the steps "
                     f"{', '.join(steps)}.")


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
