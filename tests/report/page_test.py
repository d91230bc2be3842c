"""tfae.report.page: the page is whole, needs nothing else, and its numbers are those of the run."""

import io
import json
import pathlib
import sys

import numpy as np
from PIL import Image
import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
sys.path.append(str(pathlib.Path(__file__).parent))
import pages
import runs
import tfae
from tfae import sessions, training
from tfae.errors import InputError
from tfae.report import curves, facts, page, pictures
from tfae.report.pictures import Picture
from tfae.views.material import Material
from tfae.views.view import View

DATA = runs.dataset()
NOW = {"tfae": "0", "python": "3.now", "tensorflow": "2.now", "numpy": "1.now"}
HOSTILE = "a<script>alert(1)</script>&\"'"


@pytest.fixture(name="run", scope="module")
def fixture_run(tmp_path_factory):
  """The folder of a complete run, of a name that is markup."""
  path = tmp_path_factory.mktemp("runs") / HOSTILE.replace("/", "_")
  training.train(runs.experiment(), path, data=DATA)
  return path


def read(workdir, **options):
  return pages.Page(page.page(facts.gather(workdir), NOW, **options))


def test_the_numbers_are_those_of_metrics_jsonl_to_the_last_digit(run):
  found, lines = read(run), runs.lines(run)
  rows = {row[0]: row[1:] for row in found.table("metric")}
  last = {kind: [line for line in lines if line["kind"] == kind][-1]
          for kind in ("epoch", "validation", "test")}
  lowest = min((line for line in lines if line["kind"] == "validation"), key=lambda x: x["loss"])
  expected = [last["epoch"], last["validation"], lowest, last["test"]]
  assert rows["loss"] == [f"{line['loss']:.6g}" for line in expected]
  assert rows["squared error"] == ["-"] + [f"{line['squared_error']:.6g}" for line in expected[1:]]
  for line in expected:
    assert repr(line["loss"]) in found.values
  epochs = [line for line in lines if line["kind"] == "epoch"]
  assert [row[:3] for row in found.table("epoch")] == [
      [str(x["epoch"]), str(x["step"]), f"{x['loss']:.6g}"] for x in epochs]


def test_sections_follow_each_other_and_each_link_leads_to_one(run):
  found = read(run)
  assert [level for level, _ in found.headings[:2]] == [1, 2]
  for (before, _), (after, _) in zip(found.headings, found.headings[1:]):
    assert after <= before + 1
  assert found.links == [f"#{key}" for key in found.ids] and len(set(found.ids)) == len(found.ids)


def test_a_name_or_a_line_that_is_markup_is_shown_as_text(run, tmp_path):
  found = read(run)
  assert found.headings[0] == (1, run.name) and "script" not in found.tags
  drawn = [Picture("x", HOSTILE, "data", error=HOSTILE),
            Picture("y", "y", "data", reason=HOSTILE)]
  found = read(run, drawn=drawn, notes=[HOSTILE, "nul \0, half a pair \udcff"])
  assert found.text.count(HOSTILE) == 3 and "nul \ufffd, half a pair ?" in found.text
  text = page.page(facts.gather(run), NOW, drawn=drawn)
  assert "<script" not in text and "Content-Security-Policy" in text


def test_how_to_repeat_it_has_command_versions_seed_checksum_and_changed_fields(
    tmp_path, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["/venv/bin/tfae-train", "--config=x y.py", "--workdir=w"])
  training.train(runs.experiment(), tmp_path, data=DATA)
  found = read(tmp_path)
  assert "tfae-train '--config=x y.py' --workdir=w" in found.text
  (session,) = sessions.read(tmp_path)
  assert f"tensorflow {session.made_on['tensorflow']}" in found.text
  assert "2.now" not in found.text and session.made_on["machine"] in found.text
  assert DATA.sha256 in found.text
  changed = {row[0]: row[1:] for row in found.table("field")}
  assert changed["seed"] == ["3", "0"] and changed["batch_size"] == ["4", "100"]
  assert changed["data.name"] == ["'idx'", "'digits'"] and "epochs" in changed
  assert "steps" not in changed
  whole = json.loads((tmp_path / "config.json").read_text())
  assert " ".join(json.dumps(whole, indent=2).split()) in found.text


def test_a_run_that_was_made_longer_says_that_one_command_is_not_the_same(run, tmp_path):
  assert "Its length was changed" not in read(run).text
  for epochs in (1, 3):
    training.train(runs.experiment(epochs=epochs), tmp_path, data=DATA)
  found = read(tmp_path)
  assert "Its length was changed on the way (6 -> 18 steps)" in found.text
  assert [row[1:4] for row in found.table("began")] == [["0", "6", "complete"],
                                                        ["6", "18", "complete"]]


def test_a_run_that_recorded_nothing_says_so_and_shows_a_config_that_equals_it(run, tmp_path):
  path = tmp_path / "old"
  path.mkdir()
  for name in ("config.json", "metrics.jsonl"):
    (path / name).write_bytes((run / name).read_bytes())
  found = read(path)
  assert "command was not recorded" in found.text and "tensorflow 2.now" in found.text
  assert "config.optimizer.learning_rate = 0.01" in found.text
  assert "There is no checkpoint." in found.text


def test_layers_parameters_and_devices_are_told(run):
  found = read(run)
  assert found.table("layer")[1] == ["encoder/layer_1", "Dense", "tanh", "5", "65", ""]
  assert found.table("layer")[-2][:2] == ["decoder/layer_1", "Dense"]
  assert "encoder/layer_1/kernel" in found.table("layer")[-2]
  assert found.table("component") == [["encoder", "/CPU:0"], ["decoder", "/CPU:0"],
                                      ["data", "/CPU:0"]]
  assert [row[0] for row in found.table("checkpoint")][0] == "ckpt-12"


def test_views_and_curves_are_pictures_inside_the_page_with_a_text_each(run):
  drawn = pictures.draw(Material(run))
  found = read(run, drawn=drawn, curves=curves.draw(facts.gather(run)))
  shown = [p for p in drawn if p.content]
  assert {"loss", "samples", "reconstructions", "best_worst", "diagram"} <= {p.name for p in shown}
  alts = [alt for alt, _ in found.images]
  assert all(alts) and len(set(alts)) == len(alts) >= len(shown) + 2
  assert "Norm of the gradient over the steps, of every last step before a line" in alts
  assert "labels" in dict(found.table("picture"))["labels as one-hot columns"]
  # The montage has the run's own images, pixel by pixel: 2 rows of 3, a pixel between them.
  pixels = np.asarray(next(image for alt, image in found.images if "thousand" in alt).convert("L"))
  zoom = pixels.shape[0] // (2 * 4 + 1)
  assert pixels.shape == ((2 * 4 + 1) * zoom, (3 * 3 + 2) * zoom)
  small = pixels[zoom // 2::zoom, zoom // 2::zoom]
  cells = [small[5 * i:5 * i + 4, 4 * j:4 * j + 3].tobytes() for i in range(2) for j in range(3)]
  assert {image.tobytes() for image in DATA.test.images} <= set(cells)


def test_a_view_that_fails_by_the_users_files_is_named_and_a_bug_is_not_caught(run, monkeypatch):
  def fails(_):
    raise InputError("weights: are not finite.")

  def wrong(_):
    raise KeyError("a bug")

  views = [View("one", "one picture", "data", fails, ()),
           View("two", "another", "data", fails, (lambda _: "it does not apply",))]
  monkeypatch.setattr(pictures.catalogue, "VIEWS", views)
  found = read(run, drawn=pictures.draw(Material(run)))
  assert "One picture: weights: are not finite." in found.text
  assert found.table("picture") == [["another", "it does not apply"]]
  monkeypatch.setattr(pictures.catalogue, "VIEWS", [View("x", "x", "data", wrong, ())])
  with pytest.raises(KeyError):
    pictures.draw(Material(run))


def test_a_run_without_any_line_and_one_of_fit_are_pages_too(tmp_path):
  def kill(_):
    raise runs.Killed
  with pytest.raises(runs.Killed), runs.stops(1, after=kill):
    training.train(runs.experiment(), tmp_path / "begun", data=DATA)
  found = read(tmp_path / "begun", curves=curves.draw(facts.gather(tmp_path / "begun")))
  assert "just begun" in found.text and "Nothing has been evaluated yet." in found.text
  encoder = tfae.Stack([tfae.Flatten(), tfae.Dense(3)], (4, 3, 1), seed=1)
  model = tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255)
  tfae.fit(model, DATA, tfae.Adam(1e-2), epochs=2, batch_size=4, workdir=tmp_path / "fit")
  drawn = pictures.draw(Material(tmp_path / "fit"))
  found = read(tmp_path / "fit", drawn=drawn)
  assert "A model built by hand (tfae.fit) of 51 parameters" in found.text
  assert {p.name for p in drawn if p.content} >= {"loss"} and found.table("picture")


def test_a_strip_is_as_wide_as_the_page_whether_png_or_gif():
  def picture(size, kind):
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, kind)
    return Picture("x", "x", "data", content=buffer.getvalue())

  for kind in ("PNG", "GIF"):
    assert picture((300, 74), kind).wide and not picture((300, 290), kind).wide
