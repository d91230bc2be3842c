"""The three files that tensorflow_model_server reads beside a model, in protobuf's text format.

`serving/models.config` (--model_config_file), `batching.config` (--batching_parameters_file) and
`monitoring.config` (--monitoring_config_file): ModelServerConfig, BatchingParameters and
MonitoringConfig of github.com/tensorflow/serving.
"""

import pathlib

from tfae import files

FOLDER = "serving"
BATCH_TIMEOUT_MICROS = 1000  # how long a request waits at most for others to share its batch
MAX_ENQUEUED_BATCHES = 100  # beyond that many waiting ones a request is refused at once


def models(serving):
  """Returns models.config of a `labels.Serving`.

  Loaded are the labelled versions, or the highest one as long as no version has a label.
  """
  labels = serving.labels
  lines = ["model_config_list {", "  config {", f'    name: "{serving.model_name}"',
           f'    base_path: "{serving.server_path}"', '    model_platform: "tensorflow"']
  if labels:
    lines += ["    model_version_policy {", "      specific {",
              *(f"        versions: {version}" for version in sorted(set(labels.values()))),
              "      }", "    }"]
  for label, version in labels.items():
    lines += ["    version_labels {", f'      key: "{label}"', f"      value: {version}", "    }"]
  return "\n".join([*lines, "  }", "}", ""])


def batching(serving):
  """Returns batching.config; the number of threads is left to the server: its cores."""
  return (f"max_batch_size {{ value: {serving.max_batch_size} }}\n"
          f"batch_timeout_micros {{ value: {BATCH_TIMEOUT_MICROS} }}\n"
          f"max_enqueued_batches {{ value: {MAX_ENQUEUED_BATCHES} }}\n")


def monitoring(serving):
  """Returns monitoring.config: metrics for Prometheus, at its own path of the REST port."""
  del serving
  return 'prometheus_config {\n  enable: true\n  path: "/monitoring/prometheus/metrics"\n}\n'


def write(export_dir, serving):
  """Writes the three files into export_dir/serving, each whole; for who holds the folder's lock.

  Raises InputError if the disk is full or the folder can't be written.
  """
  folder = pathlib.Path(export_dir) / FOLDER
  with files.writing(folder):
    folder.mkdir(exist_ok=True)
    files.clear_stale(folder)
  for name, text in (("models", models), ("batching", batching), ("monitoring", monitoring)):
    path, content = folder / f"{name}.config", text(serving).encode()
    # A server that polls would load what has not changed again.
    if not path.is_file() or path.read_bytes() != content:
      files.write(path, content)
