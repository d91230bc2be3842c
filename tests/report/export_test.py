"""tfae.report.export: an export is that of the run, and computes what the run does."""

import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
sys.path.append(str(pathlib.Path(__file__).parent))
import pages
import runs
import tfae
from tfae import build, graph, inspection, saved_model, training
from tfae import workdir as workdirs
from tfae.errors import InputError
from tfae.report import export, facts, page

DATA = runs.dataset()
SIGNATURES = {("decode", "reconstruction"), ("encode", "codes"), ("reconstruct", "reconstruction"),
              ("score", "score"), ("serving_default", "reconstruction")}


@pytest.fixture(name="run", scope="module")
def fixture_run(tmp_path_factory):
  path = tmp_path_factory.mktemp("runs") / "run"
  training.train(runs.experiment(), path, data=DATA)
  return path


def written(run, folder, checkpoint="latest", **metadata):
  """Writes an export of a checkpoint that says of itself what `metadata` says."""
  model, *_ = build.load_model(run, checkpoint, "/CPU:0")
  saved_model.write(folder, graph.freeze(model.signatures(255)), metadata)
  return folder


def test_every_output_is_compared_and_differs_by_what_it_does(run, tmp_path):
  found = facts.gather(run)
  exported = export.check(export.read(written(run, tmp_path, step=12), found), found)
  assert {(c.signature, c.output) for c in exported.checks} == SIGNATURES
  assert all(c.passed for c in exported.checks) and exported.images == len(DATA.test)
  assert exported.sizes["saved_model.pb"] == (tmp_path / "saved_model.pb").stat().st_size
  text = pages.Page(page.page(found, {}, exported=exported)).text
  assert exported.description["saved_model_sha256"] in text and "FAILED" not in text


def test_other_weights_are_found_out_with_the_difference(run, tmp_path):
  found = facts.gather(run)
  exported = export.check(export.read(written(run, tmp_path, "0", step=12), found), found)
  codes = next(c for c in exported.checks if c.output == "codes")
  examples = {"images": np.asarray(workdirs.read_examples(run), np.float32)}
  first, last = (graph.call(inspection.Run(run, step).frozen(), "encode", examples)["codes"]
                 for step in ("0", "12"))
  assert codes.difference == pytest.approx(float(np.abs(first - last).max()), rel=1e-4)
  assert not codes.passed
  assert "FAILED" in pages.Page(page.page(found, {}, exported=exported)).text


@pytest.mark.parametrize("metadata, why", [({}, "does not say of which step"),
                                           ({"step": 7}, "checkpoint='7': expected")])
def test_what_cannot_be_compared_is_said(run, tmp_path, metadata, why):
  found = facts.gather(run)
  exported = export.check(export.read(written(run, tmp_path, **metadata), found), found)
  assert exported.checks == () and why in exported.unchecked
  assert why in pages.Page(page.page(found, {}, exported=exported)).text


@pytest.mark.parametrize("metadata", [{"dataset_sha256": "0" * 64}, {"step": 13}])
def test_an_export_of_another_run_is_refused(run, tmp_path, metadata):
  with pytest.raises(InputError, match="is of another run"):
    export.read(written(run, tmp_path, **metadata), facts.gather(run))


def test_a_threshold_is_no_difference(run, tmp_path):
  model, *_ = build.load_model(run, "latest", "/CPU:0")
  version = tfae.export(model, tmp_path, examples=DATA.test.images, max_value=255,
                        metadata={"step": 12}, threshold=0.5).path
  found = facts.gather(run)
  exported = export.check(export.read(version, found), found)
  assert {(c.signature, c.output) for c in exported.checks} == SIGNATURES
  assert json.loads((version / "signature.json").read_text())["metadata"]["threshold"]
