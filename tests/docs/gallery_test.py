"""The gallery has every view, is small, and its documents say how each picture was made."""

import importlib.util
import pathlib
import re

import numpy as np
from PIL import Image
import pytest

from tfae.views import catalogue

ROOT = pathlib.Path(__file__).parents[2]
GALLERY = ROOT / "docs/gallery"
_SPEC = importlib.util.spec_from_file_location("make_gallery", GALLERY / "make_gallery.py")
make_gallery = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_gallery)


def test_the_gallery_is_under_3_mb():
  assert sum(path.stat().st_size for path in GALLERY.iterdir()) < 3_000_000


@pytest.mark.parametrize("name", list(catalogue.BY_NAME))
def test_each_view_has_its_picture_in_the_gallery(name):
  path = GALLERY / f"{name}.{'svg' if name == 'diagram' else 'png'}"
  if path.suffix == ".svg":
    assert "tied" in path.read_text()
    return
  pixels = np.asarray(Image.open(path).convert("L"), np.float64)
  assert pixels.shape[1] <= 720 and pixels.std() > 5
  if name != "montage":
    # Nothing is cut: the edge is the paper.
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
      assert np.median(edge) > 250


def test_every_picture_is_of_a_run_that_is_trained_and_of_a_view_that_there_is():
  for run, view, flags in make_gallery.commands().values():
    assert run in make_gallery.RUNS and view in catalogue.BY_NAME
    assert all(flag.startswith("--layer=") for flag in flags)


def test_the_documents_are_those_that_the_script_writes():
  assert (GALLERY / "README.md").read_text() == make_gallery.readme()
  assert make_gallery.table() in (ROOT / "README.md").read_text()
  for name in re.findall(r'src="(docs/gallery/[^"]+)"', (ROOT / "README.md").read_text()):
    assert (ROOT / name).is_file(), name
