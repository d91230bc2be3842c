"""tfae.specs.penalties: which terms are taken, and for which encoders."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import tfae
from tfae.errors import InputError
from tfae.specs.penalties import Penalties

SIGMOID = tfae.Dense(4, activation="sigmoid")


@pytest.mark.parametrize("fields, named", [
    ({"sparsity": -1}, "Autoencoder.sparsity=-1: expected a finite number >= 0"),
    ({"code_l1": "x"}, "Autoencoder.code_l1='x'"),
    ({"contractive": float("inf")}, "Autoencoder.contractive=inf"),
    ({"sparsity": 1, "sparsity_target": 0}, "sparsity_target=0: expected a finite number > 0 and"),
    ({"sparsity": 1, "sparsity_target": 1.0}, "sparsity_target=1.0"),
    ({"sparsity_target": 0.1}, "sparsity_target=0.1: has no effect with Autoencoder.sparsity=0")])
def test_a_bad_value_is_refused(fields, named):
  with pytest.raises(InputError, match=named):
    Penalties(**fields)


def test_only_terms_with_an_effect_are_given():
  assert Penalties().given == {}
  assert Penalties(code_l1=0.1).given == {"code_l1": 0.1}
  assert Penalties(sparsity=2).given == {"sparsity": 2.0, "sparsity_target": 0.05}


@pytest.mark.parametrize("layers", [
    (tfae.Flatten(), SIGMOID), (tfae.Conv2D(2, 3), tfae.Activation("sigmoid"), tfae.MaxPool(2)),
    (tfae.Conv2D(2, 3, activation="sigmoid"), tfae.Flatten())])
def test_sparsity_takes_codes_of_a_sigmoid(layers):
  Penalties(sparsity=1).check_encoder(layers)


@pytest.mark.parametrize("layers, ends", [
    ((tfae.Flatten(), tfae.Dense(4)), "Dense with 'linear'"),
    ((tfae.Flatten(), SIGMOID, tfae.Dense(4, activation="relu")), "Dense with 'relu'"),
    ((tfae.Flatten(), SIGMOID, tfae.Dropout(0.5)), "Dropout"),  # scales what it leaves
    ((tfae.Flatten(), SIGMOID, tfae.BatchNorm()), "BatchNorm"),
    ((tfae.Flatten(), tfae.Branch(((SIGMOID,), (SIGMOID,)))), "Branch"),  # a sum of two
    ((tfae.Flatten(),), "none that has one")])
def test_sparsity_refuses_codes_that_may_leave_0_to_1(layers, ends):
  with pytest.raises(InputError, match=f"must end in .*it ends in {ends}"):
    Penalties(sparsity=1).check_encoder(layers)
  Penalties(code_l1=1, contractive=0).check_encoder(layers)


def test_contractive_refuses_batch_normalisation_wherever_it_is():
  for layers in ((tfae.Flatten(), tfae.BatchNorm(), SIGMOID),
                 (tfae.Flatten(), tfae.Branch(((tfae.BatchNorm(),), ())), SIGMOID)):
    with pytest.raises(InputError, match="contractive=0.5: not with BatchNorm"):
      Penalties(contractive=0.5).check_encoder(layers)
  Penalties(contractive=0.5).check_encoder((tfae.Flatten(), tfae.LayerNorm(), SIGMOID))
