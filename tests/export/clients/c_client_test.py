"""The C client, built against the C API of the installed TensorFlow."""

import shutil
import subprocess

import numpy as np
import pytest

import export_toy
from check_saved_model import difference
from runtimes import c_client
from runtimes.table import CLIENTS

SOURCES = CLIENTS / "c"

@pytest.fixture(scope="module")
def copy(tmp_path_factory):
  """A program that reads a .npy file and writes it: without TensorFlow, which is slow to start."""
  if not shutil.which("gcc"):
    pytest.skip("no gcc")
  folder = tmp_path_factory.mktemp("npy")
  (folder / "copy.c").write_text('''
#include <stdio.h>
#include "npy.h"
int main(int argc, char** argv) {
  Array array;
  const char* problem = ReadNpy(argv[argc - 2], &array);
  if (!problem) problem = WriteNpy(argv[argc - 1], &array);
  if (problem) printf("%s", problem);
  return problem != NULL;
}
''')
  done = subprocess.run(["gcc", "-fsanitize=undefined", "-I", SOURCES, folder / "copy.c",
                         SOURCES / "npy.c", "-o", folder / "copy"], capture_output=True, text=True,
                        check=False)
  assert done.returncode == 0, done.stderr

  def call(source, target):
    done = subprocess.run([folder / "copy", source, target], capture_output=True, text=True,
                          check=False)
    assert not done.stderr
    return done.stdout
  return call


def run(program, *arguments):
  done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True,
                        check=False, timeout=60)
  own = [line for line in done.stderr.splitlines() if line.startswith("client: ")]
  return done.returncode, done.stdout, own


def test_it_answers_as_the_live_model_does_and_writes_what_numpy_reads(c_program, export, toy,
                                                                       tmp_path):
  images = export_toy.examples(3)
  np.save(tmp_path / "images.npy", images)
  code, out, errors = run(c_program, export, "encode", f"images={tmp_path}/images.npy",
                          f"--out={tmp_path}/new", "--calls=5")
  assert (code, errors) == (0, [])
  assert out.splitlines()[0] == "codes <f4 [3, 8]"
  assert difference(np.load(tmp_path / "new/codes.npy"), toy.encode(images).numpy()) <= 1e-5
  figures = c_client.figures(out)
  assert set(figures) == {"load_ms", "first_ms", "main_to_answer_ms", "p50_ms", "p99_ms",
                          "resident_mb"}
  assert 0 < figures["p50_ms"] <= figures["p99_ms"]
  assert figures["load_ms"] + figures["first_ms"] <= figures["main_to_answer_ms"] + .01


def test_a_scalar_for_each_example_is_written_with_its_shape(c_program, export, toy, tmp_path):
  images = export_toy.examples(2)
  np.save(tmp_path / "images.npy", images)
  code, out, _ = run(c_program, export, "score", f"images={tmp_path}/images.npy",
                     f"--out={tmp_path}")
  assert (code, out) == (0, "error <f4 [2]\n")
  found = np.load(tmp_path / "error.npy")
  assert difference(found, toy.score(images)["error"].numpy()) <= 1e-5


def test_whether_an_image_is_an_anomaly_is_written_as_an_integer(c_program, judging_export,
                                                                 tmp_path):
  np.save(tmp_path / "images.npy", export_toy.examples(100))
  code, out, _ = run(c_program, judging_export, "score", f"images={tmp_path}/images.npy",
                     f"--out={tmp_path}")
  assert code == 0 and sorted(out.splitlines()) == ["is_anomaly <i4 [100]", "score <f4 [100]"]
  found = np.load(tmp_path / "is_anomaly.npy")
  assert found.sum() == 10  # a tenth of them, as the threshold was chosen
  assert np.load(tmp_path / "score.npy")[found == 1].min() > np.load(
      tmp_path / "score.npy")[found == 0].max()


def test_a_mistake_is_a_line_of_its_own_and_exit_code_2(c_program, export, tmp_path):
  np.save(tmp_path / "bytes.npy", export_toy.examples(1).astype(np.uint8))
  np.save(tmp_path / "good.npy", export_toy.examples(1))
  np.save(tmp_path / "flat.npy", export_toy.examples(1)[0])
  np.save(tmp_path / "wide.npy", np.zeros((2, 56, 14, 1), np.float32))
  images = f"images={tmp_path}/"
  for arguments, message in (
      ([tmp_path, "encode", images + "good.npy"], "Could not find SavedModel"),
      ([export, "enc", images + "good.npy"], "signature enc: expected one of "),
      ([export, "encode", f"image={tmp_path}/good.npy"], "the signature takes images: add"),
      ([export, "encode", images + "flat.npy"], "another shape than the model's [-1, 28, 28, 1]"),
      ([export, "encode", images + "wide.npy"], "another shape than the model's [-1, 28, 28, 1]"),
      ([export, "encode", images + "bytes.npy"], "values of type |u1, the model takes <f4")):
    code, out, errors = run(c_program, *arguments)
    assert (code, len(errors)) == (2, 1), (arguments, out)
    assert message in errors[0], errors


@pytest.mark.parametrize("dtype", ["<f4", "<i8", "|u1", "|b1"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4, 5)])
def test_arrays_are_read_and_written_as_numpy_has_them(copy, tmp_path, dtype, shape):
  array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
  np.save(tmp_path / "a.npy", array)
  assert copy(tmp_path / "a.npy", tmp_path / "b.npy") == ""
  found = np.load(tmp_path / "b.npy")
  assert found.dtype == array.dtype
  np.testing.assert_array_equal(found, array)
  assert (tmp_path / "b.npy").stat().st_size == (tmp_path / "a.npy").stat().st_size


def test_a_damaged_array_is_told_and_nothing_is_allocated_for_what_it_only_claims(copy, tmp_path):
  np.save(tmp_path / "good.npy", np.ones((1, 28, 28, 1), np.float32))
  good = (tmp_path / "good.npy").read_bytes()
  not_npy = "not a .npy file of a row-major array of numbers"
  for content, message in (
      (good[:-1], "shorter than its header says"),
      (good[:40], not_npy), (good[:9], not_npy), (b"", not_npy), (b"text" * 40, not_npy),
      (good.replace(b"(1, 28, 28, 1)", b"(461168601842,"), not_npy),
      (good.replace(b"(1, 28, 28, 1)", b"(461168601842)"), "shorter than its header says"),
      (good.replace(b"(1, 28, 28, 1)", b"(9223372036854775807, 4)"), not_npy),
      (good.replace(b"(1, 28, 28, 1)", b"(1, -8, 28, 1)"), not_npy),
      (good.replace(b"False", b"True "), not_npy), (good.replace(b"'<f4'", b"'|O8'"), not_npy)):
    (tmp_path / "bad.npy").write_bytes(content)
    assert copy(tmp_path / "bad.npy", tmp_path / "b.npy") == message, content[:80]
  assert copy(tmp_path / "none.npy", tmp_path / "b.npy") == "No such file or directory"
  assert copy(tmp_path / "good.npy", tmp_path / "none/b.npy") == "No such file or directory"
