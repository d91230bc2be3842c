"""The rows of serving: what they load is what the converter makes and the clients read."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import exports
import serve_latency


def test_the_rows_are_both_exports_and_every_target_that_is_converted():
  paths = {row.options["path"] for row in serve_latency.ROWS}
  assert paths == {"tfae/1", "keras", *(f"converted/{target}" for target in exports.TARGETS)}


def test_every_converted_model_has_a_client():
  clients = {row.options["client"] for row in serve_latency.ROWS if "client" in row.options}
  assert len(clients) == len(exports.TARGETS)
  for client in clients:
    assert (ROOT / "export" / "clients" / f"{client}.py").exists(), client


def test_the_size_of_a_model_leaves_out_the_requests_that_warm_a_server_up(tmp_path):
  for name, size in (("saved_model.pb", 7), ("variables/x", 5), ("assets.extra/requests", 1000)):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(bytes(size))
  assert serve_latency.size(tmp_path) == 12
