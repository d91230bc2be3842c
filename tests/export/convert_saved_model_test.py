"""The converter: what it writes answers as the SavedModel does, or is not written."""

import dataclasses
import hashlib
import importlib.util
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import check_saved_model
import convert_saved_model as converting
import export_toy
import graphdef_client
import parity
from check_saved_model import difference
from converters import graphdef, targets


@pytest.fixture
def convert(on_cpu, in_process, capfd):
  """Calls main() in this process; returns (exit code, stdout lines, stderr lines)."""
  def call(*arguments):
    code = converting.main(list(map(str, arguments)))
    captured = capfd.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()
  return call


def test_a_graphdef_answers_as_the_live_model_and_says_where_it_is_from(convert, export, images,
                                                                        toy, tmp_path):
  code, lines, errors = convert(f"--saved_model={export}", f"--examples={images}",
                                f"--out={tmp_path}/out", "--to=graphdef")
  assert (code, errors) == (0, []), lines
  folder = tmp_path / "out/graphdef"
  size = (folder / "graph.pb").stat().st_size
  assert lines[-1].startswith(f"{folder}: {size:,} bytes, largest difference ")
  source = json.loads((export / "signature.json").read_text())
  found = json.loads((folder / "signature.json").read_text())
  assert found["converted_from_sha256"] == source["saved_model_sha256"]
  assert found["converted_by"]["tensorflow"] == tf.__version__
  for key, signature in source["signatures"].items():
    assert found["signatures"][key] == {"file": "graph.pb", **signature}
  functions = graphdef_client.load(folder)
  inputs, references = export_toy.fed(toy)
  for key, expected in references.items():
    for name, value in functions[key](**inputs[key]).items():
      assert difference(value, expected[name].numpy()) <= 1e-5


def test_a_converted_model_that_answers_otherwise_gets_no_name_and_the_next_target_goes_on(
    convert, small_export, images, tmp_path, monkeypatch):
  def lie(reference, folder):
    entries = graphdef.convert(reference, folder)
    graph_def = tf.compat.v1.GraphDef.FromString((folder / "graph.pb").read_bytes())
    node, = (node for node in graph_def.node if node.name == "encoder/layer_0/kernel")
    kernel = tf.make_ndarray(node.attr["value"].tensor) * (1 + 2e-3)
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(kernel))
    (folder / "graph.pb").write_bytes(graph_def.SerializeToString())
    return entries

  def break_down(reference, folder):
    (folder / "half").write_text("half")
    raise RuntimeError("\nno such op: Warp\nand a page more")

  monkeypatch.setattr(graphdef, "lie", lie, raising=False)
  monkeypatch.setattr(graphdef, "break_down", break_down, raising=False)
  both = {"graphdef": targets.Target("graphdef", "graphdef", "lie"),
          "onnx": targets.Target("onnx", "graphdef", "break_down")}
  monkeypatch.setattr(converting, "TARGETS", both)
  code, lines, errors = convert(f"--saved_model={small_export}", f"--examples={images}",
                                f"--out={tmp_path}/out", "--to=graphdef,onnx")
  assert (code, errors, len(lines)) == (1, [], 2)
  assert re.match("FAIL: graphdef: signature reconstruct, output reconstruction, batch 1: differs "
                  "by [0-9.e-]+, the bound is ", lines[0])
  assert lines[1] == "FAIL: onnx: RuntimeError: no such op: Warp"
  assert not list((tmp_path / "out").iterdir())


def test_mistakes_are_one_line_and_exit_code_2_before_anything_is_converted(
    convert, export, images, tmp_path, monkeypatch):
  monkeypatch.setattr(converting.checker, "import_tensorflow", lambda: pytest.fail("too late"))
  np.save(tmp_path / "wide.npy", np.zeros((2, 28, 29)))
  (tmp_path / "out/litert").mkdir(parents=True)
  for name in ("onnx", "litert"):
    there = dataclasses.replace(targets.TARGETS[name], packages=())
    monkeypatch.setitem(targets.TARGETS, name, there)
  good = {"--saved_model": export, "--examples": images, "--out": tmp_path / "out",
          "--to": "graphdef"}
  for change, message in (
      ({"--to": "onx"}, "--to=onx: 'onx' is none of onnx, .* Did you mean onnx?"),
      ({"--to": ","}, "expected some of onnx"),
      ({"--to": "onnx,litert"}, "there is a litert already; remove .*out/litert, or choose"),
      ({"--saved_model": export.parent}, "not a SavedModel.* Did you mean"),
      ({"--examples": None}, "--examples: none given; .* --examples=W/examples.npy"),
      ({"--examples": tmp_path / "wide.npy"}, "--examples=.*wide.npy: found 28x29, expected"),
      ({"--out": None}, "required: --out")):
    arguments = [f"{flag}={value}" for flag, value in {**good, **change}.items() if value]
    code, lines, errors = convert(*arguments)
    assert (code, lines, len(errors)) == (2, [], 1), (change, errors)
    assert errors[0].startswith("convert_saved_model.py: ") and re.search(message, errors[0])
  assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["litert"]


def test_a_model_that_is_not_the_exported_one_or_can_do_more_than_compute_is_not_loaded(
    convert, export, images, tmp_path, monkeypatch):
  path = shutil.copytree(export, tmp_path / "1") / "saved_model.pb"
  model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
  model.meta_graphs[0].graph_def.node.add(name="write", op="WriteFile")
  path.write_bytes(model.SerializeToString())
  monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
  code, _, errors = convert(f"--saved_model={path.parent}", f"--examples={images}",
                            f"--out={tmp_path}/out", "--to=graphdef")
  assert code == 2 and "saved_model.pb is not the file that was exported" in errors[0]
  description = json.loads((path.parent / "signature.json").read_text())
  description["saved_model_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
  (path.parent / "signature.json").write_text(json.dumps(description))
  code, _, errors = convert(f"--saved_model={path.parent}", f"--examples={images}",
                            f"--out={tmp_path}/out", "--to=graphdef")
  assert code == 2
  assert errors[0].endswith("more than compute: WriteFile. If you trust whoever made it: "
                            "--allow_ops=WriteFile")
  with pytest.raises(pytest.fail.Exception):
    convert(f"--saved_model={path.parent}", f"--examples={images}", f"--out={tmp_path}/out",
            "--to=graphdef", "--allow_ops=WriteFile")


@pytest.mark.parametrize("name, said", [
    ("onnx", "tf2onnx and onnxruntime not installed: pip install 'tfae[onnx]'"),
    ("litert", "ai-edge-litert not installed: pip install 'tfae[litert]'"),
    ("litert_int8", "ai-edge-litert not installed: pip install 'tfae[litert]'"),
    ("openvino", "openvino not installed: pip install 'tfae[openvino]'")])
def test_what_is_not_installed_is_one_line_with_the_command(convert, export, images, tmp_path,
                                                            monkeypatch, name, said):
  monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
  code, lines, errors = convert(f"--saved_model={export}", f"--examples={images}",
                                f"--out={tmp_path}", f"--to=graphdef,{name}")
  assert (code, lines) == (2, [])
  assert errors == [f"convert_saved_model.py: --to={name}: {said}"]


def test_every_extra_that_a_target_names_is_one_of_setup_py():
  text = (pathlib.Path(__file__).parents[2] / "setup.py").read_text(encoding="utf-8")
  for target in targets.TARGETS.values():
    for _, package in target.packages:
      extra, = re.findall(rf'"{target.extra}": \[(.*)\]', text)
      assert f'"{package}' in extra


@pytest.mark.parametrize("program", [converting, parity, check_saved_model])
def test_ctrl_c_is_one_line_and_exit_code_130(program, monkeypatch, capsys):
  def interrupted(arguments):
    raise KeyboardInterrupt
  monkeypatch.setattr(program, "check" if program is check_saved_model else "run", interrupted)
  assert program.main([]) == 130
  line, = capsys.readouterr().err.splitlines()
  assert line.startswith(f"{program.__name__}.py: interrupted")


@pytest.mark.parametrize("change", [
    lambda signatures: signatures.update({"../evil": signatures["encode"]}),
    lambda signatures: signatures["encode"]["outputs"]["codes"].update(shape="x"),
    lambda signatures: signatures.pop("encode")])
def test_a_signature_json_that_says_other_than_the_model_is_refused(convert, export, images,
                                                                    tmp_path, change):
  shutil.copytree(export, tmp_path / "1")
  path = tmp_path / "1/signature.json"
  description = json.loads(path.read_text())
  change(description["signatures"])
  path.write_text(json.dumps(description))
  code, _, errors = convert(f"--saved_model={tmp_path}/1", f"--examples={images}",
                            f"--out={tmp_path}/out", "--to=graphdef")
  assert (code, len(errors)) == (2, 1) and "signature" in errors[0]
  assert not (tmp_path / "out").exists()


def test_what_a_target_can_not_decode_it_leaves_out_and_says_so(convert, raw_export, images,
                                                                tmp_path, monkeypatch):
  monkeypatch.setitem(targets.TARGETS, "graphdef",
                      dataclasses.replace(targets.TARGETS["graphdef"], decodes=False))
  code, lines, _ = convert(f"--saved_model={raw_export}", f"--examples={images}",
                           f"--out={tmp_path}", "--to=graphdef")
  assert (code, lines[-1]) == (
      0, f"{tmp_path}/graphdef: without reconstruct_bytes: graphdef can't decode images")
  found = json.loads((tmp_path / "graphdef/signature.json").read_text())
  assert sorted(found["signatures"]) == ["reconstruct", "reconstruct_uint8"]
  assert found["left_out"] == {"reconstruct_bytes": "graphdef can't decode images"}


@pytest.mark.full
@pytest.mark.parametrize("name", ["onnx", "litert", "litert_int8", "openvino"])
def test_each_converter_that_is_installed_takes_pixels_of_a_byte(convert, raw_export, images,
                                                                 tmp_path, name):
  missing = targets.TARGETS[name].missing()
  if missing:
    pytest.skip(missing)
  code, lines, _ = convert(f"--saved_model={raw_export}", f"--examples={images}",
                           f"--out={tmp_path}", f"--to={name}")
  assert code == 0, lines
  found = json.loads((tmp_path / name / "signature.json").read_text())
  assert sorted(found["signatures"]) == ["reconstruct", "reconstruct_uint8"]


@pytest.mark.full
@pytest.mark.parametrize("name", ["onnx", "litert", "litert_int8", "openvino"])
def test_each_converter_that_is_installed_keeps_every_signature(convert, export, images, tmp_path,
                                                                name):
  missing = targets.TARGETS[name].missing()
  if missing:
    pytest.skip(missing)
  code, lines, _ = convert(f"--saved_model={export}", f"--examples={images}",
                           f"--out={tmp_path}", f"--to={name}")
  assert code == 0, lines
  found = json.loads((tmp_path / name / "signature.json").read_text())
  assert sorted(found["signatures"]) == ["decode", "encode", "reconstruct", "score",
                                         "serving_default"]
  assert found["left_out"] == {}


@pytest.mark.full
@pytest.mark.parametrize("name", ["onnx", "litert", "litert_int8", "openvino", "graphdef", "aot"])
def test_each_converter_that_is_installed_keeps_what_is_an_anomaly(convert, judging_export, images,
                                                                   tmp_path, name):
  missing = targets.TARGETS[name].missing()
  if missing:
    pytest.skip(missing)
  code, lines, _ = convert(f"--saved_model={judging_export}", f"--examples={images}",
                           f"--out={tmp_path}", f"--to={name}")
  assert code == 0, lines
  found = json.loads((tmp_path / name / "signature.json").read_text())
  assert sorted(found["signatures"]["score"]["outputs"]) == ["is_anomaly", "score"]
  assert found["metadata"] == json.loads(
      (judging_export / "signature.json").read_text())["metadata"]
