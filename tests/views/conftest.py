"""Small runs on the digits, one of each kind, for the tests of what is seen of a run."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import anomaly, training
from tfae.views.material import Material


def experiment(encoder, *, task=None, steps=60, corruption=tfae.Corruption(), normal_classes=(),
               **model):
  return ex.Experiment(data=ex.Data("digits", validation=30, normal_classes=normal_classes),
                       model=ex.Model(encoder, **model), task=task or tfae.Reconstruct(),
                       optimizer=tfae.Adam(5e-3), steps=steps, corruption=corruption,
                       jit_compile="off", logging=runs.QUIET)


CONV = (tfae.Conv2D(4, 3, stride=2, activation="relu"), tfae.Conv2D(6, 3, stride=2,
                                                                    activation="relu"))
DENSE = (tfae.Flatten(), tfae.Dense(32, activation="relu"))
EXPERIMENTS = {
    "conv": experiment(CONV),
    "denoising": experiment((*DENSE, tfae.Dense(8)), corruption=tfae.Corruption("masking", 0.3)),
    "plane": experiment(DENSE, task=tfae.Variational(), latent=2, tied=False),
    "variational": experiment(DENSE, task=tfae.Variational(), latent=5, tied=False),
    "classifier": experiment((*CONV, tfae.Flatten(), tfae.Dropout(0.2)), task=tfae.Classify(),
                             head=(tfae.Dense(16, activation="relu"), tfae.Dense(10))),
    "one_class": experiment((*DENSE, tfae.Dense(4)), normal_classes=(3,)),
}


@pytest.fixture(name="folders", scope="session")
def fixture_folders(tmp_path_factory):
  """{name: folder of a trained run} of EXPERIMENTS."""
  folder = tmp_path_factory.mktemp("views")
  for name, found in EXPERIMENTS.items():
    training.train(found, folder / name)
  anomaly.choose(folder / "one_class", ex.load_data(EXPERIMENTS["one_class"]))
  return {name: folder / name for name in EXPERIMENTS}


@pytest.fixture(name="materials", scope="session")
def fixture_materials(folders):
  """{name: `Material`} of the same, of 120 images."""
  return {name: Material(workdir, images=120) for name, workdir in folders.items()}
