"""tfae.weights: by name into a file, and from arrays into a model."""

import io
import pathlib
import sys
import zipfile

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import checkpoint, weights
from tfae.errors import InputError

LAYERS = (tfae.Flatten(), tfae.Dense(5, activation="tanh"), tfae.BatchNorm(), tfae.Dense(2))
NAMES = ["decoder/layer_0/bias", "decoder/layer_1/bias",
         "encoder/layer_1/bias", "encoder/layer_1/kernel", "encoder/layer_2/beta",
         "encoder/layer_2/gamma", "encoder/layer_2/moving_mean", "encoder/layer_2/moving_variance",
         "encoder/layer_3/bias", "encoder/layer_3/kernel", "mean"]


def model(seed=0, layers=LAYERS, mean=True, dtype="float32"):
  encoder = tfae.Stack(layers, (4, 3, 1), device="/CPU:0", seed=seed, compute_dtype=dtype)
  plain = [layer for layer in layers if not isinstance(layer, tfae.BatchNorm)]
  decoder = tfae.Stack((tfae.Dense(5), tfae.Dense(12), tfae.Reshape((4, 3, 1))), (2,),
                       device="/CPU:0", name="decoder", compute_dtype=dtype) \
      if len(plain) < len(layers) else tfae.mirror(encoder)
  return tfae.Autoencoder(encoder, decoder, scale=1 / 255,
                          mean=np.full((4, 3, 1), 0.1 + seed) if mean else None)


def values(built):
  return {name: v.numpy() for name, v in weights.by_name(built).items()}


def test_a_file_holds_every_variable_by_its_name_in_float32(tmp_path):
  source = model()
  tfae.save_weights(source, tmp_path / "new" / "w.npz")
  with np.load(tmp_path / "new" / "w.npz") as archive:
    found = dict(archive)
  assert sorted(found) == sorted([*NAMES, "decoder/layer_0/kernel", "decoder/layer_1/kernel"])
  for name, value in values(source).items():
    assert found[name].dtype == np.float32 and found[name].tobytes() == value.tobytes(), name


def test_a_shared_kernel_is_in_the_file_once(tmp_path):
  plain = (tfae.Flatten(), tfae.Dense(5), tfae.Dense(2))
  tfae.save_weights(model(layers=plain), tmp_path / "w.npz")
  with np.load(tmp_path / "w.npz") as archive:
    assert sorted(name for name in archive.files if name.endswith("kernel")) == [
        "encoder/layer_1/kernel", "encoder/layer_2/kernel"]


def test_the_file_is_the_same_bytes_each_time_and_another_name_is_refused(tmp_path, monkeypatch):
  import time
  tfae.save_weights(model(), tmp_path / "a.npz")
  monkeypatch.setattr(time, "time", lambda: 2e9)
  tfae.save_weights(model(), tmp_path / "b.npz")
  assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
  with pytest.raises(InputError, match="ends in .npz"):
    tfae.save_weights(model(), tmp_path / "weights.txt")
  assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_weights_go_through_a_file_unchanged(tmp_path):
  source, target = model(seed=1), model(seed=2)
  tfae.save_weights(source, tmp_path / "w.npz")
  moved = tfae.load_weights(target, tmp_path / "w.npz")
  assert moved.names == sorted(values(source)) and not (moved.missing or moved.unused)
  for name, value in values(source).items():
    assert values(target)[name].tobytes() == value.tobytes(), name
  images = runs.dataset().test.images
  np.testing.assert_array_equal(source.reconstruct(images), target.reconstruct(images))


def test_a_model_of_float64_keeps_its_digits(tmp_path):
  source, target = model(1, dtype="float64"), model(2, dtype="float64")
  tfae.save_weights(source, tmp_path / "w.npz")
  tfae.load_weights(target, tmp_path / "w.npz")
  assert all(value.dtype == np.float64 and value.tobytes() == values(source)[name].tobytes()
             for name, value in values(target).items())


@pytest.mark.parametrize("prefix, exclude, begins, but", [
    ("encoder", "", ("encoder/", "mean"), ()),  # the mean image is what the encoder subtracts
    ("encoder/", "mean", ("encoder/",), ()),
    ("encoder/layer_1", "", ("encoder/layer_1/",), ()),
    ("decoder", "*/bias", ("decoder/",), ("bias",)),
    ("", "decoder/*, */kernel", ("encoder/", "mean"), ("kernel",))])
def test_a_prefix_and_patterns_choose_what_is_moved(prefix, exclude, begins, but):
  source, target = values(model(seed=1)), model(seed=2)
  before = values(target)
  moved = weights.assign(target, source, "here", prefix, exclude)
  expected = sorted(name for name in source if name.startswith(begins)
                    and not name.endswith(but or ("none",)))
  assert moved.names == expected and expected
  for name, value in values(target).items():
    assert value.tobytes() == (source if name in expected else before)[name].tobytes(), name


def test_a_prefix_is_whole_parts_of_a_name():
  source = {f"encoder/layer_{i}/kernel": np.zeros((1, 1)) for i in (1, 10)}
  with pytest.raises(InputError, match="no variable of the model under 'enc' is there"):
    weights.assign(model(), source, "here", "enc")


def test_what_is_missing_excluded_or_not_used_is_told():
  source = values(model())
  source["head/layer_0/kernel"] = source.pop("encoder/layer_1/bias")
  moved = weights.assign(model(), source, "here", "", "decoder/*/bias")
  assert moved.missing == ["encoder/layer_1/bias"]
  assert moved.excluded == ["decoder/layer_0/bias", "decoder/layer_1/bias"]
  assert moved.unused == ["head/layer_0/kernel"]


def test_the_digest_is_that_of_what_was_moved():
  source = values(model())
  digest = lambda changed, **options: weights.assign(
      model(), {**source, **changed}, "here", **options).sha256
  same = digest({})
  assert digest({"unknown": np.zeros(3)}) == same
  other = source["mean"] + np.float32(1e-3)
  assert digest({"mean": other}) != same
  assert digest({"mean": other}, exclude="mean") == digest({}, exclude="mean") != same


@pytest.mark.parametrize("change, options, named", [
    ({"encoder/layer_1/kernel": np.zeros((12, 4))}, {},
     r"encoder/layer_1/kernel \(12 x 4 there, 12 x 5 here\).*exclude='encoder/layer_1/kernel'"),
    ({"mean": np.full((4, 3, 1), np.nan)}, {}, "mean .*no finite"),
    ({"mean": np.zeros((4, 3, 1), np.int64)}, {}, r"mean \(int64\)"),
    ({}, {"prefix": "head"}, "no variable of the model under 'head'.*There are .*decoder/layer_0"),
    ({}, {"exclude": "*"}, r"not excluded by '\*'")])
def test_what_can_not_be_moved_is_refused_and_changes_nothing(change, options, named):
  target = model(seed=2)
  before = values(target)
  with pytest.raises(InputError, match=named) as error:
    weights.assign(target, {**values(model(seed=1)), **change}, "here", **options)
  assert "\n" not in str(error.value)
  assert all(before[name].tobytes() == value.tobytes() for name, value in values(target).items())


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04 torn", "cut", "pickle",
                                     "npy", "terabytes"])
def test_a_file_that_is_no_npz_is_refused_in_one_line(tmp_path, content):
  path = tmp_path / "w.npz"
  if content == "cut":
    tfae.save_weights(model(), path)
    path.write_bytes(path.read_bytes()[:-200])
  elif content == "pickle":
    np.savez(path, **{"mean": np.array([{}], object)})
  elif content == "terabytes":
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(path, "w") as archive:
      archive.writestr("mean.npy", header.getvalue())
  elif content == "npy":
    with path.open("wb") as file:
      np.save(file, np.zeros(3))
  elif content is not None:
    path.write_bytes(content)
  with pytest.raises(InputError, match="w.npz: can't be read as .npz") as error:
    tfae.load_weights(model(), path)
  assert "\n" not in str(error.value)


def test_a_checkpoint_gives_the_names_that_the_variables_had(tmp_path):
  trained = model(seed=1, layers=(tfae.Flatten(), tfae.Dense(5), tfae.Dense(2)))
  tfae.fit(trained, runs.dataset(), tfae.Adam(), batch_size=4, epochs=1, workdir=tmp_path,
           logging=runs.QUIET, jit_compile="off")
  found, step = checkpoint.read_weights(tmp_path / "checkpoints")
  assert step == 6 and sorted(found) == sorted(values(trained))
  assert all(found[name].tobytes() == v.tobytes() for name, v in values(trained).items())
  first, step = checkpoint.read_weights(tmp_path / "checkpoints", "0")
  assert step == 0 and first["encoder/layer_1/kernel"].tobytes() != \
      found["encoder/layer_1/kernel"].tobytes()
  with pytest.raises(InputError, match="checkpoint='7': expected 'latest', 'best' or one of"):
    checkpoint.read_weights(tmp_path / "checkpoints", "7")
