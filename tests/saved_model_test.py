"""Writing a SavedModel and verifying it in a process without tfae."""

import hashlib
import json
import os
import pathlib
import select
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import export_toy
import tmpfs
from tfae import graph, publish, saved_model, warmup
from tfae.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]


def environment():
  return dict(os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES="-1")


@pytest.fixture(scope="module")
def toy():
  return export_toy.Toy()


@pytest.fixture(scope="module")
def written(toy, tmp_path_factory):
  directory = tmp_path_factory.mktemp("written") / "1"
  saved_model.write(directory, graph.freeze(toy.signatures()), {"dataset": "none"})
  return directory


def tampered(written, directory, change):
  directory.mkdir()
  model = saved_model_pb2.SavedModel.FromString((written / "saved_model.pb").read_bytes())
  change({node.name: node for node in model.meta_graphs[0].graph_def.node})
  (directory / "saved_model.pb").write_bytes(model.SerializeToString())
  return directory


def test_two_processes_with_other_placements_write_the_same_bytes(written, tmp_path):
  for name, traces, device in (("a", "0", "/CPU:1"), ("b", "7", "/CPU:2")):
    subprocess.run([sys.executable, ROOT / "tests" / "export_toy.py", tmp_path / name, traces,
                    device], env=environment(), check=True, capture_output=True)
  sums = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()
           for path in folder.iterdir()} for folder in (tmp_path / "a", tmp_path / "b", written)]
  assert sorted(sums[0]) == ["fingerprint.pb", "saved_model.pb", "signature.json"]
  assert sums[0] == sums[1] == sums[2]


def test_write_returns_the_sums_of_its_files_and_another_weight_changes_them(toy, tmp_path):
  first = saved_model.write(tmp_path / "a", graph.freeze(toy.signatures()))
  assert first == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                   for path in (tmp_path / "a").iterdir()}
  other = export_toy.Toy()
  other.bias.assign_add([0, 0, 1e-3, 0])
  second = saved_model.write(tmp_path / "b", graph.freeze(other.signatures()))
  assert all(first[name] != second[name] for name in first)


def test_five_signatures_cost_at_most_two_percent_over_one_copy_of_the_weights(tmp_path):
  toy = export_toy.Toy(code_size=1000)
  saved_model.write(tmp_path, graph.freeze(toy.signatures()))
  size = sum(path.stat().st_size for path in tmp_path.iterdir())
  assert size <= 1.02 * 4 * toy.parameters


def test_the_graph_has_no_variable_no_device_and_needs_no_variables_folder(written):
  content = (written / "saved_model.pb").read_bytes()
  model = saved_model_pb2.SavedModel.FromString(content)
  meta_graph, = model.meta_graphs
  ops = graph.list_ops(meta_graph.graph_def)
  assert not [op for _, op, _ in ops if "Variable" in op or op == "VarHandleOp"]
  assert {device for _, _, device in ops} == {""}
  assert b"device:" not in content
  assert str(ROOT).encode() not in content
  assert model.saved_model_schema_version == 1
  assert list(meta_graph.meta_info_def.tags) == ["serve"]
  assert {op for _, op, _ in ops} == {op.name for op in
                                      meta_graph.meta_info_def.stripped_op_list.op}
  assert meta_graph.meta_info_def.stripped_default_attrs
  assert meta_graph.meta_info_def.tensorflow_version == tf.__version__
  assert {signature.method_name for signature in meta_graph.signature_def.values()} == {
      "tensorflow/serving/predict"}
  assert {path.name for path in written.iterdir()} == {"saved_model.pb", "signature.json",
                                                       "fingerprint.pb"}


def test_tensorflow_2_loads_it_under_the_same_names(toy, written):
  loaded = tf.saved_model.load(written)
  assert not loaded.variables
  for key, signature in toy.signatures().items():
    function = loaded.signatures[key]
    assert sorted(function.structured_input_signature[1]) == sorted(signature.inputs)
    assert sorted(function.structured_outputs) == sorted(signature.outputs)
  for batch in (1, 3, 100):
    images = tf.constant(export_toy.examples(batch))
    np.testing.assert_allclose(loaded.signatures["encode"](images=images)["codes"],
                               toy.encode(images), atol=1e-5)


def test_a_tensorflow_1_session_runs_it_with_soft_placement_off(toy, written):
  images, codes = export_toy.examples(), toy.encode(export_toy.examples())
  config = tf.compat.v1.ConfigProto(allow_soft_placement=False)
  with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
    tf.compat.v1.saved_model.loader.load(session, ["serve"], str(written))
    found = session.run("encode/codes:0", {"images:0": images})
  np.testing.assert_allclose(found, codes, atol=1e-5)


def test_saved_model_cli_runs_it(toy, written, tmp_path):
  np.save(tmp_path / "images.npy", export_toy.examples())
  subprocess.run(
      [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", written,
       "--tag_set", "serve", "--signature_def", "score", "--inputs",
       f"images={tmp_path}/images.npy", "--outdir", tmp_path],
      env=environment(), check=True, capture_output=True)
  np.testing.assert_allclose(np.load(tmp_path / "error.npy"),
                             toy.score(export_toy.examples())["error"], rtol=1e-5)


def test_signature_json_says_all_that_a_caller_needs(written):
  described = json.loads((written / "signature.json").read_text())
  assert described["signatures"]["encode"] == {
      "inputs": {"images": {"tensor": "images:0", "dtype": "float32", "shape": [None, 28, 28, 1],
                            "meaning": "grey images", "value_range": [0, 255]}},
      "outputs": {"codes": {"tensor": "encode/codes:0", "dtype": "float32", "shape": [None, 8],
                            "meaning": "codes"}}}
  assert sorted(described["signatures"]) == ["decode", "encode", "reconstruct", "score",
                                             "serving_default"]
  assert described["metadata"] == {"dataset": "none"}
  assert described["tolerance"] == 1e-5
  assert described["saved_model_sha256"] == hashlib.sha256(
      (written / "saved_model.pb").read_bytes()).hexdigest()


def test_tensorflow_reads_the_fingerprint(written):
  assert tf.saved_model.experimental.read_fingerprint(str(written)).saved_model_checksum


@pytest.mark.parametrize("metadata", [{"loss": float("nan")}, {"units": object()}])
def test_metadata_that_json_cannot_hold_is_refused_and_nothing_is_written(toy, metadata, tmp_path):
  with pytest.raises(InputError, match="metadata=.*what JSON can hold"):
    saved_model.write(tmp_path / "1", graph.freeze(toy.signatures()), metadata)
  assert not list(tmp_path.iterdir())


def test_verify_returns_a_difference_for_every_output_of_every_signature(toy, written):
  table = saved_model.verify(written, *export_toy.fed(toy))
  assert [row[:2] for row in table] == [
      ("decode", "reconstruction"), ("encode", "codes"), ("reconstruct", "reconstruction"),
      ("score", "error"), ("serving_default", "reconstruction")]
  assert all(0 <= difference <= bound for _, _, difference, bound in table)


def test_the_warmup_requests_are_read_back_and_replayed_where_the_examples_run(toy, tmp_path):
  inputs, references = export_toy.fed(toy)
  frozen = graph.freeze(toy.signatures())
  requests = warmup.requests(frozen.inputs, inputs, 4)
  sums = saved_model.write(tmp_path, frozen, requests=requests)
  assert set(sums) == {*saved_model.FILES, "assets.extra/tf_serving_warmup_requests"}
  # The fourth example of a request is the first again; that of decode alone is changed.
  feeds, = [feeds for key, feeds in requests if key == "decode" and len(feeds["codes"]) == 4]
  feeds["codes"][3, 0] += .1
  warmup.write(tmp_path, requests)
  with pytest.raises(saved_model.VerificationError, match=(
      r"warmup request of 4, signature 'decode', output 'reconstruction': .* differs .* by 0\.")):
    saved_model.verify(tmp_path, inputs, references)


def test_a_signature_without_a_warmup_request_is_named(toy, written, tmp_path, monkeypatch):
  inputs, references = export_toy.fed(toy)
  feeds = {key: {name: np.asarray(value, np.float64) for name, value in outputs.items()}
           for key, outputs in references.items()}
  warmup.write(tmp_path, [("encode", {"images": export_toy.examples(3)})])
  monkeypatch.setattr(saved_model, "_run_elsewhere", lambda *_: (feeds, [feeds["encode"]]))
  with pytest.raises(saved_model.VerificationError, match=(
      "no request for decode, reconstruct, score, serving_default")):
    saved_model.verify(tmp_path, inputs, references)


def test_verify_catches_one_changed_weight_and_names_signature_output_and_bound(toy, written,
                                                                                  tmp_path):
  def change(nodes):
    tensor = nodes["encoder/layer_0/bias"].attr["value"].tensor
    values = np.frombuffer(tensor.tensor_content, np.float32).copy()
    values[0] += .01
    tensor.tensor_content = values.tobytes()
  with pytest.raises(saved_model.VerificationError, match=(
      r"signature 'encode', output 'codes': .* differs .* by 0\.\d+, the bound is 1e-05")):
    saved_model.verify(tampered(written, tmp_path / "1", change), *export_toy.fed(toy))


def test_the_bound_is_relative_to_the_largest_reference_and_a_nan_is_never_within_it(
    toy, written, monkeypatch):
  inputs, references = export_toy.fed(toy)
  references["encode"]["codes"] *= 10
  found = {key: {name: np.asarray(value, np.float64) for name, value in outputs.items()}
           for key, outputs in references.items()}
  monkeypatch.setattr(saved_model, "_run_elsewhere", lambda *_: (found, []))
  largest = np.abs(found["encode"]["codes"]).max()
  assert largest > 5
  found["encode"]["codes"][1, 2] += .9e-3 * largest
  saved_model.verify(written, inputs, references, tolerance=1e-3)
  found["encode"]["codes"][1, 2] += .2e-3 * largest
  with pytest.raises(saved_model.VerificationError, match="signature 'encode', output 'codes'"):
    saved_model.verify(written, inputs, references, tolerance=1e-3)
  found["encode"]["codes"][1, 2] = np.nan
  with pytest.raises(saved_model.VerificationError, match="by nan"):
    saved_model.verify(written, inputs, references, tolerance=1e-3)
  found["encode"]["codes"] = found["encode"]["codes"][:1]
  with pytest.raises(saved_model.VerificationError, match=r"shape \(1, 8\) .*, \(3, 8\)"):
    saved_model.verify(written, inputs, references)
  del found["encode"]
  with pytest.raises(saved_model.VerificationError, match=r"'encode' has outputs \[\]"):
    saved_model.verify(written, inputs, references)


def test_a_model_that_does_not_load_is_a_verification_error(toy, tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"\x00 not a model")
  with pytest.raises(saved_model.VerificationError, match="a fresh process could not run"):
    saved_model.verify(tmp_path, *export_toy.fed(toy))


def test_the_fresh_process_cannot_import_tfae():
  blocked = saved_model._PROGRAM.split("import io")[0] + "import tfae.errors"
  result = subprocess.run([sys.executable, "-c", blocked], env=environment(), check=False,
                          capture_output=True, text=True)
  assert "tfae cannot be imported here" in result.stderr
  assert result.returncode


# Dies once the fresh process has said, by an x, that it runs; that one would go on for ever.
VERIFIER = """
import os, signal, subprocess, sys
from tfae import saved_model

class Popen(subprocess.Popen):
  def communicate(self, *arguments, **options):
    assert self.stdout.read(1) == b"x"
    print(self.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

subprocess.Popen = Popen
saved_model._PROGRAM = saved_model._PROGRAM.split("import numpy")[0] + (
    "import signal; answer.write(b'x'); answer.flush(); signal.pause()")
saved_model.verify(sys.argv[1], {}, {})
"""


def test_a_verification_ends_with_the_process_that_wanted_it_and_leaves_no_file(tmp_path):
  temporary = tmp_path / "tmp"
  temporary.mkdir()
  done = subprocess.run([sys.executable, "-c", VERIFIER, tmp_path], capture_output=True, text=True,
                        check=False, env={**environment(), "TMPDIR": str(temporary)})
  assert done.returncode == -signal.SIGKILL, done.stderr
  try:
    orphan = os.pidfd_open(int(done.stdout))
  except ProcessLookupError:
    orphan = None  # it has ended already
  if orphan is not None:
    ended = bool(select.select([orphan], [], [], 60)[0])
    if not ended:
      signal.pidfd_send_signal(orphan, signal.SIGKILL)
    os.close(orphan)
    assert ended
  assert not list(temporary.iterdir())


def test_a_disk_that_is_full_at_whichever_file_is_one_clear_error_and_leaves_nothing(toy, tmp_path):
  frozen = graph.freeze(toy.signatures())
  reached = set()

  def write(folder):
    try:
      saved_model.write(folder, frozen)
    except OSError:
      reached.add(len(list(folder.iterdir())))
      raise

  with tmpfs.mounted(tmp_path / "disk", 4096) as disk:
    for pages in range(1, 1000):
      tmpfs.resize(disk, 4096 * pages)
      try:
        version = publish.publish(disk / "served", write, lambda folder: None)
        break
      except InputError as error:
        assert "No space left on device" in str(error) and "Make room" in str(error)
        assert not list((disk / "served").iterdir())
    # It was full at the first file, at the second, and at the third.
    assert reached == {1, 2, 3} and pages > 3
    assert {path.name for path in version.iterdir()} == set(saved_model.FILES)


def test_a_bfloat16_model_is_written_and_verified_within_a_bound_of_its_own(tmp_path):
  kernel = tf.Variable(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), name="kernel")
  function = lambda x: {"y": tf.cast(x, tf.bfloat16) @ tf.cast(kernel, tf.bfloat16)}
  signatures = {"run": graph.Signature(
      function, {"x": graph.Input(tf.TensorSpec([None, 3], tf.bfloat16), "a vector")},
      {"y": "a vector"})}
  saved_model.write(tmp_path / "1", graph.freeze(signatures), tolerance=1e-2)
  x = tf.constant([[1., 2., 3.]], tf.bfloat16)
  (_, _, difference, bound), = saved_model.verify(
      tmp_path / "1", {"run": {"x": x}}, {"run": function(x)}, tolerance=1e-2)
  assert difference <= bound and bound >= 1e-2
  described = json.loads((tmp_path / "1" / "signature.json").read_text())
  assert described["tolerance"] == 1e-2
  assert described["signatures"]["run"]["outputs"]["y"]["dtype"] == "bfloat16"
