"""tfae.build: an experiment's model has the variables, devices and mean that it names."""

import dataclasses

import numpy as np
import pytest

import tfae
from tfae import experiment as ex
from tfae import placement
from tfae.build import build
from tfae.errors import InputError

LAYERS = (tfae.Flatten(), tfae.Dense(6, activation="relu"), tfae.Dense(2))


def names(model):
  return {v.name.split(":")[0]: tuple(v.shape) for v in model.variables}


def test_a_tied_model_has_one_kernel_a_layer_and_its_own_biases():
  model = build(ex.Experiment(model=ex.Model(LAYERS)), (4, 3, 1), 255)
  assert names(model) == {
      "encoder/layer_1/kernel": (12, 6), "encoder/layer_1/bias": (6,),
      "encoder/layer_2/kernel": (6, 2), "encoder/layer_2/bias": (2,),
      "decoder/layer_0/bias": (6,), "decoder/layer_1/bias": (12,)}
  assert model.decoder.layers[0].kernel is model.encoder.layers[2].kernel
  assert model.scale == 1 / 255 and model.mean is None


def test_an_untied_model_has_kernels_of_its_own_and_bias_as_asked():
  model = build(ex.Experiment(model=ex.Model(LAYERS, tied=False, decoder_bias=False)),
                (4, 3, 1), 255)
  assert {n: s for n, s in names(model).items() if n.startswith("decoder")} == {
      "decoder/layer_0/kernel": (2, 6), "decoder/layer_1/kernel": (6, 12)}


def test_a_decoder_that_is_written_out_is_built_as_it_is():
  decoder = (tfae.Dense(5), tfae.Dense(12), tfae.Reshape((4, 3, 1)))
  model = build(ex.Experiment(model=ex.Model(LAYERS, decoder, tied=False)), (4, 3, 1), 16)
  assert [layer.spec for layer in model.decoder.layers] == list(decoder)
  assert model.reconstruct(np.zeros((2, 4, 3, 1), np.uint8)).shape == (2, 4, 3, 1)


def test_the_mean_image_is_that_of_the_training_images_in_scaled_units():
  experiment = ex.Experiment(model=ex.Model(LAYERS, subtract_mean=True))
  images = np.random.default_rng(0).integers(0, 256, (1000, 4, 3, 1), np.uint8)
  model = build(experiment, (4, 3, 1), 255, train_images=images)
  expected = [[[sum(int(p) for p in images[:, y, x, 0]) / 1000 / 255] for x in range(3)]
              for y in range(4)]
  np.testing.assert_allclose(model.mean.numpy(), expected, rtol=1e-6)
  assert not build(experiment, (4, 3, 1), 255).mean.numpy().any()


def test_components_are_on_the_devices_that_the_experiment_names():
  experiment = ex.Experiment(model=ex.Model(LAYERS),
                             placement=ex.Placement("/CPU:1", "/CPU:2", "/CPU:3"))
  model = build(experiment, (4, 3, 1), 255)
  for variable in model.variables:
    expected = "CPU:1" if variable.name.startswith("encoder") else "CPU:2"
    assert variable.device.endswith(expected), variable.name
  elsewhere = placement.resolve(ex.Placement("/CPU:3", "/CPU:3", "/CPU:3"))
  model = build(experiment, (4, 3, 1), 255, devices=elsewhere)
  assert all(v.device.endswith("CPU:3") for v in model.variables)


def test_the_same_seed_gives_the_same_weights_on_any_device_and_another_seed_others():
  def kernels(**fields):
    model = build(ex.Experiment(model=ex.Model(LAYERS, tied=False), **fields), (4, 3, 1), 255)
    return [v.numpy() for v in model.variables if "kernel" in v.name]
  one, elsewhere, other = (kernels(seed=1), kernels(seed=1, placement=ex.Placement("/CPU:3")),
                           kernels(seed=2))
  for a, b, c in zip(one, elsewhere, other):
    assert a.tobytes() == b.tobytes() and not np.allclose(a, c)
  # No two kernels of a model share their numbers.
  assert len({a.reshape(-1)[0] for a in one}) == len(one)


def test_what_does_not_fit_is_refused_with_the_layer_or_the_device():
  with pytest.raises(InputError, match=r"model.encoder\[0\]: MaxPool: expected an input of shape"):
    build(ex.Experiment(model=ex.Model((tfae.MaxPool(2),))), (12,), 255)
  experiment = ex.Experiment(model=ex.Model(LAYERS))
  with pytest.raises(InputError, match="placement.decoder='/GPU:7'.*/CPU:0"):
    build(dataclasses.replace(experiment, placement=ex.Placement(decoder="/GPU:7")), (4, 3, 1), 1)
