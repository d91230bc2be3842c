"""No file of the library, the configs or the export programs names Keras."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]
WORD = "ker" + "as"


def naming(paths):
  return [str(path) for path in paths if WORD in path.read_text(encoding="utf-8").lower()]


def test_no_source_names_keras():
  paths = [path for folder in ("tfae", "configs", "export")
           for path in sorted((ROOT / folder).rglob("*.py"))]
  assert len(paths) > 30  # it did look
  assert naming(paths) == []


def test_a_source_that_names_keras_would_be_found(tmp_path):
  path = tmp_path / "layer.py"
  path.write_text(f"import tensorflow as tf\nlayer = tf.{WORD}.layers.Dense(3)\n")
  assert naming([path]) == [str(path)]
