"""tfae.figures.codes: neighbours, embeddings and bars agree with what NumPy counts."""

import pathlib
import sys

import numpy as np
import pytest
import threadpoolctl

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from tfae.figures import codes, style


def clusters(count=30, size=4, seed=0):
  """Two groups of codes, far apart, and their labels."""
  labels = np.arange(count) % 2
  noise = np.random.default_rng(seed).normal(size=(count, size))
  return (noise + 30 * labels[:, None]).astype(np.float32), labels


def test_tsne_keeps_groups_together_and_is_the_same_for_a_seed():
  points, labels = clusters()
  # Threads of OpenMP wait for each other by spinning: on a busy machine for half a minute.
  with threadpoolctl.threadpool_limits(1):
    embedding, again = (codes.tsne(points, seed=3) for _ in range(2))
  assert embedding.shape == (30, 2)
  nearest = np.argsort(np.square(embedding[:, None] - embedding).sum(-1), axis=1)[:, 1]
  assert (labels[nearest] == labels).all()
  np.testing.assert_array_equal(embedding, again)


def test_tsne_takes_codes_of_one_dimension_and_refuses_four_codes():
  with threadpoolctl.threadpool_limits(1):
    assert codes.tsne(np.arange(6.0)[:, None]).shape == (6, 2)
  with pytest.raises(InputError, match="at least 5 codes"):
    codes.tsne(np.zeros((4, 2)))


def test_a_scatter_has_each_class_at_its_points_in_its_style_with_its_count():
  points, labels = np.array([[0.0, 1], [2, 3], [4, 5]]), [0, 2, 0]
  figure = codes.scatter(points, labels, ["cat", "dog", "cow"], ("x", "y"), "Three")
  first, second = figure.axes[0].collections
  np.testing.assert_array_equal(first.get_offsets(), points[[0, 2]])
  np.testing.assert_array_equal(second.get_offsets(), points[[1]])
  found = drawn.texts(figure)
  assert {"cat (2)", "cow (1)", "x", "y", "Three"} <= set(found)
  assert not any("dog" in text for text in found)
  drawn.inside(figure)


def test_points_without_labels_have_no_legend_and_all_are_there():
  points = np.random.default_rng(0).normal(size=(20, 2))
  figure = codes.scatter(points, axis_names=None)
  np.testing.assert_array_equal(figure.axes[0].collections[0].get_offsets(), points)
  assert not figure.legends and drawn.texts(figure) == ["20 codes"]


def test_a_hundred_classes_of_long_names_fit():
  figure = codes.scatter(np.zeros((100, 2)), np.arange(100), [f"class {'x' * 30}"] * 100)
  drawn.inside(figure)


def test_neighbours_are_those_of_a_brute_force_search_without_the_anchor():
  values, anchors = np.random.default_rng(0).normal(size=(40, 3)), [5, 0, 39]
  indices, distances = codes.neighbours(values, anchors, 6)
  for anchor, near, far in zip(anchors, indices, distances):
    all_far = np.sqrt(np.square(values - values[anchor]).sum(axis=1))
    all_far[anchor] = np.inf
    expected = np.argsort(all_far)[:6]
    np.testing.assert_array_equal(near, expected)
    np.testing.assert_allclose(far, all_far[expected], rtol=1e-6)


def test_an_anchor_among_equal_codes_is_not_its_own_neighbour():
  indices, distances = codes.neighbours(np.zeros((9, 2)), list(range(9)), 3)
  for anchor, near in enumerate(indices):
    assert anchor not in near and len(set(near)) == 3
  np.testing.assert_array_equal(distances, 0)


@pytest.mark.parametrize("anchors, count, message", [
    ([4], 1, "expected indices from 0 to 3"), ([-1], 1, "expected indices"),
    ([0.5], 1, "expected indices"), ([0], 4, "count=4"), ([], 1, "empty")])
def test_anchors_and_counts_that_are_not_there_are_refused(anchors, count, message):
  with pytest.raises(InputError, match=message):
    codes.neighbours(np.zeros((4, 2)), anchors, count)


def test_a_row_of_neighbours_is_the_anchor_and_its_neighbours_with_distances():
  images = drawn.images(6)
  figure = codes.neighbour_grid(images, [4, 1], np.array([[0, 2], [3, 5]]),
                                np.array([[0.5, 1.5], [2.5, 3.5]]), [1, 1, 0, 1, 1, 0])
  for cell, index in zip(drawn.cells(figure), [4, 0, 2, 1, 3, 5], strict=True):
    np.testing.assert_allclose(cell, np.broadcast_to(images[index], cell.shape), atol=0.6 / 255)
  found = drawn.texts(figure)
  assert {"anchor", "0.500", "✗ 1.50", "2.50", "✗ 3.50"} <= set(found)
  assert drawn.frames(figure).count(style.WRONG) == 2


@pytest.mark.parametrize("size", [2, 30])
def test_a_code_histogram_has_each_dimensions_shares(size):
  values = np.random.default_rng(0).normal(size=(200, size))
  figure = codes.code_histogram(values, bins=12)
  edges = np.histogram_bin_edges(values, 12)
  expected = [np.histogram(column, edges)[0] / 200 for column in values.T]
  axes = figure.axes[0]
  shares = (axes.get_images()[0].get_array() if size == 30 else
            [patch.get_data().values for patch in axes.patches])
  np.testing.assert_allclose(shares, expected)
  assert f"200 codes, {size} dimensions" in " ".join(drawn.texts(figure))
  drawn.inside(figure)


def test_codes_that_are_all_equal_have_a_histogram():
  drawn.inside(codes.code_histogram(np.ones((5, 3))))


def test_kl_bars_are_sorted_with_the_total_and_the_active_dimensions():
  kl = [0.5, 2.0, 0.004, 0.0, 1.0]
  figure = codes.kl_bars(kl)
  bars = figure.axes[0].patches
  assert [bar.get_height() for bar in bars] == sorted(kl, reverse=True)
  found = drawn.texts(figure)
  assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == list("14023")
  assert "3.50 nats in total, 3 of 5 dimensions" in " ".join(found).replace("\n", " ")
  drawn.inside(figure)


def test_many_classes_of_long_names_leave_the_points_room():
  figure = codes.scatter(np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 100,
                         [f"a rather long name, number {i}" for i in range(100)])
  drawn.inside(figure)
  assert figure.axes[0].bbox.width / figure.dpi > 3.5  # inches


def test_the_kl_of_dimensions_that_carry_nothing_is_not_written():
  figure = codes.kl_bars(np.array([0.5, 0.000123] + [1e-5] * 30))
  assert [text.get_text() for text in figure.axes[0].texts if text.get_text()] == ["0.50"]


def test_tsne_of_codes_that_are_all_the_same_is_refused():
  with pytest.raises(InputError, match="all 20 are the same"):
    codes.tsne(np.zeros((20, 4)))
