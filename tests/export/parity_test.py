"""parity.py: every runtime that is there is compared; what is over its bound or absent is told."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import convert_saved_model as converting
import parity
from runtimes import c_client, process, report
from runtimes.table import RUNTIMES


@pytest.fixture
def run(on_cpu, capfd, tmp_path):
  """Calls main() with --out; returns (exit code, stdout lines, stderr lines, PARITY.md)."""
  def call(*arguments):
    out = tmp_path / "PARITY.md"
    code = parity.main([*map(str, arguments), f"--out={out}"])
    captured = capfd.readouterr()
    text = out.read_text(encoding="utf-8") if out.exists() else None
    return code, captured.out.splitlines(), captured.err.splitlines(), text
  return call


def row(text, name):
  """Returns {column: cell} of a runtime's line in PARITY.md."""
  line, = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
  return dict(zip(report.HEADER, (cell.strip() for cell in line.strip("|").split("|"))))


def test_runtimes_of_processes_of_their_own_agree_and_are_measured(run, raw_export, images,
                                                                   c_program, monkeypatch):
  monkeypatch.setattr(c_client, "build_command", lambda program: ["cp", c_program, program])
  code, lines, errors, text = run(f"--saved_model={raw_export}", f"--examples={images}",
                                  "--only=tf1,c", "--require=tf1,c", "--calls=5")
  assert (code, errors) == (0, []), lines
  assert lines[-1].startswith("PASS: ")
  size = (raw_export / "saved_model.pb").stat().st_size
  for name, encoded in (("tf1", "reconstruct_bytes "), ("c", "")):
    found = row(text, name)
    assert found["version"] == f"tensorflow {tf.__version__}"
    assert found["signatures"] == f"reconstruct {encoded}reconstruct_uint8"
    assert found["artefact, bytes"] == f"{size:,}"
    assert float(found["of the bound's unit"]) <= 1e-5
    numbers = [float(found[column].replace(",", "")) for column in report.HEADER[5:]]
    assert all(number > 0 for number in numbers)
    assert float(found["resident, MB"]) > 50  # a TensorFlow is in it
  # conv2d and dense, and their mirror images.
  beside, = re.findall("The 4 bare matrix products of reconstruct at batch 1, by numpy, take "
                       "([0-9.]+) ms; the fastest float runtime, (?:c|tf1), takes", text)
  assert float(beside) > 0


def test_a_runtime_that_is_not_there_is_listed_and_fails_only_if_required(
    run, in_process, small_export, images, monkeypatch):
  absent = dataclasses.replace(RUNTIMES["onnx"], module="no_such_module")
  monkeypatch.setitem(RUNTIMES, "onnx", absent)
  arguments = (f"--saved_model={small_export}", f"--examples={images}", "--only=tf,onnx",
               "--calls=2")
  code, lines, _, text = run(*arguments, "--require=tf")
  assert (code, lines[-1][:5]) == (0, "PASS:")
  assert row(text, "onnx")["version"] == \
      "onnxruntime is not installed: pip install 'tfae[onnx]'"
  code, lines, _, _ = run(*arguments, "--require=tf,onnx,litert")
  assert code == 1
  assert [line for line in lines if line.startswith("FAIL")][:2] == [
      "FAIL: onnx is required and did not run", "FAIL: litert is required and did not run"]


def test_a_difference_over_its_bound_is_marked_and_fails(run, in_process, small_export, images,
                                                         tmp_path):
  assert converting.main([f"--saved_model={small_export}", f"--examples={images}",
                          f"--out={tmp_path}/out", "--to=graphdef"]) == 0
  path = tmp_path / "out/graphdef/graph.pb"
  graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
  node, = (node for node in graph_def.node if node.name == "encoder/layer_0/bias")
  bias = np.full_like(tf.make_ndarray(node.attr["value"].tensor), 1e-2)
  node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(bias))
  path.write_bytes(graph_def.SerializeToString())
  code, lines, _, text = run(f"--saved_model={small_export}", f"--examples={images}",
                             f"--artefacts={tmp_path}/out", "--only=tf,graphdef", "--require=tf",
                             "--calls=2")
  assert code == 1
  faults = [line for line in lines if line.startswith("FAIL: graphdef: signature reconstruct")]
  assert len(faults) == len(process.BATCHES)
  assert row(text, "graphdef")["of the bound's unit"].endswith("(!)")
  assert not row(text, "tf")["of the bound's unit"].endswith("(!)")
  assert "- graphdef: signature reconstruct, output reconstruction, batch 1: differs by" in text


def test_what_was_converted_from_another_export_is_refused(run, in_process, small_export, export,
                                                           images, tmp_path):
  assert converting.main([f"--saved_model={small_export}", f"--examples={images}",
                          f"--out={tmp_path}/out", "--to=graphdef"]) == 0
  arguments = (f"--saved_model={export}", f"--examples={images}", f"--artefacts={tmp_path}/out",
               "--only=graphdef")
  code, _, errors, text = run(*arguments)
  assert (code, len(errors), text) == (2, 1, None)
  assert "graphdef was converted from another export than" in errors[0]
  (tmp_path / "out/graphdef/signature.json").write_text("{")
  code, _, errors, _ = run(*arguments)
  assert code == 2 and "no whole signature.json" in errors[0]


def test_a_runtime_that_breaks_down_is_a_row_with_its_reason_and_the_others_run(
    run, in_process, small_export, images, monkeypatch):
  broken = dataclasses.replace(RUNTIMES["tf1"], client="c")
  monkeypatch.setitem(RUNTIMES, "tf1", broken)
  monkeypatch.setattr(c_client, "build_command",
                      lambda program: ["sh", "-c", "echo first >&2; echo no linker >&2; exit 3"])
  code, lines, _, text = run(f"--saved_model={small_export}", f"--examples={images}",
                             "--only=tf1,tf", "--require=tf", "--calls=2")
  assert code == 1
  assert row(text, "tf1")["version"] == "failed: no linker"
  assert row(text, "tf")["signatures"] == "reconstruct"
  assert "FAIL: tf1: failed: no linker" in lines


def test_mistakes_are_one_line_and_exit_code_2_before_anything_runs(on_cpu, capfd, export, images,
                                                                    tmp_path, monkeypatch):
  monkeypatch.setattr(parity.checker, "import_tensorflow", lambda: pytest.fail("too late"))
  good = {"--saved_model": export, "--examples": images, "--out": tmp_path / "PARITY.md"}
  for change, message in (
      ({"--require": "tf,onix"}, "--require=tf,onix: 'onix' is none of tf, .* Did you mean onnx?"),
      ({"--only": "x"}, "--only=x: 'x' is none of"),
      ({"--calls": 0}, "--calls=0: expected 1 or more"),
      ({"--out": tmp_path / "no/PARITY.md"}, "--out=.*: expected a file in a folder that exists"),
      ({"--artefacts": tmp_path / "no"}, "--artefacts=.*no: no such directory"),
      ({"--examples": None}, "--examples: none given"),
      ({"--saved_model": tmp_path}, "not a SavedModel")):
    values = {**good, **change}
    code = parity.main([f"{flag}={value}" for flag, value in values.items() if value is not None])
    captured = capfd.readouterr()
    assert (code, captured.out) == (2, ""), change
    line, = captured.err.splitlines()
    assert line.startswith("parity.py: ") and re.search(message, line), line


@pytest.mark.full
def test_every_runtime_that_is_installed_passes_on_a_real_export(run, export, images):
  there = [name for name, runtime in RUNTIMES.items() if not runtime.missing()]
  if "onnx" not in there or "litert" not in there or not shutil.which("gcc"):
    pytest.skip("needs gcc and pip install 'tfae[onnx,litert]'")
  code, lines, _, text = run(f"--saved_model={export}", f"--examples={images}",
                             "--require=tf,tf1,c,graphdef,onnx,litert", "--calls=20")
  assert code == 0, lines
  for name in there:
    assert row(text, name)["signatures"] == "decode encode reconstruct score serving_default"
