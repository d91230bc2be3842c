"""The checker, run as a program and as a function."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "export" / "check_saved_model.py"
sys.path.append(str(ROOT / "tests"))  # for whatever import mode pytest runs in
import export_toy
from tfae import graph, saved_model


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  directory = tmp_path_factory.mktemp("served") / "1"
  saved_model.write(directory, graph.freeze(export_toy.Toy().signatures()))
  return directory


@pytest.fixture
def check(monkeypatch, capfd):
  """Calls main() in this process; returns (exit code, stdout lines, stderr lines)."""
  monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
  monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
  spec = importlib.util.spec_from_file_location("check_saved_model", SCRIPT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)

  def call(*arguments):
    code = module.main(list(map(str, arguments)))
    captured = capfd.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()
  return call


@pytest.fixture
def copy(written, tmp_path):
  return pathlib.Path(shutil.copytree(written, tmp_path / "1"))


def test_signatures_for_pixels_and_for_encoded_images_are_fed_real_ones(check, raw_export, images):
  code, lines, _ = check(f"--saved_model={raw_export}", f"--images={images}")
  assert (code, lines[-1]) == (0, f"PASS: {raw_export}"), lines
  rows = {line.split()[0]: line.split() for line in lines[1:-1]}
  # The smallest and the largest of a batch: the three saw the same images, to half a byte.
  low, high = map(float, rows["reconstruct"][-4:-2])
  for key in ("reconstruct_bytes", "reconstruct_uint8"):
    found = [float(cell) for cell in rows[key][-4:-2]]
    assert found == pytest.approx([low, high], abs=.01 * (high - low)) and found != [low, high]


def test_an_output_that_is_called_like_its_own_input_is_no_way_to_make_it(check, tmp_path):
  toy = export_toy.Toy().signatures()
  extra = graph.Input(tf.TensorSpec([None, 3]), "more")
  signatures = {
      "encode": toy["encode"],
      "one": graph.Signature(lambda images: {"images": images / 2}, toy["encode"].inputs,
                             {"images": "half"}),
      "two": graph.Signature(
          lambda images, extra: {"images": images + extra[:, :1, None, None],
                                 "extra": extra * 2},
          {**toy["encode"].inputs, "extra": extra}, {"images": "more", "extra": "twice"})}
  saved_model.write(tmp_path / "1", graph.freeze(signatures))
  code, lines, _ = check(f"--saved_model={tmp_path}/1")
  assert (code, lines[-1]) == (0, f"PASS: {tmp_path}/1"), lines


@pytest.mark.parametrize("damage", [
    lambda content: b"junk\n", lambda content: content[:-9], lambda content: b"",
    lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:]])
def test_a_damaged_warm_up_file_fails(check, raw_export, tmp_path, damage):
  shutil.copytree(raw_export, tmp_path / "1")
  path = tmp_path / "1/assets.extra/tf_serving_warmup_requests"
  path.write_bytes(damage(path.read_bytes()))
  code, lines, _ = check(f"--saved_model={tmp_path}/1")
  assert code == 1 and f"FAIL: {path} is damaged" in lines[-1]


def test_images_that_are_not_finite_are_refused(check, written, tmp_path):
  np.save(tmp_path / "nan.npy", np.full((2, 28, 28, 1), np.nan, np.float32))
  code, _, errors = check(f"--saved_model={written}", f"--images={tmp_path}/nan.npy")
  assert (code, len(errors)) == (2, 1) and "nan.npy: holds values that are not finite" in errors[0]


def without(modules, *arguments):
  """Runs the script in a process that cannot import `modules`, and must not load others."""
  program = (f"import sys, runpy\nfor name in {modules!r}: sys.modules[name] = None\n"
             f"sys.argv = {[str(SCRIPT), *map(str, arguments)]!r}\n"
             f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
             "finally: assert not {'scipy', 'matplotlib', 'h5py'} & set(sys.modules)")
  return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                        check=False, env=dict(os.environ, PYTHONPATH=""))


def rewrite(directory, change):
  """Applies `change` to the SavedModel proto; its sha256 no longer fits."""
  path = directory / "saved_model.pb"
  model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
  change(model.meta_graphs[0])
  path.write_bytes(model.SerializeToString())


def write_one(directory, function):
  images = {"images": graph.Input(tf.TensorSpec([None, 4, 4, 1]), "grey images", (0, 1))}
  saved_model.write(directory, graph.freeze(
      {"run": graph.Signature(function, images, {"y": "a number"})}))


def png(path, pixels):
  path.write_bytes(tf.io.encode_png(pixels.astype(np.uint8)).numpy())
  return path


def test_a_good_model_passes_in_a_process_without_tfae_and_pillow_and_says_nothing_else(written):
  result = without(["tfae", "PIL", "sklearn", "ml_collections"], f"--saved_model={written}")
  lines = result.stdout.splitlines()
  assert result.returncode == 0, result.stdout + result.stderr
  assert result.stderr == ""
  assert lines[0].split()[:4] == ["signature", "output", "shape", "dtype"]
  assert [line.split()[:2] for line in lines[1:-1]] == [
      ["decode", "reconstruction"], ["encode", "codes"], ["reconstruct", "reconstruction"],
      ["score", "error"], ["serving_default", "reconstruction"]]
  assert lines[-1] == f"PASS: {written}"


def test_the_table_shows_what_the_model_makes_of_the_images_given(check, written, tmp_path):
  images = export_toy.examples(5)
  np.save(tmp_path / "five.npy", images)
  np.save(tmp_path / "one.npy", images[0, :, :, 0])
  code, lines, _ = check("--saved_model", written, "--images", tmp_path / "five.npy",
                         tmp_path / "one.npy")
  codes = export_toy.Toy().encode(images).numpy()
  encode, = [line.split() for line in lines if line.startswith("encode ")]
  assert code == 0
  assert encode[-4:-2] == [f"{codes.min():.5g}", f"{codes.max():.5g}"]


def test_a_png_is_scaled_to_the_range_that_the_model_states(check, tmp_path):
  write_one(tmp_path / "1", lambda images: {"y": tf.reduce_max(images, [1, 2, 3])})
  image = png(tmp_path / "a.png", np.full((4, 4, 1), 51))
  code, lines, _ = check(f"--saved_model={tmp_path / '1'}", f"--images={image}")
  assert code == 0
  assert lines[1].split()[3:6] == ["float32", "0.2", "0.2"]


def test_a_changed_weight_fails_by_its_sum(check, copy):
  def change(meta_graph):
    for node in meta_graph.graph_def.node:
      if node.name == "encoder/layer_0/bias":
        node.attr["value"].tensor.tensor_content = bytes(16)
  rewrite(copy, change)
  code, lines, _ = check(f"--saved_model={copy}")
  assert code == 1
  assert [line for line in lines if line.startswith("FAIL")] == [
      "FAIL: saved_model.pb is not the file that was exported: its sha256 differs from the one in "
      "signature.json"]


def test_device_strings_variables_and_other_names_fail_each_with_its_reason(check, copy):
  def change(meta_graph):
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    nodes["encode/codes"].device = "/device:CPU:0"
    meta_graph.graph_def.node.add(name="w", op="VarHandleOp")
    meta_graph.signature_def["score"].outputs["error"].name = "score/loss:0"
  rewrite(copy, change)
  (copy / "variables").mkdir()
  code, lines, _ = check(f"--saved_model={copy}", "--allow_ops=VarHandleOp")
  text = "\n".join(lines)
  assert code == 1
  assert "FAIL: node encode/codes names a device: /device:CPU:0" in text
  assert "FAIL: node w is a variable op: VarHandleOp" in text
  assert "FAIL: signature score: saved_model.pb has" in text and "score/loss:0" in text
  assert "FAIL: there is a variables folder" in text
  assert "FAIL: running failed: " in text
  assert "PASS" not in text


def read_file(images):
  text = tf.io.read_file("/dev/null")
  return {"y": tf.reduce_sum(images, [1, 2, 3]) + tf.cast(tf.strings.length(text), tf.float32)}


def test_a_model_with_an_op_that_can_do_more_than_compute_is_not_loaded_unless_told(
    check, tmp_path, monkeypatch):
  write_one(tmp_path / "1", read_file)
  model = f"--saved_model={tmp_path / '1'}"
  with monkeypatch.context() as patch:
    patch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    code, lines, _ = check(model)
    assert code == 1
    assert re.fullmatch("FAIL: node run/ReadFile is of op ReadFile, which is none that only "
                        "computes; the model is not run. .*: --allow_ops=ReadFile,StringLength",
                        lines[0])
    assert len(lines) == 2 and "StringLength" in lines[1]
    code, lines, _ = check(model, "--allow_ops=StringLength")
    assert (code, len(lines)) == (1, 1)
  code, lines, _ = check(model, "--allow_ops=StringLength,ReadFile")
  assert (code, lines[-1][:4]) == (0, "PASS")


def test_an_op_inside_a_function_is_found_also_by_a_name_that_is_a_function_s(check, copy):
  def change(meta_graph):
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "Harmless"
    function.node_def.add(name="write", op="WriteFile")
    meta_graph.graph_def.node.add(name="call", op="Harmless")
  rewrite(copy, change)
  code, lines, _ = check(f"--saved_model={copy}")
  assert code == 1
  text = "\n".join(lines)
  assert "FAIL: node Harmless/write is of op WriteFile" in text
  assert "FAIL: node call is of op Harmless" in text


def test_every_safe_op_is_one_of_tensorflow_s_and_keeps_no_state():
  spec = importlib.util.spec_from_file_location("check_saved_model", SCRIPT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  assert len(module.SAFE_OPS) > 100
  for name in module.SAFE_OPS:
    definition = op_def_registry.get(name)
    assert definition is not None and not definition.is_stateful, name
    words = re.findall("[A-Z][a-z]*", name)
    assert not {"File", "Files", "Func", "Print", "Save", "Restore", "Send", "Recv"} & set(words)


def test_a_signature_file_that_states_another_shape_fails(check, copy):
  description = json.loads((copy / "signature.json").read_text())
  description["signatures"]["encode"]["outputs"]["codes"]["shape"] = [None, 9]
  (copy / "signature.json").write_text(json.dumps(description))
  code, lines, _ = check(f"--saved_model={copy}")
  assert code == 1
  assert "FAIL: signature encode, output codes: shape [1, 8] at batch 1, stated [None, 9]" in lines


def test_an_anomaly_must_be_what_its_own_score_makes_it(check, judging_export, images, tmp_path):
  code, lines, _ = check(f"--saved_model={judging_export}", f"--images={images}")
  assert (code, lines[-1]) == (0, f"PASS: {judging_export}"), lines
  found, = (line.split() for line in lines if "is_anomaly" in line)
  assert found[2:6] == ["[batch]", "int32", "0", "1"]
  other = pathlib.Path(shutil.copytree(judging_export, tmp_path / "1"))
  described = json.loads((other / "signature.json").read_text())
  described["metadata"]["threshold"]["value"] = 1e9
  (other / "signature.json").write_text(json.dumps(described))
  code, lines, _ = check(f"--saved_model={other}", f"--images={images}")
  assert code == 1
  assert any(line.startswith("FAIL: signature score, output is_anomaly") for line in lines)


@pytest.mark.parametrize("function, reason", [
    (lambda images: {"y": tf.reduce_sum(images - tf.reduce_mean(images, 0), [1, 2, 3])},
     "FAIL: signature run, output y: examples run one by one and a batch of 3 differ by"),
    (lambda images: {"y": tf.math.log(-tf.reduce_sum(images, [1, 2, 3]))},
     "FAIL: signature run, output y: not finite at batch 1"),
])
def test_outputs_that_depend_on_the_batch_or_are_not_finite_fail(check, tmp_path, function,
                                                                 reason):
  write_one(tmp_path / "1", function)
  code, lines, _ = check(f"--saved_model={tmp_path / '1'}")
  assert code == 1
  assert any(line.startswith(reason) for line in lines)


def test_mistakes_are_one_line_and_exit_code_2_before_tensorflow_is_imported(copy, tmp_path):
  (tmp_path / "empty").mkdir()
  (tmp_path / "image.txt").write_text("text")
  np.save(tmp_path / "wide.npy", np.zeros((2, 28, 29)))
  bare = pathlib.Path(shutil.copytree(copy, tmp_path / "bare"))
  (bare / "signature.json").unlink()
  model = f"--saved_model={copy}"
  colour = png(tmp_path / "colour.png", np.zeros((27, 28, 3)))
  for arguments, message in (
      ([], "required: --saved_model"),
      (["--saved_modle=x"], "unknown flag --saved_modle: .* Did you mean --saved_model"),
      ([f"--saved_model={tmp_path}/nowhere"], "nowhere: no such directory"),
      ([f"--saved_model={tmp_path}/empty"], "empty: not a SavedModel"),
      ([f"--saved_model={tmp_path}"], f"not a SavedModel.* Did you mean {copy}"),
      ([f"--saved_model={bare}"], "no signature.json"),
      ([model, "--images=nowhere.npy"], "nowhere.npy: No such file"),
      ([model, f"--images={tmp_path}/image.txt"], "neither a .npy file nor a PNG"),
      ([model, f"--images={tmp_path}/wide.npy"], "found 28x29, expected 28x28x1"),
      ([model, f"--images={colour}"], "found 27x28, expected 28x28x1"),
  ):
    result = without(["tensorflow"], *arguments)
    assert result.returncode == 2, (arguments, result.stderr)
    line, = result.stderr.splitlines()
    assert re.search(message, line)
    assert result.stdout == ""


@pytest.mark.parametrize("name, content, message", [
    ("saved_model.pb", b"\x0a\xff\xff", "saved_model.pb: damaged"),
    ("saved_model.pb", b"", "saved_model.pb: damaged, 0 graphs"),
    ("signature.json", b"{", "signature.json: damaged"),
    ("signature.json", b"[" * 100000, "signature.json: damaged"),
    ("signature.json", b'{"signatures": {"encode": {"outputs": {}, "inputs": {"images": {"tensor": '
     b'"x:0", "dtype": "float32", "shape": [null, 1000000, 1000000]}}}}}', "numbers an example"),
    ("signature.json", b'{"signatures": {"encode": {"inputs": {}}}}', "damaged .*outputs"),
])
def test_damaged_files_are_named_with_exit_code_2(check, copy, name, content, message):
  (copy / name).write_bytes(content)
  code, _, errors = check(f"--saved_model={copy}")
  assert code == 2
  assert len(errors) == 1 and re.search(message, errors[0])


def test_a_damaged_png_is_named_with_exit_code_2(check, copy, tmp_path):
  image = png(tmp_path / "a.png", np.zeros((28, 28, 1)))
  image.write_bytes(image.read_bytes()[:40])
  code, _, errors = check(f"--saved_model={copy}", f"--images={image}")
  assert code == 2
  assert errors == [f"check_saved_model.py: --images={image}: damaged PNG."]


def test_a_version_that_is_retired_while_it_is_checked_is_one_line(check, copy, monkeypatch):
  load = json.load

  def load_and_retire(file):
    description = load(file)
    shutil.rmtree(copy)
    return description

  monkeypatch.setattr(json, "load", load_and_retire)
  code, lines, errors = check(f"--saved_model={copy}")
  assert (code, lines, len(errors)) == (2, [], 1)
  assert "No such file" in errors[0] and str(copy) in errors[0]


@pytest.mark.parametrize("name", ["saved_model.pb", "signature.json", "assets/words"])
def test_a_link_that_leads_out_of_the_model_is_not_followed(check, copy, tmp_path, name):
  (copy / "assets").mkdir()
  if (copy / name).exists():
    (copy / name).rename(tmp_path / "outside")
  else:
    (tmp_path / "outside").write_text("secret")
  (copy / name).symlink_to(tmp_path / "outside")
  code, lines, errors = check(f"--saved_model={copy}")
  assert (code, lines, len(errors)) == (2, [], 1)
  assert f"{copy / name}: a link that leads out" in errors[0]


def test_an_archive_that_is_called_npy_is_no_image(check, copy, tmp_path):
  np.savez(tmp_path / "a.npz", a=np.zeros((28, 28)))
  (tmp_path / "a.npz").rename(tmp_path / "a.npy")
  code, _, errors = check(f"--saved_model={copy}", f"--images={tmp_path / 'a.npy'}")
  assert code == 2 and "an archive: expected one array" in errors[0]
