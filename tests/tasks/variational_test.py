"""The task variational: its door, and the stacks that it plans."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build
from tfae import experiment as experiments
from tfae.errors import InputError
from tfae.experiment import Experiment
from tfae.specs.model import Model
from tfae.tasks.variational import Variational

DENSE = (tfae.Flatten(), tfae.Dense(6, activation="relu"))


def plans(model, shape=(4, 3, 1), **task):
  Experiment(model=model, task=Variational(**task))  # the door
  return Variational(**task).plans(model, shape, 0)


def test_the_mirrored_decoder_undoes_the_head_too():
  found = plans(Model((tfae.Conv2D(2, 3, 2, activation="elu"), *DENSE), latent=3, tied=False))
  assert list(found) == ["encoder", "mean", "log_variance", "decoder"]
  assert [found[name].place for name in found] == ["encoder", "latent", "latent", "decoder"]
  assert found["mean"].shapes == [(6,), (3,)] and found["mean"].layers == [tfae.Dense(3)]
  assert found["decoder"].shapes == [(3,), (6,), (8,), (2, 2, 2), (4, 3, 1)]
  assert [getattr(layer, "activation", None) for layer in found["decoder"].layers] == [
      "relu", "elu", None, "linear"]


def test_components_and_variables_are_named_by_their_places_in_the_model():
  model = build.build(Experiment(model=Model(DENSE, latent=2, tied=False),
                                 task=Variational(samples=3)), (4, 3, 1), 255)
  assert [v.name for v in model.trainable[2:6]] == [
      "mean/layer_0/kernel:0", "mean/layer_0/bias:0",
      "log_variance/layer_0/kernel:0", "log_variance/layer_0/bias:0"]
  assert model.bound.samples == 3 and model.copies == 3 and model.code_shape == (2,)
  gaussian = build.build(
      Experiment(model=Model(DENSE, latent=2, tied=False, subtract_mean=True),
                 task=Variational(likelihood="gaussian")), (4, 3, 1), 255,
      train_images=runs.dataset().train.images)
  assert gaussian.mean.shape == (4, 3, 1) and gaussian.mean_head.output_shape == (2,)


@pytest.mark.parametrize("model, task, message", [
    ({"latent": 0}, {}, "model.latent=0: expected the number of latent variables"),
    ({"tied": True}, {}, "model.tied=True: not with task.name='variational'"),
    ({"output_activation": "sigmoid"}, {}, "gives logits.*it ends in 'sigmoid'"),
    ({"decoder": (tfae.Dense(12, activation="sigmoid"), tfae.Reshape((4, 3, 1)))}, {},
     "it ends in 'sigmoid'"),
    ({"subtract_mean": True}, {}, "model.subtract_mean=True: not with task.likelihood='bernoulli'"),
    ({"head": (tfae.Dense(2),)}, {}, "model.head=.*has no effect on task.name='variational'"),
    ({"encoder": (tfae.Conv2D(2, 3),)}, {}, r"model.encoder, model.latent\[1\].*Flatten"),
    ({"decoder": (tfae.Dense(12),)}, {}, r"model.decoder: ends in shape \(12,\)"),
    ({}, {"likelihood": "bernouli"}, "task.likelihood='bernouli'.*Did you mean 'bernoulli'"),
    ({}, {"objective": "vae"}, "task.objective='vae': expected one of 'elbo', 'iwae'"),
    ({}, {"likelihood_stddev": 0.1}, "task.likelihood_stddev=0.1: has no effect with likelihood="),
    ({}, {"likelihood": "gaussian", "likelihood_stddev": 0}, "task.likelihood_stddev=0: expected"),
    ({}, {"likelihood": "gaussian", "binarize": True}, "task.binarize=True: black and white"),
    ({}, {"samples": 0}, "task.samples=0: expected an integer from 1"),
    ({}, {"free_bits": -1}, "task.free_bits=-1"),
    ({}, {"free_bits": 1, "beta": 0}, "task.free_bits=1.0: has no effect with beta=0.0"),
    ({}, {"objective": "iwae", "beta": 2.0}, "task.beta=2.0: has no effect with objective='iwae'"),
    ({}, {"objective": "iwae", "noise_stddev": 0.5}, "task.noise_stddev=0.5: has no effect"),
    ({}, {"noise_stddev": float("inf")}, "task.noise_stddev=inf"),
    ({}, {"binarize": 1}, "task.binarize=1: expected True or False"),
])
def test_what_cannot_be_trained_is_refused_at_the_door(model, task, message):
  with pytest.raises(InputError, match=message):
    plans(Model(**{"encoder": DENSE, "latent": 2, "tied": False, **model}), **task)


def test_a_config_makes_the_task_and_goes_through_json():
  config = tfae.default_config()
  config.model.encoder, config.model.latent, config.model.tied = DENSE, 2, False
  config.task.name = "variational"
  config.task.beta, config.task.samples = 4, 5
  experiment = experiments.from_config(config)
  assert experiment.task == Variational(beta=4.0, samples=5)
  assert experiments.from_json(experiments.to_json(experiment)) == experiment
  config.task.loss = "mean_squared_error"
  with pytest.raises(InputError, match="task.loss=.*variational has no such field"):
    experiments.from_config(config)
