"""The configs of the nineteen systems have the tutorials' numbers of parameters, counted by hand."""

import importlib.util
import pathlib

import pytest

from tfae import experiment as experiments
from tfae.specs import memory

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


def conv(size, before, filters, bias=True):
  return size * size * before * filters + bias * filters


def dense(before, units):
  return before * units + units


# Where SYSTEMS gives a number it stands here; the others are worked out layer by layer.
POOLED = conv(3, 1, 8) + conv(3, 8, 16) + conv(3, 16, 8)
EXPECTED = {
    "s01_conv_pool": {"encoder": POOLED, "decoder": 5393 - POOLED},
    "s02_pretrained_classifier": {"encoder": POOLED, "head": 4642 - POOLED},
    "s03_classifier": {"encoder": POOLED, "head": 4642 - POOLED},
    "mnist_tied_dense": {"encoder": 573_440, "decoder": 0},
    "mnist_tied_conv": {"encoder": 8448, "decoder": 0},
    "s07_softmax": {"encoder": 0, "head": 7850},
    "s08_conv_classifier": {"encoder": conv(5, 1, 32) + conv(5, 32, 64),
                            "head": dense(7 * 7 * 64, 128) + dense(128, 10)},
    "s09_perceptron": {"encoder": dense(784, 784), "head": 623_290 - dense(784, 784)},
    "s10_simple_cnn": {"encoder": conv(5, 1, 32), "head": dense(12 * 12 * 32, 128) + dense(128, 10)},
    "s11_larger_cnn": {"encoder": conv(5, 1, 30) + conv(3, 30, 15),
                       "head": dense(5 * 5 * 15, 128) + dense(128, 50) + dense(50, 10)},
    "s12_branch_merge": {"encoder": conv(1, 1, 16) + conv(5, 1, 16),
                         "head": dense(14 * 14 * 16, 128) + dense(128, 10)},
    "s13_conv_vae": {"encoder": 494_772 - 2 * dense(32, 10), "mean": dense(32, 10),
                     "log_variance": dense(32, 10), "decoder": 156_737},
    "s14_probe": {"encoder": 494_772 - 2 * dense(32, 10), "mean": dense(32, 10), "head": 4210},
    "s15_perceptron": {"encoder": 0, "head": 159_010},
    "s16_denoising": {"encoder": dense(784, 10), "decoder": 16_474 - dense(784, 10)},
    "s17_conv_autoencoder": {"encoder": 1904, "decoder": 2481},
    "s18_dense_vae": {"encoder": dense(784, 512), "mean": dense(512, 2),
                      "log_variance": dense(512, 2),
                      "decoder": 807_700 - dense(784, 512) - 2 * dense(512, 2)},
    "s19_conv_vae": {"encoder": 1904, "mean": dense(128, 10), "log_variance": dense(128, 10),
                     "decoder": 3889},
}
for system in ("s03_classifier", "s13_conv_vae", "s14_probe", "s18_dense_vae", "s19_conv_vae"):
  EXPECTED[f"{system}_best"] = EXPECTED[system]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_config_has_the_parameters_of_its_system(name):
  spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  if name.startswith("s14_probe"):
    config.transfer.init_from = "anywhere"  # a probe needs one
  experiment = experiments.from_config(config)
  plans = experiment.task.plans(experiment.model, (28, 28, 1), 10)
  assert {part: memory.weight_bytes(plan.layers, plan.shapes, plan.shared) // 4
          for part, plan in plans.items()} == EXPECTED[name]


def test_the_sums_of_the_variational_systems_are_the_tutorials():
  assert sum(EXPECTED["s18_dense_vae"].values()) == 807_700
  encoder = sum(v for part, v in EXPECTED["s19_conv_vae"].items() if part != "decoder")
  assert encoder == 4484
