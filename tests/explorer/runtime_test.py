"""The runtime of the page is the one of the browser client, and of known bytes."""

import json

import pytest

from tfae.data import fetchers
from tfae.errors import InputError
from tfae.explorer import conversion, runtime


def test_the_version_is_that_of_the_browser_client():
  package = conversion.export_folder() / "clients" / "browser" / "package.json"
  assert json.loads(package.read_text())["dependencies"] == {"onnxruntime-web": runtime.VERSION}


def test_other_bytes_than_the_known_ones_are_refused_and_the_line_says_where_they_belong(
    tmp_path, monkeypatch):
  def package(*_):
    def fetch(files, deliver, scratch):
      del scratch
      for file in files:
        with open(tmp_path / "wrong", "rb") as stream:
          deliver(file, stream)
    return fetch

  (tmp_path / "wrong").write_bytes(b"export const evil = 1;")
  monkeypatch.setenv("TFAE_CACHE", str(tmp_path / "cache"))
  monkeypatch.setattr(fetchers, "npm_package", package)
  with pytest.raises(InputError, match=r"found sha256 .* Install npm, or put the files into "
                     rf"{tmp_path}/cache/onnxruntime-web-{runtime.VERSION}\.$"):
    runtime.find()
