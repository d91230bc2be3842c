"""tfae.figures.grids: the images and numbers shown are those given."""

import pathlib
import sys

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import drawn
from tfae.errors import InputError
from tfae.figures import grids, style


def assert_shown(cell, image, tolerance=0.6):
  np.testing.assert_allclose(cell, np.broadcast_to(image, cell.shape), atol=tolerance / 255)


def test_a_sample_grid_has_all_images_with_their_class_names():
  images = drawn.images(3)
  figure = grids.sample_grid(images, [1, 0, 1], ["cat", "dog"])
  for cell, image in zip(drawn.cells(figure), images):
    assert_shown(cell, image)
  found = drawn.texts(figure)
  assert [t for t in found if t in ("cat", "dog")] == ["dog", "cat", "dog"]
  assert "3 images, 5 x 4 pixels" in found
  assert "1 image, 5 x 4 pixels" in " ".join(drawn.texts(grids.sample_grid(images[:1])))
  assert "colour" in " ".join(drawn.texts(grids.sample_grid(drawn.images(2, channels=3))))


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_and_deviation_are_those_of_numpy_over_more_than_a_block(channels):
  images = drawn.images(1500, (3, 4), channels)
  figure = grids.mean_and_deviation(images)
  mean, deviation = drawn.cells(figure)
  assert_shown(mean, images.mean(axis=0))
  expected = np.sqrt(images.var(axis=0).mean(axis=-1))
  assert_shown(deviation, colormaps[style.SEQUENTIAL](expected / expected.max())[..., :3], 2.1)
  assert "Mean and deviation of 1,500 images" in drawn.texts(figure)
  assert figure.axes[1].get_ylim() == pytest.approx((0, expected.max()))


def test_constant_images_have_a_deviation_of_zero():
  figure = grids.mean_and_deviation(np.full((3, 2, 2, 1), 0.5))
  assert_shown(drawn.cells(figure)[0], 0.5)
  drawn.inside(figure)


def test_one_hot_labels_have_a_one_in_the_row_of_their_class_under_their_image():
  images, labels = drawn.images(4), [2, 0, 1, 2]
  figure = grids.one_hot_labels(images, labels, ["a", "b", "c", "d"])
  hot, *shown = figure.axes[0].get_images()
  np.testing.assert_array_equal(hot.get_array(), np.eye(4)[labels].T)
  for column, (image, found) in enumerate(zip(images, shown)):
    np.testing.assert_array_equal(np.squeeze(found.get_array()), image[..., 0])
    left, right, *_ = found.get_extent()
    assert (left + right) / 2 == pytest.approx(column)
  assert "One-hot labels: 4 images, 4 classes" in drawn.texts(figure)
  drawn.inside(figure)


def test_a_reconstruction_strip_has_originals_reconstructions_and_errors_in_columns():
  images, others = drawn.images(3), drawn.images(3, seed=1)
  figure = grids.reconstruction_strip(images, others)
  shown = drawn.cells(figure)
  assert len(shown) == 9
  for column in range(3):
    assert_shown(shown[column], images[column])
    assert_shown(shown[3 + column], others[column])
  errors = np.square(images - others)[..., 0]
  for column in range(3):
    assert_shown(shown[6 + column],
                 colormaps[style.SEQUENTIAL](errors[column] / errors.max())[..., :3], 2.1)
  found = drawn.texts(figure)
  for error in errors.mean(axis=(1, 2)):
    assert style.number(error) in found
  assert f"Mean squared error per pixel {style.number(errors.mean())}, 3 images" in " ".join(
      found).replace("\n", " ")
  drawn.inside(figure)


def test_errors_are_those_of_the_values_given_though_clipped_ones_are_shown():
  images = np.zeros((1, 1, 1, 1))
  figure = grids.reconstruction_strip(images, images + 3.0)
  assert_shown(drawn.cells(figure)[1], 1.0)
  assert "9.00" in drawn.texts(figure)


def test_a_long_strip_goes_on_in_further_blocks():
  images = drawn.images(5)
  shown = drawn.cells(grids.reconstruction_strip(images, images, columns=3))
  assert len(shown) == 15
  assert_shown(shown[9], images[3])
  assert_shown(shown[10], images[4])


def test_triplets_are_clean_corrupted_restored_with_their_errors():
  clean, corrupted, restored = (drawn.images(2, seed=seed) for seed in range(3))
  figure = grids.triplets(clean, corrupted, restored)
  for cell, image in zip(drawn.cells(figure), [*clean, *corrupted, *restored]):
    assert_shown(cell, image)
  found = drawn.texts(figure)
  assert found.index("clean") < found.index("corrupted") < found.index("restored")
  for other in (corrupted, restored):
    for error in np.square(clean - other).mean(axis=(1, 2, 3)):
      assert style.number(error) in found
  drawn.inside(figure)


def test_right_ones_are_framed_green_with_a_tick_and_wrong_ones_red_with_a_cross():
  figure = grids.framed_grid(drawn.images(3), [0, 1, 2], [0, 2, 2])
  assert drawn.frames(figure) == [style.RIGHT, style.WRONG, style.RIGHT]
  found = drawn.texts(figure)
  assert [t for t in found if t[0] in "✓✗"] == ["✓ 0", "✗ 2, is 1", "✓ 2"]
  assert "2 of 3 images right" in found


def test_the_frame_does_not_hide_a_pixel_of_the_image():
  images = drawn.images(2)
  for cell, image in zip(drawn.cells(grids.framed_grid(images, [0, 1], [0, 0])), images):
    assert_shown(cell, image)


def test_a_class_that_is_only_predicted_has_its_number():
  assert "✗ 7, is 1" in drawn.texts(grids.framed_grid(drawn.images(1), [1], [7]))


def test_long_class_names_are_cut_and_not_written_over_their_neighbours():
  figure = grids.framed_grid(drawn.images(2), [0, 1], [0, 0], ["a" * 60, "b" * 60], columns=2)
  renderer = FigureCanvasAgg(figure).get_renderer()
  left, right = (text.get_window_extent(renderer) for text in figure.axes[0].texts
                 if text.get_text()[0] in "✓✗")
  assert left.x1 < right.x0


@pytest.mark.parametrize("best", ["low", "high"])
def test_best_and_worst_are_those_of_the_scores_the_worst_first(best):
  images, scores = drawn.images(9), np.array([5, 3, 8, 1, 9, 2, 7, 4, 6.0])
  shown = drawn.cells(grids.best_and_worst(images, scores, images[::-1], 2, best))
  low, high = [3, 5], [4, 2]
  first, last = (low, high) if best == "low" else (high, low)
  order = [*images[first], *images[::-1][first], *images[last], *images[::-1][last]]
  assert len(shown) == 8
  for cell, image in zip(shown, order):
    assert_shown(cell, image)


def test_best_and_worst_of_few_images_are_all_of_them():
  figure = grids.best_and_worst(drawn.images(3), [1.0, 2.0, 3.0], score_name="nats")
  assert len(drawn.cells(figure)) == 6
  assert "Best and worst 3 of 3 images by nats" in " ".join(drawn.texts(figure)).replace("\n", " ")


@pytest.mark.parametrize("call, message", [
    (lambda i: grids.reconstruction_strip(i, i[:2]), "reconstructions has shape"),
    (lambda i: grids.triplets(i, i, i[:, :2]), "restored has shape"),
    (lambda i: grids.best_and_worst(i, [1.0]), "scores has 1 rows: expected 3"),
    (lambda i: grids.best_and_worst(i, [1.0, 2.0, np.nan]), "scores: 1 of 3 values"),
    (lambda i: grids.best_and_worst(i, [1.0, 2, 3], best="lowest"), "best='lowest'"),
    (lambda i: grids.framed_grid(i, [0, 1, 2], [0, 1]), "predictions has 2 rows"),
    (lambda i: grids.sample_grid(i, columns=0), "columns=0"),
])
def test_arrays_that_do_not_fit_are_named(call, message):
  with pytest.raises(InputError, match=message):
    call(drawn.images(3))
