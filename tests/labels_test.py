"""serving.json: which versions serve."""

import json

import pytest

from tfae import labels
from tfae.errors import InputError


def test_what_was_written_is_read_back_and_its_labels_are_there_for_any_reader(tmp_path):
  serving = labels.Serving("digits", "/srv/models", 8).promote(2).promote(5).mark("canary", 7)
  labels.write(tmp_path, serving)
  assert labels.read(tmp_path) == serving
  found = json.loads((tmp_path / "serving.json").read_text())
  assert found["labels"] == {"canary": 7, "previous": 2, "stable": 5}
  assert [path.name for path in tmp_path.iterdir()] == ["serving.json"]


def test_a_folder_without_the_file_has_no_labels_and_the_folder_s_name(tmp_path):
  assert labels.read(tmp_path) is None
  assert labels.of_folder(tmp_path / "digits") == labels.Serving("digits")
  assert labels.of_folder(tmp_path / "my model (2)").model_name == "my_model_2_"
  assert labels.of_folder("/").model_name == "model"
  assert labels.Serving("digits").labels == {}
  assert labels.Serving("digits").server_path == "/models/digits"
  assert labels.Serving("digits").configured(base_path="gs://x").server_path == "gs://x"


def test_rollbacks_go_back_through_all_that_was_stable_below():
  serving = labels.Serving("m").promote(1).promote(2).promote(4)
  assert serving.labels == {"previous": 2, "stable": 4}
  assert serving.roll_back().labels == {"previous": 1, "stable": 2}
  assert serving.roll_back().roll_back().labels == {"stable": 1}
  with pytest.raises(InputError, match="no lower version was stable before 1. .*--promote=VERSION"):
    serving.roll_back().roll_back().roll_back()
  with pytest.raises(InputError, match="no version is stable"):
    labels.Serving("m").roll_back()


def test_promoting_a_lower_version_forgets_the_higher_ones_which_would_get_unlabelled_requests():
  assert labels.Serving("m").promote(1).promote(3).promote(2).labels == {"previous": 1, "stable": 2}
  assert labels.Serving("m").promote(2).promote(2).promoted == (2,)


def test_a_retired_version_is_no_longer_one_to_return_to():
  assert labels.Serving("m").promote(1).promote(2).promote(3).without({2}).promoted == (1, 3)


def test_labels_are_given_moved_and_taken():
  serving = labels.Serving("m").mark("canary", 1).mark("canary", 2).mark("next", 2)
  assert serving.labels == {"canary": 2, "next": 2}
  assert serving.unmark("canary").labels == {"next": 2}
  with pytest.raises(InputError, match="unlabel='other': no version has .* canary, next"):
    serving.unmark("other")


@pytest.mark.parametrize("label, message", [
    ("stable", "moved by --promote"), ("previous", "moved by"), ("", "expected a small letter"),
    ("Canary", "expected a small"), ("4", "expected a small"), ("a" * 64, "at most 63"),
    ("a\nb", "expected a small"), ('a"', "expected a small")])
def test_a_label_that_a_server_s_file_could_not_hold_is_refused(label, message):
  with pytest.raises(InputError, match=message):
    labels.Serving("m").mark(label, 1)


@pytest.mark.parametrize("fields, message", [
    ({"model_name": "a/b"}, "model_name='a/b': expected letters"),
    ({"model_name": ""}, "model_name=''"),
    ({"base_path": "models"}, "base_path='models': expected an absolute path"),
    ({"base_path": '/a"b'}, "base_path="), ({"base_path": "/a\nb"}, "base_path="),
    ({"max_batch_size": 0}, "max_batch_size=0: expected an integer from 1"),
    ({"promoted": (2, 1)}, "expected ascending"), ({"promoted": (2**63,)}, "version="),
    ({"marked": {"canary": True}}, "version=True")])
def test_settings_that_a_server_could_not_read_are_refused(fields, message):
  with pytest.raises(InputError, match=message):
    labels.Serving(**{"model_name": "m", **fields})


@pytest.mark.parametrize("spoil", [
    lambda text: text[:-9], lambda text: "[]", lambda text: text.replace('"promoted"', '"x"'),
    lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
    lambda text: text.replace('"stable": 5', '"stable": 6'), lambda text: "\0"])
def test_a_damaged_file_is_one_line_with_its_name_and_the_way_out(spoil, tmp_path):
  labels.write(tmp_path, labels.Serving("digits").promote(5))
  path = tmp_path / "serving.json"
  path.write_text(spoil(path.read_text()))
  with pytest.raises(InputError, match=f"{path}: damaged .*Put back a copy, or remove it"):
    labels.read(tmp_path)
