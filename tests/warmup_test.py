"""The warmup file: what TensorFlow Serving's own messages read in it."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import serving_protos
from tfae import graph, warmup
from tfae.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 1)).astype(np.uint8)
INPUTS = {"encode": {"images": graph.TensorInfo("images:0", tf.float32, (None, 5, 4, 1), "")},
          "mix": {"a": graph.TensorInfo("a:0", tf.bfloat16, (None, 2), ""),
                  "b": graph.TensorInfo("b:0", tf.string, (None,), "")}}
# More than 127 bytes, and more than 16,383: lengths of one, two and three bytes.
EXAMPLES = {"encode": {"images": IMAGES},
            "mix": {"a": np.eye(2), "b": np.array([b"x" * 20_000, b""], object)}}


def parsed(path, message):
  return [message.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]


def assert_same(found, expected):
  assert [key for key, _ in found] == [key for key, _ in expected]
  for (_, one), (_, other) in zip(found, expected):
    assert list(one) == list(other)
    for name, value in one.items():
      assert value.dtype == other[name].dtype
      np.testing.assert_array_equal(value, other[name])


def test_a_signature_has_a_request_of_one_and_one_of_the_largest_batch_in_the_dtypes_it_takes():
  made = warmup.requests(INPUTS, EXAMPLES, 5)
  assert [key for key, _ in made] == ["encode", "encode", "mix", "mix"]
  np.testing.assert_array_equal(made[0][1]["images"], IMAGES[:1])
  np.testing.assert_array_equal(made[1][1]["images"], IMAGES[[0, 1, 2, 0, 1]])
  assert made[1][1]["images"].dtype == np.float32
  assert made[3][1]["a"].dtype == tf.bfloat16.as_numpy_dtype
  assert len(warmup.requests(INPUTS, EXAMPLES, 1)) == 2
  for largest in (0, -1, True, 1.5):
    with pytest.raises(InputError, match="warmup="):
      warmup.requests(INPUTS, EXAMPLES, largest)


def test_what_is_written_is_read_back_and_is_the_same_bytes_again(tmp_path):
  made = warmup.requests(INPUTS, EXAMPLES, 5)
  assert warmup.read(tmp_path) == []
  warmup.write(tmp_path, made)
  assert_same(warmup.read(tmp_path), made)
  content = (tmp_path / warmup.FILE).read_bytes()
  warmup.write(tmp_path, made)
  assert (tmp_path / warmup.FILE).read_bytes() == content
  assert tf.io.gfile.glob("ram://*") == []


def test_the_messages_of_the_proto_definitions_read_it_and_write_the_same_bytes(tmp_path):
  made = warmup.requests(INPUTS, EXAMPLES, 5)
  warmup.write(tmp_path, made)
  logs = parsed(tmp_path / warmup.FILE, serving_protos.MESSAGES["PredictionLog"])
  found = [log.predict_log.request for log in logs]
  assert_same([(request.model_spec.signature_name, {
      name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(value))
      for name, value in sorted(request.inputs.items())}) for request in found], made)
  assert {request.model_spec.name for request in found} == {""}
  with tf.io.TFRecordWriter(str(tmp_path / "again")) as writer:
    for log in logs:
      writer.write(log.SerializeToString(deterministic=True))
  assert (tmp_path / "again").read_bytes() == (tmp_path / warmup.FILE).read_bytes()


@pytest.mark.full
def test_tensorflow_serving_s_own_messages_read_the_same(tmp_path):
  pytest.importorskip("tensorflow_serving", reason="pip install tfae[serving]")
  from tensorflow_serving.apis import prediction_log_pb2
  made = warmup.requests(INPUTS, EXAMPLES, 5)
  warmup.write(tmp_path, made)
  logs = parsed(tmp_path / warmup.FILE, prediction_log_pb2.PredictionLog)
  assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
  found = [log.predict_log.request for log in logs]
  assert_same([(request.model_spec.signature_name,
                {name: tf.make_ndarray(value) for name, value in sorted(request.inputs.items())})
               for request in found], made)


@pytest.mark.parametrize("spoil", [
    lambda content: content[:-3], lambda content: content[:40] + b"!" + content[41:],
    lambda content: content + b"text", lambda content: b""])
def test_a_damaged_file_is_named(spoil, tmp_path):
  warmup.write(tmp_path, warmup.requests(INPUTS, EXAMPLES, 2))
  path = tmp_path / warmup.FILE
  path.write_bytes(spoil(path.read_bytes()))
  with pytest.raises(InputError, match=f"{path}: damaged"):
    warmup.read(tmp_path)


@pytest.mark.parametrize("record", [
    b"", b"\x08\x01", b"\x12\x00", b"\x32\x7f", b"\x32\x00", b"\xff",
    b"\x32\x04\x0a\x02\x0a\x00"])
def test_a_record_that_is_no_predict_request_is_named(record, tmp_path):
  path = tmp_path / warmup.FILE
  path.parent.mkdir()
  with tf.io.TFRecordWriter(str(path)) as writer:
    writer.write(record)
  with pytest.raises(InputError, match=f"{path}: damaged, or not of predict requests"):
    warmup.read(tmp_path)
