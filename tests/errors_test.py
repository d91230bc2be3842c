"""The checks pass on what is allowed, and else name the argument, the value and the way out."""

import fractions
import math

import numpy as np
import pytest

from tfae import errors


def refusal(check, *args, **kwargs):
  with pytest.raises(errors.InputError) as caught:
    check(*args, **kwargs)
  message = str(caught.value)
  assert "\n" not in message
  return message


def test_an_input_error_is_a_value_error():
  assert issubclass(errors.InputError, ValueError)


def test_nearest_suggests_the_closest_name_and_nothing_for_a_stranger():
  assert errors.nearest("encodr", ["encoder", "decoder"]) == " Did you mean 'encoder'?"
  assert errors.nearest("zzz", ["encoder", "decoder"]) == ""
  assert errors.nearest(12, [123, 456]) == " Did you mean '123'?"


def test_a_choice_is_returned_and_a_wrong_one_is_refused_with_all_and_the_nearest():
  assert errors.check_choice("loss", "mse", ("mse", "bce")) == "mse"
  message = refusal(errors.check_choice, "padding", "some", ("same", "valid"))
  assert message == ("padding='some': expected one of 'same', 'valid'. Did you mean 'same'?")


@pytest.mark.parametrize("value", [None, 3, ["same"], ("same",), {"same"}, np.array(["same"])])
def test_a_choice_that_is_no_string_is_refused(value):
  assert "expected one of" in refusal(errors.check_choice, "padding", value, ("same", "valid"))


@pytest.mark.parametrize("value", [True, False])
def test_a_bool_is_returned(value):
  assert errors.check_bool("tied", value) is value


@pytest.mark.parametrize("value", [0, 1, None, "True", np.bool_(True)])
def test_what_is_no_bool_is_refused(value):
  assert refusal(errors.check_bool, "tied", value) == f"tied={value!r}: expected True or False."


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(7)])
def test_an_integer_within_the_bounds_comes_back_as_int(value):
  found = errors.check_int("units", value, 1, 7)
  assert type(found) is int and found == value


@pytest.mark.parametrize("value", [0, 8, -1, 3.0, 3.5, True, False, None, "3", math.nan, [3],
                                   np.float32(3), pytest.param(10**400, id="huge")])
def test_what_is_no_integer_within_the_bounds_is_refused(value):
  message = refusal(errors.check_int, "units", value, 1, 7)
  assert message == f"units={errors.shown(value)}: expected an integer from 1 to 7."


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.25), np.int8(1),
                                   fractions.Fraction(1, 3)])
def test_a_number_within_the_bounds_comes_back_as_float(value):
  found = errors.check_number("rate", value, 0, 1)
  assert type(found) is float and found == float(value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, -math.inf, True, None, "0.5",
                                   1j, [0.5], pytest.param(10**400, id="huge"),
                                   pytest.param(-10**400, id="minus huge")])
def test_what_is_no_finite_number_within_the_bounds_is_refused(value):
  message = refusal(errors.check_number, "rate", value, 0, 1)
  assert message == f"rate={errors.shown(value)}: expected a finite number >= 0 and <= 1."


def test_the_bounds_themselves_can_be_excluded_and_the_message_says_so():
  assert errors.check_number("rate", 0.5, 0, 1, above=True, below=True) == 0.5
  assert refusal(errors.check_number, "rate", 0, 0, 1, above=True).endswith("> 0 and <= 1.")
  assert refusal(errors.check_number, "rate", 1, 0, 1, below=True).endswith(">= 0 and < 1.")


def test_a_number_without_bounds_is_refused_in_a_sentence_without_bounds():
  assert refusal(errors.check_number, "x", "a") == "x='a': expected a finite number."
  assert errors.check_number("x", -1e300) == -1e300
