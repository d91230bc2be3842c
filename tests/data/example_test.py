"""tfae.data.example: tf.train.Examples that TensorFlow wrote."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import shards
from tfae.data import example


def test_features_are_what_tensorflow_wrote_of_every_type():
  data = shards.example(image=b"\0\xff", label=-3, many=[1, 2, 2**62], real=[0.5, -2.0], none=[])
  assert example.features(data) == {"image": [b"\0\xff"], "label": [-3], "many": [1, 2, 2**62],
                                    "real": [0.5, -2.0], "none": []}
  assert example.features(b"") == {} == example.features(shards.example())


@pytest.mark.parametrize("data", [b"hello", b"\x0a\xff", shards.example(image=b"abc")[:-1]])
def test_other_bytes_are_refused(data):
  with pytest.raises(ValueError):
    example.features(data)
