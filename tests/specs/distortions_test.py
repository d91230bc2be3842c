"""Corruption and augmentation refuse what cannot be meant, in one line, without TensorFlow."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tfae import errors
from tfae.specs.distortions import Augmentation, Corruption


def test_the_defaults_change_nothing():
  assert dataclasses.astuple(Corruption()) == ("none", 0.0, 0.0, False)
  assert dataclasses.astuple(Augmentation()) == (0, 0.0, 0.0, 4.0, False)


@pytest.mark.parametrize("make, named", [
    (lambda: Corruption("mask"), "corruption.name='mask'"),
    (lambda: Corruption(None), "corruption.name=None"),
    (lambda: Corruption("masking", 1.0), "corruption.rate=1.0"),
    (lambda: Corruption("masking", 1 - 1e-9), "corruption.rate=0.999999999"),
    (lambda: Corruption("masking", -0.1), "corruption.rate=-0.1"),
    (lambda: Corruption("masking", "0.1"), "corruption.rate='0.1'"),
    (lambda: Corruption("masking", math.nan), "corruption.rate=nan"),
    (lambda: Corruption("masking"), "corruption.name='masking'"),
    (lambda: Corruption("salt_and_pepper"), "corruption.name='salt_and_pepper'"),
    (lambda: Corruption("gaussian"), "corruption.name='gaussian'"),
    (lambda: Corruption("gaussian", stddev=-1), "corruption.stddev=-1"),
    (lambda: Corruption("gaussian", stddev=math.inf), "corruption.stddev=inf"),
    (lambda: Corruption("masking", 0.1, rescale=1), "corruption.rescale=1"),
    (lambda: Corruption(rate=0.1), "corruption.rate=0.1"),
    (lambda: Corruption(stddev=0.1), "corruption.stddev=0.1"),
    (lambda: Corruption(rescale=True), "corruption.rescale=True"),
    (lambda: Corruption("masking", 0.1, 0.1), "corruption.stddev=0.1"),
    (lambda: Corruption("gaussian", 0.1, 0.1), "corruption.rate=0.1"),
    (lambda: Corruption("gaussian", stddev=0.1, rescale=True), "corruption.rescale=True"),
    (lambda: Corruption("salt_and_pepper", 0.1, rescale=True), "corruption.rescale=True"),
    (lambda: Corruption("salt_and_pepper", 0.1, 0.2), "corruption.stddev=0.2"),
    (lambda: Augmentation(shift=-1), "augmentation.shift=-1"),
    (lambda: Augmentation(shift=1.5), "augmentation.shift=1.5"),
    (lambda: Augmentation(rotate=181), "augmentation.rotate=181"),
    (lambda: Augmentation(rotate=-1), "augmentation.rotate=-1"),
    (lambda: Augmentation(rotate=True), "augmentation.rotate=True"),
    (lambda: Augmentation(elastic_alpha=-1), "augmentation.elastic_alpha=-1"),
    (lambda: Augmentation(elastic_alpha=8, elastic_sigma=0), "augmentation.elastic_sigma=0"),
    (lambda: Augmentation(elastic_alpha=8, elastic_sigma=1e5), "augmentation.elastic_sigma=1000"),
    (lambda: Augmentation(elastic_sigma=3), "augmentation.elastic_sigma=3.0"),
    (lambda: Augmentation(flip=1), "augmentation.flip=1"),
])
def test_a_wrong_field_is_refused_with_its_name_and_value_in_one_line(make, named):
  with pytest.raises(errors.InputError) as raised:
    make()
  message = str(raised.value)
  assert message.startswith(named) and "\n" not in message
  assert ":" in message and message.endswith((".", "?"))


def test_what_has_no_effect_is_answered_with_what_would_give_it_one():
  with pytest.raises(errors.InputError, match="Did you mean 'masking'"):
    Corruption("mask")
  with pytest.raises(errors.InputError, match="Use name='masking' or 'salt_and_pepper'"):
    Corruption("gaussian", rate=0.3, stddev=0.1)
  with pytest.raises(errors.InputError, match="Give corruption.stddev"):
    Corruption("gaussian")


def test_each_kind_of_noise_takes_its_own_fields():
  for fields in (("masking", 0.3), ("masking", 0.3, 0.0, True), ("gaussian", 0.0, 0.2),
                 ("salt_and_pepper", 0.3)):
    assert dataclasses.astuple(Corruption(*fields))[:len(fields)] == fields


def test_numbers_of_any_type_become_plain_ones_so_that_json_says_the_same():
  for spec in (Corruption("masking", np.float32(0.5)), Corruption("gaussian", stddev=1),
               Augmentation(np.int64(2), 15, np.float64(34), 4, True)):
    fields = json.loads(json.dumps(dataclasses.asdict(spec)))
    assert type(spec)(**fields) == spec
    assert {f.name: type(fields[f.name]) for f in dataclasses.fields(spec)} == {
        f.name: type(f.default) for f in dataclasses.fields(spec)}


def test_a_shift_that_could_leave_nothing_of_an_image_is_refused():
  Augmentation(shift=3).check_shape((4, 28, 1))
  with pytest.raises(errors.InputError, match="augmentation.shift=4: .* 4 x 28 pixels .* most 3"):
    Augmentation(shift=4).check_shape((4, 28, 1))
