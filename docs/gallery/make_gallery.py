"""Makes the pictures of this folder again: trains the runs that are missing, draws, shrinks.

    make gallery
    python docs/gallery/make_gallery.py --runs=runs/gallery [--list]

It writes README.md here too; --list prints the table of the README above and makes nothing. The
runs are those of RUNS below. Each picture is a view of one of them (tfae-figures --list), at most
720 pixels wide. explorer.png and report.png are not made here: they are what Chromium shows.
"""

import argparse
import io
import pathlib
import shlex
import subprocess
import sys

from PIL import Image

from tfae import film
from tfae.views.catalogue import BY_NAME

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[1]
_WIDTH, _COLOURS = 720, 256
_ROW = 3  # pictures in a row of the README's table
TRAIN, ANOMALY = "tfae-train", "tfae-anomaly"
# Of all 60,000 training images, where S18 takes every tenth.
_VAE = ("--config=s18_dense_vae_best.py", "--config.data.train_range=(0,60000,1)",
        "--config.data.validation=5000", "--config.epochs=8")
# Name of a run: (program, flags). Configs are those of the package.
RUNS = {
    "plane": (TRAIN, _VAE),
    "latent_10": (TRAIN, (*_VAE, "--config.model.latent=10")),
    "tied_dense": (TRAIN, ["--config=mnist_tied_dense.py"]),
    "tied_conv": (TRAIN, ["--config=mnist_tied_conv.py"]),
    "denoising": (TRAIN, ["--config=s16_denoising.py"]),
    "classifier": (TRAIN, ["--config=s10_simple_cnn.py", "--config.epochs=3",
                           "--config.data.validation=5000"]),
    "conv_denoising": (TRAIN, ["--config=mnist_conv_transpose.py", "--config.epochs=2",
                               "--config.corruption.name=masking",
                               "--config.corruption.rate=0.5"]),
    "conv_pool": (TRAIN, ["--config=s17_conv_autoencoder.py"]),
    "one_class": (ANOMALY, ["--config=one_class_mnist.py", "--normal_class=3"]),
}
# Name of a run: its views.
VIEWS = {
    "tied_dense": ["samples", "montage", "mean", "one_hot", "tsne"],
    "latent_10": ["loss", "squared_error", "neighbours", "interpolation", "bilinear", "prior", "kl",
                  "code_values"],
    "classifier": ["accuracy", "framed", "confusion", "responses"],
    "conv_pool": ["reconstructions", "best_worst", "code_maps"],
    "conv_denoising": ["restored"],
    "denoising": ["encoder_weights", "decoder_weights"],
    "plane": ["scatter", "manifold"],
    "tied_conv": ["filters", "deeper_filters", "maximisation", "diagram"],
    "one_class": ["scores", "roc", "precision_recall"],
}
# Further pictures: name: (run, view, flags).
MORE = {
    "maximisation_classes": ("classifier", "maximisation", ["--layer=head/layer_1"]),
}
FILM = "plane"  # the run whose film is shown


def commands():
  """Returns {name of a picture: (run, view, flags)}, all of them."""
  found = {view: (run, view, []) for run, views in VIEWS.items() for view in views}
  return {**{view: found[view] for view in BY_NAME}, **MORE}


def table():
  """Returns the Markdown of the gallery in the README of the repository, three pictures a row."""
  names, lines = list(commands()), ["| " * _ROW + "|", f"|{'---|' * _ROW}"]
  for start in range(0, len(names), _ROW):
    cells = []
    for name in names[start:start + _ROW]:
      _, view, flags = commands()[name]
      cells.append(f'<img src="docs/gallery/{_file(name)}" alt="{BY_NAME[view].title}" '
                   f'width="260"><br>`{" ".join([f"--only={view}", *flags])}`')
    lines.append("| " + " | ".join(cells) + " |")
  lines += ["", f"Every run that gives images back has a film, W/{film.GIF}; this is that of `{FILM}`:",
            "", '<img src="docs/gallery/film.gif" alt="ten test images over their reconstructions, '
            'from step 0 to the end of training" width="600">']
  return "\n".join(lines) + "\n"


def readme():
  """Returns the Markdown of README.md beside the pictures: each with its commands."""
  lines = ["# Gallery", "",
           "Each picture: one view of a run on MNIST, made by the command above it. `make gallery`",
           "makes them again; `tfae-figures --list` lists all views.", "", "## Runs", ""]
  for name, (program, flags) in RUNS.items():
    lines.append(f"    {program} --workdir=runs/gallery/{name} {shlex.join(flags)}")
  for name, (run, view, flags) in commands().items():
    lines += ["", f"## {name}", "", BY_NAME[view].title[0].upper() + BY_NAME[view].title[1:] + ".",
              "", f"    tfae-figures --workdir=runs/gallery/{run} " +
              " ".join([f"--only={view}", *flags]), "", f"![{name}]({_file(name)})"]
  lines += ["", "## film", "", f"What training itself wrote: runs/gallery/{FILM}/{film.GIF}.", "",
            "![film](film.gif)"]
  return "\n".join(lines) + "\n"


def _file(name):
  return name + (".svg" if name == "diagram" else ".png")


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--runs", default="runs/gallery", help="folder of the runs")
  parser.add_argument("--list", action="store_true", help="only print the table")
  arguments = parser.parse_args()
  if arguments.list:
    print(table(), end="")
    return
  runs = pathlib.Path(arguments.runs).absolute()
  (FOLDER / "README.md").write_text(readme(), encoding="utf-8")
  for name, (program, flags) in RUNS.items():
    if not (runs / name / "config.json").exists():
      _run(program, f"--workdir={runs / name}", *flags)
  for run, views in VIEWS.items():
    _draw(runs / run, views, {view: view for view in views})
  for name, (run, view, flags) in MORE.items():
    _draw(runs / run, [view], {view: name}, *flags)
  (FOLDER / "film.gif").write_bytes((runs / FILM / film.GIF).read_bytes())
  pictures = [path for path in FOLDER.iterdir() if path.suffix in (".png", ".svg", ".gif")]
  print(f"{len(pictures)} pictures, {sum(path.stat().st_size for path in pictures):,} bytes")


def _run(program, *arguments):
  # As a module: programs need not be installed.
  module = f"tfae.bin.{program.removeprefix('tfae-')}"
  subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=ROOT)


def _draw(workdir, views, names, *flags):
  out = workdir / "gallery"
  _run("tfae-figures", f"--workdir={workdir}", f"--only={','.join(views)}", f"--out={out}", *flags)
  for view, name in names.items():
    for path in out.glob(f"{view}.*"):
      content = path.read_bytes()
      (FOLDER / (name + path.suffix)).write_bytes(
          _small(content) if path.suffix == ".png" else content)


def _small(content):
  """Returns a PNG no wider than _WIDTH, with a palette if that is smaller."""
  image = Image.open(io.BytesIO(content)).convert("RGB")
  if image.width > _WIDTH:
    image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)),
                         Image.Resampling.LANCZOS)
  grey = image.convert("L")
  found = [image, image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)]
  if image.tobytes() == grey.convert("RGB").tobytes():
    found = [grey]
  encoded = []
  for candidate in found:
    buffer = io.BytesIO()
    candidate.save(buffer, "PNG", optimize=True)
    encoded.append(buffer.getvalue())
  return min(encoded, key=len)


if __name__ == "__main__":
  main()
