"""What tensorflow_model_server reads, parsed with the messages that it parses it with."""

import pathlib
import sys

from google.protobuf import text_format
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import serving_protos
from tfae import labels, server_configs

SERVING = labels.Serving("digits", "/srv/m ö", 8).promote(2).promote(5).mark("canary", 7)


def parse(text, message):
  return text_format.Parse(text, serving_protos.MESSAGES[message]())


def model(config):
  found, = config.model_config_list.config
  return found


def assert_says_what_serves(found):
  assert (found.name, found.base_path, found.model_platform) == ("digits", "/srv/m ö", "tensorflow")
  assert list(found.model_version_policy.specific.versions) == [2, 5, 7]
  assert dict(found.version_labels) == {"canary": 7, "previous": 2, "stable": 5}


def test_the_labelled_versions_are_loaded_once_each_and_have_their_labels():
  assert_says_what_serves(model(parse(server_configs.models(SERVING), "ModelServerConfig")))
  again = labels.Serving("digits").promote(5).mark("canary", 5)
  found = model(parse(server_configs.models(again), "ModelServerConfig"))
  assert list(found.model_version_policy.specific.versions) == [5]


def test_without_labels_the_server_s_own_rule_stands_which_is_the_highest_version():
  found = model(parse(server_configs.models(labels.Serving("digits")), "ModelServerConfig"))
  assert not found.HasField("model_version_policy") and not found.version_labels
  assert found.base_path == "/models/digits"


def test_batching_and_monitoring_are_what_their_messages_hold():
  found = parse(server_configs.batching(SERVING), "BatchingParameters")
  assert found.max_batch_size.value == 8
  assert found.batch_timeout_micros.value == server_configs.BATCH_TIMEOUT_MICROS
  assert found.max_enqueued_batches.value == server_configs.MAX_ENQUEUED_BATCHES
  assert not found.HasField("num_batch_threads")
  found = parse(server_configs.monitoring(SERVING), "MonitoringConfig").prometheus_config
  assert found.enable and found.path == "/monitoring/prometheus/metrics"


def test_a_file_that_does_not_change_is_not_written_again_and_a_killed_writer_s_goes(tmp_path):
  server_configs.write(tmp_path, SERVING)
  folder = tmp_path / "serving"
  before = {path.name: path.stat().st_ino for path in folder.iterdir()}
  (folder / ".models.config.tmp-7").write_text("half")
  server_configs.write(tmp_path, SERVING.promote(7))
  after = {path.name: path.stat().st_ino for path in folder.iterdir()}
  assert set(before) == {"models.config", "batching.config", "monitoring.config"} == set(after)
  assert {name for name in before if before[name] != after[name]} == {"models.config"}


@pytest.mark.full
def test_tensorflow_serving_s_own_messages_read_the_same():
  pytest.importorskip("tensorflow_serving", reason="pip install tfae[serving]")
  from tensorflow_serving.config import model_server_config_pb2
  assert_says_what_serves(model(text_format.Parse(
      server_configs.models(SERVING), model_server_config_pb2.ModelServerConfig())))
