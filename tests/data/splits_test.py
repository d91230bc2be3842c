"""tfae.data.splits: disjoint, complete, stratified within one, a function of the seed."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfae.data import splits
from tfae.errors import InputError
from tfae.specs.data import Data

# How many images of each digit are in MNIST's 70,000.
MNIST = (6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958)


def of(sizes, labels=None, seed=0, **fields):
  return splits.split(Data(**fields), sizes, labels, seed)


def shuffled(counts, seed=0):
  return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def everything(rows):
  return np.concatenate([part for part in rows if part is not None])


def test_70_20_10_of_mnist_by_the_tutorials_shares_has_its_exact_counts():
  # 70 % of each class, and 66 % of what is left of it.
  rows = of((60000, 10000), shuffled(MNIST), fractions=(0.7, 0.198, 0.102), stratify=True)
  assert [len(part) for part in rows] == [48996, 13859, 7145]


def test_80_10_10_of_mnist_is_56000_7000_7000():
  rows = of((60000, 10000), fractions=(0.8, 0.1, 0.1))
  assert [len(part) for part in rows] == [56000, 7000, 7000]


SHARES = st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9))


@hypothesis.given(st.lists(st.integers(20, 60), min_size=1, max_size=4), SHARES, st.booleans(),
                  st.integers(0, 2**63 - 1))
def test_fractions_are_disjoint_complete_and_stratified_within_one(counts, shares, stratify, seed):
  labels = shuffled(counts)
  fractions = tuple(share / sum(shares) for share in shares)
  rows = of((len(labels) - 5, 5), labels, seed, fractions=fractions, stratify=stratify)
  np.testing.assert_array_equal(np.sort(everything(rows)), np.arange(len(labels)))
  assert (rows[1] is None) == (shares[1] == 0)
  for part, share in zip(rows, fractions):
    if part is None:
      continue
    assert abs(len(part) - share * len(labels)) < (len(counts) if stratify else 1)
    assert (np.diff(part) > 0).all()
    if stratify:
      assert (np.abs(np.bincount(labels[part], minlength=len(counts))
                     - share * np.array(counts)) < 1).all()


@hypothesis.given(st.integers(5, 60), st.integers(2, 30), st.data())
def test_ranges_and_a_carved_validation_are_disjoint_and_within_their_parts(n_train, n_test, data):
  stop = data.draw(st.integers(2, n_train))
  n = data.draw(st.integers(0, stop - 1))
  train, validation, test = of((n_train, n_test), seed=3, train_range=(0, stop), validation=n)
  np.testing.assert_array_equal(
      np.sort(everything((train, validation))), np.arange(stop))
  assert (0 if validation is None else len(validation)) == n
  np.testing.assert_array_equal(test, np.arange(n_train, n_train + n_test))


def test_pooled_ranges_are_those_of_the_joined_set():
  train, validation, test = of((6, 6), pool=True, train_range=(0, 8, 3), validation_range=(4, 6),
                               test_range=(7, 12))
  assert [part.tolist() for part in (train, validation, test)] == [
      [0, 3, 6], [4, 5], [7, 8, 9, 10, 11]]


def test_without_pool_the_test_range_is_of_the_test_part():
  train, validation, test = of((6, 6), train_range=(0, 4), validation_range=(4, 6),
                               test_range=(1, 6, 2))
  assert [part.tolist() for part in (train, validation, test)] == [
      [0, 1, 2, 3], [4, 5], [7, 9, 11]]


def test_a_validation_range_alone_leaves_the_others_for_training():
  train, validation, test = of((6, 2), validation_range=(1, 6, 2))
  assert [part.tolist() for part in (train, validation, test)] == [[0, 2, 4], [1, 3, 5], [6, 7]]
  with pytest.raises(InputError, match=r"^data.validation_range=\(0, 6\): leaves no image"):
    of((6, 2), validation_range=(0, 6))


def test_every_tenth_with_a_tenth_for_validation_is_5400_and_600():
  train, validation, test = of((60000, 10000), train_range=(0, 60000, 10), validation=600)
  assert (len(train), len(validation), len(test)) == (5400, 600, 10000)
  np.testing.assert_array_equal(np.sort(everything((train, validation))),
                                np.arange(0, 60000, 10))


@pytest.mark.parametrize("fields", [
    {"fractions": (0.5, 0.3, 0.2)}, {"fractions": (0.5, 0.3, 0.2), "stratify": True},
    {"validation": 30}, {"validation": 30, "stratify": True}, {"labels_per_class": 10}])
def test_choices_are_a_function_of_the_seed(fields):
  labels = shuffled([40, 60])
  one, same, other = (of((100, 0) if "fractions" in fields else (95, 5), labels, seed, **fields)
                      for seed in (1, 1, 2))
  assert everything(one).tolist() == everything(same).tolist()
  assert everything(one).tolist() != everything(other).tolist()


def test_train_on_validation_swaps_the_sets_and_leaves_no_validation():
  fields = {"fractions": (0.7, 0.2, 0.1), "seed": 4}
  train, validation, test = of((90, 10), **fields)
  on, none, same = of((90, 10), train_on="validation", **fields)
  assert none is None
  assert on.tolist() == validation.tolist() and same.tolist() == test.tolist()
  assert not set(on) & set(train)


@hypothesis.given(st.lists(st.integers(6, 30), min_size=1, max_size=5), st.integers(1, 6),
                  st.integers(0, 1000))
def test_a_label_budget_leaves_n_of_each_class_and_nothing_else_changes(counts, n, seed):
  labels = shuffled(counts)
  train, validation, test = of((len(labels), 3), labels, seed, labels_per_class=n)
  assert np.bincount(labels[train]).tolist() == [n] * len(counts)
  assert validation is None and len(test) == 3
  assert (np.diff(train) > 0).all()


def test_a_smaller_budget_is_part_of_a_larger_one_whatever_the_other_sets_are():
  labels = shuffled([50, 50])
  budget = lambda n, **fields: set(of((100, 0), labels, 7, labels_per_class=n, pool=True, **fields)[
      0].tolist())
  small, large = (budget(n, train_range=(0, 80), test_range=(90, 100)) for n in (5, 20))
  assert small < large and len(small) == 10
  # The images that are left for training anyway keep their place in the queue.
  assert small == budget(5, train_range=(0, 80), test_range=(80, 100))


def test_the_budget_is_of_the_images_that_are_trained_on():
  labels = shuffled([50, 50])
  fields = {"fractions": (0.5, 0.4, 0.1), "stratify": True}
  validation = of((100, 0), labels, **fields)[1]
  train = of((100, 0), labels, train_on="validation", labels_per_class=6, **fields)[0]
  assert set(train) < set(validation) and np.bincount(labels[train]).tolist() == [6, 6]


def test_one_class_splits_train_on_the_normal_classes_only_and_test_on_all():
  labels, normal = shuffled([30, 40, 50]), (0, 2)
  for fields in ({"validation": 9}, {"validation": 9, "stratify": True},
                 {"validation_range": (60, 90)}, {"fractions": (0.5, 0.2, 0.3)},
                 {"validation": 40, "train_on": "validation"}, {"labels_per_class": 4}):
    size = 120 if "fractions" in fields else 100
    rows = of((size, 120 - size), labels, normal_classes=normal, **fields)
    _, _, same_test = of((size, 120 - size), labels, **fields)
    train, validation, test = rows
    for part in (train, validation):
      assert part is None or set(labels[part]) == set(normal)
    assert test.tolist() == same_test.tolist() and set(labels[test]) == {0, 1, 2}
    assert len(set(everything(rows))) == len(everything(rows))
  train, validation, _ = of((100, 20), labels, 5, normal_classes=(1,), validation=9)
  np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])),
                                np.flatnonzero(labels[:100] == 1))
  assert validation.tolist() != of((100, 20), labels, 6, normal_classes=(1,),
                                   validation=9)[1].tolist()


@pytest.mark.parametrize("sizes, labels, fields, part", [
    ((6, 6), None, {"train_range": (0, 7)}, "train_range=(0, 7): the part train has 6 images"),
    ((6, 6), None, {"test_range": (0, 7)}, "test_range=(0, 7): the part test has 6 images"),
    ((6, 6), None, {"pool": True, "train_range": (0, 7), "test_range": (7, 13)},
     "test_range=(7, 13): the joined set has 12 images"),
    ((6, 6), None, {"labels_per_class": 2}, "labels_per_class=2: expected 0"),
    ((6, 6), None, {"normal_classes": (3,)}, "normal_classes=(3,): expected (), the train images"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"normal_classes": (0, 2)},
     "normal_classes=(0, 2): class 2 has no training images; there are those of 0, 1"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"normal_classes": (1,), "train_range": (0, 3)},
     "normal_classes=(1,): class 1 has no training images; there are those of 0"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"normal_classes": (1,), "validation_range": (0, 3)},
     "normal_classes=(1,): class 1 has no validation images; there are those of 0"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"normal_classes": (1,), "validation": 3},
     "validation=3: expected an integer from 0 to 2"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"labels_per_class": 4}, 
     "labels_per_class=4: class 0 has 3 training"),
    ((6, 6), np.array([0, 0, 0, 1, 1, 1]), {"labels_per_class": 1, "train_range": (0, 3)},
     "labels_per_class=1: class 1 has 0 training"),
    ((6, 0), None, {"fractions": (0.5, 0.25, 0.25), "stratify": True}, "stratify=True"),
    ((3, 0), None, {"fractions": (0.1, 0.5, 0.4)}, 
     "fractions=(0.1, 0.5, 0.4): leaves no image for train"),
    ((3, 0), None, {"fractions": (0.8, 0.1, 0.1)}, 
     "fractions=(0.8, 0.1, 0.1): leaves no image for validation"),
    ((6, 6), None, {"validation": 6}, "validation=6: expected an integer from 0 to 5"),
])
def test_what_the_images_do_not_allow_is_refused(sizes, labels, fields, part):
  with pytest.raises(InputError) as caught:
    of(sizes, labels, **fields)
  assert str(caught.value).startswith(f"data.{part}") and "\n" not in str(caught.value)
