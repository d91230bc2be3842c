"""The C++ client and the ahead-of-time client: programs that are built, and answer as the model."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

import convert_saved_model as converting
import export_toy
from check_saved_model import difference
from converters import targets
from runtimes import aot_client, c_client
from runtimes.table import RUNTIMES

pytestmark = pytest.mark.full


def call(command):
  done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
  own = [line for line in done.stderr.splitlines() if line.startswith("client: ")]
  return done.returncode, done.stdout, own


@pytest.fixture(scope="module")
def programs(export, images, tmp_path_factory):
  """{name: command before the signature}."""
  if RUNTIMES["cpp"].missing():
    pytest.skip(RUNTIMES["cpp"].missing())
  folder = tmp_path_factory.mktemp("native")
  subprocess.run(c_client.build_command(folder / "cpp", "cpp"), check=True)
  made = {"cpp": [folder / "cpp", export]}
  if not aot_client.missing():
    arguments = [f"--saved_model={export}", f"--examples={images}", f"--out={folder}", "--to=aot"]
    assert converting.main(arguments) == 0
    subprocess.run(aot_client.build_command(pathlib.Path(c_client.CLIENTS), folder / "aot",
                                            folder / "compiled"), check=True)
    described = json.loads((folder / "aot/signature.json").read_text())["signatures"]
    assert {entry["batch"] for entry in described.values()} == {1}
    made["aot"] = [folder / "compiled"]
  return made


@pytest.mark.parametrize("name", ["cpp", "aot"])
def test_it_answers_as_the_live_model_does(programs, toy, tmp_path, name):
  if name not in programs:
    pytest.skip(aot_client.missing())
  images = export_toy.examples(3)
  np.save(tmp_path / "images.npy", images)
  code, out, errors = call([*programs[name], "encode", f"images={tmp_path}/images.npy",
                            f"--out={tmp_path}/new", "--calls=5"])
  assert (code, errors) == (0, [])
  assert "codes <f4 [3, 8]" in out
  assert difference(np.load(tmp_path / "new/codes.npy"), toy.encode(images).numpy()) <= 1e-5
  assert c_client.figures(out)["resident_mb"] > 0


@pytest.mark.parametrize("name", ["cpp", "aot"])
def test_a_mistake_is_a_line_of_its_own_and_exit_code_2(programs, tmp_path, name):
  if name not in programs:
    pytest.skip(aot_client.missing())
  np.save(tmp_path / "bytes.npy", export_toy.examples(1).astype(np.uint8))
  np.save(tmp_path / "wide.npy", np.zeros((2, 56, 14, 1), np.float32))
  for arguments, message in (
      (["encode", f"images={tmp_path}/wide.npy"], "shape"),
      (["enc", "images=a.npy"], "signature enc: expected one of "),
      (["encode", "image=a.npy"], "the signature takes images: add"),
      (["encode", f"images={tmp_path}/bytes.npy"], "values of type |u1, the model takes <f4")):
    code, _, errors = call([*programs[name], *arguments])
    assert (code, len(errors)) == (2, 1)
    assert message in errors[0]


def test_a_folder_that_is_no_model_is_said_before_anything_is_built(tmp_path):
  (tmp_path / "client").write_text("of another model, and newer")
  done = subprocess.run(["make", "-C", pathlib.Path(c_client.CLIENTS, "aot"), f"ABSL={tmp_path}",
                         f"TF={tmp_path}", f"MODEL={tmp_path}/none", f"PROGRAM={tmp_path}/client"],
                        capture_output=True, text=True, check=False)
  assert done.returncode == 2 and "none: no signature.json there" in done.stderr


def test_without_abseil_the_line_says_how_to_get_it(monkeypatch):
  monkeypatch.delenv("ABSL", raising=False)
  if "not installed" in (aot_client.missing() or ""):
    pytest.skip("no g++")
  assert "ABSL names no sources of Abseil: pip download" in targets.TARGETS["aot"].missing()
