"""The Python clients: they answer as the live model does, and know no name of any model."""

import ast
import importlib
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

import command
import export_toy
import tf1_client
import tf_client
from check_saved_model import difference

CLIENTS = pathlib.Path(command.__file__).parent


@pytest.fixture(scope="module", params=[tf_client, tf1_client], ids=["tf", "tf1"])
def functions(request, export):
  return request.param.load(export)


def test_every_signature_answers_as_the_live_model_does_at_any_batch(functions, toy):
  inputs, references = export_toy.fed(toy)
  assert sorted(functions) == sorted(references)
  for key, expected in references.items():
    for batch in (1, 3):
      found = functions[key](**{name: value[:batch] for name, value in inputs[key].items()})
      assert sorted(found) == sorted(expected)
      for name, value in found.items():
        assert difference(value, expected[name].numpy()[:batch]) <= 1e-5, (key, name)


def test_encoded_images_are_files_of_the_command_line(raw_export, tmp_path):
  pixels = np.random.default_rng(1).integers(0, 256, (2, 28, 28)).astype(np.uint8)
  for name, image in zip("ab", pixels):
    Image.fromarray(image).save(tmp_path / f"{name}.png")
  for client in (tf_client, tf1_client):
    functions = client.load(raw_export)
    command.main(lambda _: functions, "doc",
                 [str(raw_export), "reconstruct_bytes",
                  f"image_bytes={tmp_path}/a.png,{tmp_path}/b.png", f"--out={tmp_path}"])
    expected = functions["reconstruct"](images=pixels[..., None].astype(np.float32))
    found = np.load(tmp_path / "reconstruction.npy")
    assert difference(found, expected["reconstruction"]) <= 1e-5


def test_the_command_line_prints_each_output_and_writes_it(export, toy, tmp_path, capsys):
  images = export_toy.examples(2)
  np.save(tmp_path / "images.npy", images.astype(np.float64))
  fed = []

  def load(directory):
    encode = tf1_client.load(directory)["encode"]
    return {"encode": lambda images: fed.append(images.dtype) or encode(images=images)}

  command.main(load, "doc", [str(export), "encode", f"images={tmp_path}/images.npy",
                             f"--out={tmp_path}/out"])
  assert fed == [np.float32]  # as signature.json states
  codes = np.load(tmp_path / "out/codes.npy")
  assert difference(codes, toy.encode(images).numpy()) <= 1e-5
  assert capsys.readouterr().out.startswith("codes float32 [2, 8] [")


@pytest.mark.parametrize("program, module, extra", [
    ("clients/grpc_client.py", "grpc", "serving"), ("score_beam.py", "apache_beam", "beam")])
def test_without_its_extra_a_program_says_how_to_get_it(program, module, extra):
  path = CLIENTS.parent / program
  done = subprocess.run(
      [sys.executable, "-c", f"import sys, runpy; sys.modules[{module!r}] = None\n"
       f"runpy.run_path({str(path)!r}, run_name='__main__')"],
      capture_output=True, text=True, check=False)
  assert (done.returncode, done.stdout) == (2, "")
  assert done.stderr.rstrip().endswith(f"is not installed: pip install 'tfae[{extra}]'")


def test_what_a_runtime_raises_is_one_line(export, tmp_path):
  np.save(tmp_path / "images.npy", export_toy.examples(1))

  def load(directory):
    raise RuntimeError("many\nlines")

  with pytest.raises(command.UserError, match="encode images=.*: RuntimeError: many lines$"):
    command.main(load, "doc", [str(export), "encode", f"images={tmp_path}/images.npy"])
  shutil.copytree(export, tmp_path / "1")
  (tmp_path / "1/signature.json").write_text("{")
  with pytest.raises(command.UserError, match="signature.json: damaged"):
    command.main(load, "doc", [str(tmp_path / "1"), "encode", f"images={tmp_path}/images.npy"])


@pytest.mark.parametrize("dtype, values, said", [
    ("uint8", np.full((1, 2), 300.5), "float64 values, which uint8 does not hold"),
    ("uint8", np.array([[-1, 0]]), "int64 values, which uint8 does not hold"),
    ("uint8", np.array([[256, 0]]), "int64 values, which uint8 does not hold"),
    ("float32", np.array([[1j, 0]]), "complex128 values, which float32 does not hold"),
    ("float32", np.array([["a", "b"]]), "<U1 values, which float32 does not hold"),
    ("uint8", np.array([[255, 0]]), None), ("float32", np.array([[7, 0]]), None)])
def test_numbers_that_the_model_does_not_take_are_refused(tmp_path, dtype, values, said):
  np.save(tmp_path / "x.npy", values)
  entry = {"dtype": dtype, "shape": [None, 2]}
  if said:
    with pytest.raises(command.UserError, match=said):
      command.read_array("x", tmp_path / "x.npy", entry)
  else:
    np.testing.assert_array_equal(command.read_array("x", tmp_path / "x.npy", entry), values)


def test_a_mistake_is_one_line_before_anything_is_loaded(export, tmp_path):
  (tmp_path / "text.npy").write_text("text")
  np.save(tmp_path / "wide.npy", np.zeros((2, 28, 29, 1)))
  good = export_toy.examples(1)
  np.save(tmp_path / "good.npy", good)
  load = lambda directory: pytest.fail("it was loaded")
  for arguments, message in (
      ([export, "encode"], "required: INPUT=FILE"),
      ([tmp_path, "encode", "images=a.npy"], "no signature.json"),
      ([export, "enc", "images=a.npy"], "signature='enc': expected one of decode, encode,"),
      ([export, "encode", f"image={tmp_path}/good.npy"], "encode takes images=FILE: found"),
      ([export, "encode", f"images={tmp_path}/text.npy"], "text.npy: not a .npy file"),
      ([export, "encode", f"images={tmp_path}/wide.npy"],
       r"shape \[2, 28, 29, 1\], expected \[any number, 28, 28, 1\]")):
    with pytest.raises(command.UserError, match=message):
      command.main(load, "doc", list(map(str, arguments)))


def test_run_ends_with_exit_code_2_and_one_line(export, monkeypatch, capsys):
  monkeypatch.setattr("sys.argv", ["onnx_client.py", str(export), "encode", "images=nowhere.npy"])
  with pytest.raises(SystemExit) as ending:
    command.run(None, "doc")
  assert ending.value.code == 2
  line, = capsys.readouterr().err.splitlines()
  assert line.startswith("onnx_client.py: ") and "nowhere.npy" in line


def names_in(source):
  """Returns the string constants of a source that are no docstring."""
  tree = ast.parse(source)
  docs = {id(node.body[0].value) for node in ast.walk(tree)
          if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node)}
  return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)
          and isinstance(node.value, str) and id(node) not in docs}


def test_no_client_names_a_signature_or_a_tensor_of_a_model(toy):
  own = set()
  for key, signature in toy.signatures().items():
    own |= {key, *signature.inputs, *signature.outputs}
  paths = sorted(CLIENTS.glob("*_client.py"))
  assert len(paths) >= 5
  for path in paths:
    assert not own & names_in(path.read_text(encoding="utf-8")), path


def test_a_client_that_names_a_signature_would_be_found():
  assert names_in('"""encode"""\ndef f(m):\n  """codes"""\n  return m["decode"]') == {"decode"}


def test_each_client_imports_one_runtime_and_its_doc_has_the_command():
  for path in sorted(CLIENTS.glob("*_client.py")):
    text = path.read_text(encoding="utf-8")
    roots = {name.name.split(".")[0] for node in ast.walk(ast.parse(text))
             if isinstance(node, ast.Import) for name in node.names}
    roots |= {node.module.split(".")[0] for node in ast.walk(ast.parse(text))
              if isinstance(node, ast.ImportFrom)}
    if path.stem == "grpc_client":  # asks a server: no model, so no command line of the others
      assert "tfae" not in roots, path
    else:
      assert len(roots - {"command", "json", "pathlib"}) == 1, path
    assert f"python export/clients/{path.name} " in text


@pytest.mark.parametrize("name", ["onnx_client", "litert_client", "openvino_client"])
def test_a_client_of_another_runtime_says_what_it_needs(name):
  source = importlib.util.find_spec(name).origin
  assert " Needs " in pathlib.Path(source).read_text(encoding="utf-8").replace("\n", " ")
