"""Several replicas in one process, on logical CPUs, against one that has the whole batch."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as ex
from tfae import cluster, strategy, training
from tfae.errors import InputError
from tfae.specs.distortions import Augmentation, Corruption
from tfae.specs.model import Model
from tfae.tasks.reconstruct import Reconstruct
from tfae.tasks.variational import Variational

DATA = runs.dataset(train=45, size=(8, 8))
DENSE = (tfae.Flatten(), tfae.Dense(6, activation="tanh"), tfae.Dropout(0.3), tfae.Dense(3))
CONV = (tfae.Conv2D(3, 3, activation="tanh"), tfae.MaxPool(2), tfae.BatchNorm(), tfae.Flatten(),
        tfae.Dense(3))
CODE = Model((tfae.Flatten(), tfae.Dense(6, activation="tanh")), latent=2, tied=False)
CASES = {
    "dropout, noise and XLA": {"corruption": Corruption("gaussian", stddev=0.2),
                               "jit_compile": "on"},
    "convolution, batch normalisation, a clipped gradient": {
        "model": Model(CONV), "optimizer": tfae.Adam(1e-2, clip_norm=0.05)},
    "augmentation and masks": {
        "augmentation": Augmentation(shift=1, rotate=10.0, elastic_alpha=3.0, elastic_sigma=2.0,
                                     flip=True),
        "corruption": Corruption("salt_and_pepper", rate=0.3)},
    "sparsity": {"task": Reconstruct(sparsity=0.1, contractive=0.1), "model": Model(
        (tfae.Flatten(), tfae.Dense(3, activation="sigmoid")))},
    "variational": {"model": CODE, "task": Variational(binarize=True, samples=2, free_bits=0.5)},
    "importance weights": {"model": CODE, "task": Variational(objective="iwae", samples=3)},
}


def experiment(**fields):
  """45 images, 10 a batch: of 4 replicas three have 3 rows each, the last has 1; then 5 in all."""
  return runs.experiment(**{"model": Model(DENSE), "batch_size": 10, "epochs": 3, **fields})


def close(one, other):
  assert sorted(one) == sorted(other)
  for name in one:
    np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_four_replicas_take_the_steps_of_one_that_has_the_whole_batch(case, tmp_path):
  found = {}
  for name in ("none", "mirrored"):
    result = training.train(experiment(strategy=name, **CASES[case]), tmp_path / name, data=DATA)
    assert result.step == 15 and result.traces == 1 and result.chief
    found[name] = result.metrics["test"]["loss"]
  assert found["mirrored"] == pytest.approx(found["none"], rel=1e-5)
  close(runs.tensors(tmp_path / "none"), runs.tensors(tmp_path / "mirrored"))
  for one, other in zip(runs.lines(tmp_path / "none"), runs.lines(tmp_path / "mirrored")):
    assert one.keys() == other.keys() and one["step"] == other["step"]
    close({key: value for key, value in one.items() if isinstance(value, float)},
          {key: value for key, value in other.items() if isinstance(value, float)})


def test_a_run_goes_on_with_another_strategy_and_back(tmp_path):
  for name, steps in (("none", 4), ("mirrored", 11), ("none", 15)):
    training.train(experiment(steps=steps, strategy=name), tmp_path / "moved", data=DATA)
  training.train(experiment(steps=15), tmp_path / "stayed", data=DATA)
  close(runs.tensors(tmp_path / "stayed"), runs.tensors(tmp_path / "moved"))


def test_replicas_stop_at_a_loss_that_is_not_finite_and_name_the_step(tmp_path):
  with pytest.raises(training.NotFiniteError, match="step"):
    training.train(experiment(strategy="mirrored", optimizer=tfae.SGD(1e30)), tmp_path, data=DATA)


@pytest.mark.parametrize("fields, words", [
    ({"batch_size": 3}, "batch_size=3: fewer than the 4 replicas"),
    ({"model": Model(CONV), "jit_compile": "on"}, "jit_compile='on': .* over 4 replicas"),
    ({"model": CODE, "task": Variational(free_bits=1.0), "jit_compile": "on"}, "free bits"),
    ({"task": Reconstruct(sparsity=0.1), "jit_compile": "on",
      "model": Model((tfae.Flatten(), tfae.Dense(3, activation="sigmoid")))}, "sparsity penalty")])
def test_what_replicas_can_not_do_is_refused(fields, words, tmp_path):
  with pytest.raises(InputError, match=words):
    training.train(experiment(strategy="mirrored", **fields), tmp_path, data=DATA)


def test_what_no_strategy_allows_is_refused_before_anything_is_made():
  with pytest.raises(InputError, match="strategy='mirored': .*'mirrored'"):
    experiment(strategy="mirored")
  with pytest.raises(InputError, match="placement names .*Leave it 'auto'"):
    experiment(strategy="mirrored", placement=ex.Placement(encoder="/CPU:1"))


def test_several_processes_need_a_tf_config(monkeypatch, tmp_path):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  with pytest.raises(InputError, match="TF_CONFIG='': is not set"):
    training.train(experiment(strategy="multi_worker"), tmp_path, data=DATA)
  assert not list(tmp_path.iterdir())


def test_one_process_decides_for_itself_and_its_errors_are_its_own():
  alone = strategy.create("mirrored")
  assert alone.decide(7, 15) == (7, 15) and alone.chief and alone.replicas == 4
  with pytest.raises(ZeroDivisionError):
    with alone.watching():
      1 / 0  # pylint: disable=pointless-statement


@pytest.mark.parametrize("where", ["build.build", "Run"])
def test_a_worker_that_is_lost_while_the_model_is_made_is_named(where, monkeypatch, tmp_path):
  member = cluster.Member(("a:1", "b:2"), 0)
  two = strategy.Distributed(strategy.create("mirrored")._strategy, member)
  monkeypatch.setattr(strategy, "create", lambda name: two)

  def lost(*arguments, **options):
    raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed\n+")
  monkeypatch.setattr(f"tfae.training.{where}", lost)
  with pytest.raises(training.WorkerLostError,
                     match=r"^worker 0 of 2 \(a:1\): another worker .* \(Socket closed\)\. Start"):
    training.train(experiment(), tmp_path, data=DATA)
