"""Images in rows and columns: samples, means, reconstructions, right and wrong, best and worst."""

import numpy as np

from tfae.errors import check_choice, check_int
from tfae.figures import checks, style
from tfae.figures.cells import coloured, image_grid

_BLOCK = 1000  # images
_ROWS_OF_AN_IMAGE = 1.8  # of the numbers under it


def sample_grid(images, labels=None, class_names=None, columns=None, title=None):
  """Returns a Figure of all `images`, near-square, each with its label under it.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1].
    labels: whole numbers `[n]` from 0; None: none.
    class_names: the names of the classes; None: the numbers.
    columns: images a row; None: near-square.
    title: None: how many images, and of what size.

  Raises:
    InputError: see `tfae.figures.checks`.
  """
  images = checks.images("images", images)
  labels, names = checks.labels("labels", labels, len(images), class_names)
  high, wide, channels = images.shape[1:]
  return image_grid(
      images, columns, captions=None if labels is None else [names[label] for label in labels],
      title=title or f"{checks.plural(len(images), 'image')}, {high} x {wide} pixels"
      + (", colour" if channels == 3 else ""))


def mean_and_deviation(images, title=None):
  """Returns a Figure of the mean image and of the standard deviation of each pixel.

  The deviation (of n, not n - 1) of a colour image is the root of the mean variance of its
  channels; it has a colour bar from 0 to its largest value.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1].
    title: None: how many images.
  """
  images = checks.images("images", images)
  mean = images.mean(axis=0, dtype=np.float64)
  # In blocks: all deviations at once would be twice as large as the images.
  variance = sum(np.square(images[start:start + _BLOCK] - mean).sum(axis=0)
                 for start in range(0, len(images), _BLOCK)) / len(images)
  deviation = np.sqrt(variance.mean(axis=-1))
  high = float(deviation.max())
  return image_grid([mean, coloured(deviation, style.SEQUENTIAL, 0, high)], 2, cell=168, gap=12,
                    title=title or f"Mean and deviation of {checks.plural(len(images), 'image')}",
                    column_names=["mean", "standard deviation"],
                    bar=(style.SEQUENTIAL, 0, high, "pixel value"))


def one_hot_labels(images, labels, class_names=None, title=None):
  """Returns a Figure with an image a column, and its label under it as a column of 0s and one 1.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1].
    labels: whole numbers `[n]` from 0.
    class_names: the names of all classes, which say how many there are; None: the numbers up to
      the largest label.
    title: None: how many images and classes.
  """
  images = checks.images("images", images)
  labels, names = checks.labels("labels", labels, len(images), class_names)
  hot = np.eye(len(names))[labels]
  figure, axes = style.new_figure(
      title or f"One-hot labels: {checks.plural(len(images), 'image')}, "
      f"{checks.plural(len(names), 'class')}",
      width=max(3.6, 1 + 0.45 * len(images)), height=1.7 + 0.24 * min(len(names), 60))
  axes.imshow(hot.T, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
  # The images stand in a row above the numbers, in the same columns.
  wide = 0.45 * images.shape[2] / max(images.shape[1:3])
  for column, image in enumerate(images):
    axes.imshow(image, cmap=style.IMAGES, vmin=0, vmax=1, aspect="auto",
                extent=(column - wide, column + wide, -0.7, -0.7 - _ROWS_OF_AN_IMAGE))
  axes.set(xlim=(-0.5, len(images) - 0.5), ylim=(len(names) - 0.5, -0.9 - _ROWS_OF_AN_IMAGE),
           xticks=[])
  axes.set_yticks(range(len(names)),
                  [style.plain(style.shorten(name, 160, style.SMALL)) for name in names])
  style.thin_ticks(axes.yaxis, len(names), 40)
  axes.grid(False)
  axes.tick_params(length=0)
  axes.spines[["left", "bottom"]].set_visible(False)
  if len(names) <= 40:
    for (column, row), value in np.ndenumerate(hot):
      axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=style.SMALL,
                color="white" if value else style.FAINT)
  return figure


def reconstruction_strip(images, reconstructions, columns=10, title=None):
  """Returns a Figure of originals over reconstructions over squared errors, and their means.

  The errors are the mean over the channels, on the sequential map from 0 to their largest value;
  the number under each column is the mean over its pixels.

  Args:
    images, reconstructions: `[n, height, width, 1 or 3]` in [0, 1].
    columns: images a row; further ones follow in a block of rows beneath.
    title: None: the mean squared error of all.
  """
  images, shown = _pair("images", images, "reconstructions", reconstructions)
  # Errors are those of the values given, not of the clipped ones.
  errors = np.square(np.asarray(images, np.float64) - np.asarray(reconstructions, np.float64))
  means = errors.mean(axis=(1, 2, 3))
  errors = errors.mean(axis=-1)
  high = float(errors.max())
  return _blocks(
      [images, shown, coloured(errors, style.SEQUENTIAL, 0, high)],
      ["original", "reconstruction", "squared error"], columns,
      captions=[None, None, [style.number(mean) for mean in means]],
      bar=(style.SEQUENTIAL, 0, high, "squared error"),
      title=title or f"Mean squared error per pixel {style.number(means.mean())}, "
      f"{checks.plural(len(images), 'image')}")


def triplets(clean, corrupted, restored, columns=10, title=None):
  """Returns a Figure of clean images over corrupted over restored ones, with their errors.

  The number under a corrupted and a restored image is its mean squared error per pixel against the
  clean one.

  Args:
    clean, corrupted, restored: `[n, height, width, 1 or 3]` in [0, 1].
    columns: images a row; further ones follow in a block of rows beneath.
    title: None: the mean squared errors of all.
  """
  clean, noisy = _pair("clean", clean, "corrupted", corrupted)
  _, mended = _pair("clean", clean, "restored", restored)
  before, after = (np.square(np.asarray(other, np.float64) - clean).mean(axis=(1, 2, 3))
                   for other in (corrupted, restored))
  return _blocks([clean, noisy, mended], ["clean", "corrupted", "restored"], columns,
                 captions=[None, [*map(style.number, before)], [*map(style.number, after)]],
                 title=title or f"Mean squared error per pixel {style.number(before.mean())} "
                 f"corrupted, {style.number(after.mean())} restored, "
                 + checks.plural(len(clean), "image"))


def framed_grid(images, labels, predictions, class_names=None, columns=None, title=None):
  """Returns a Figure of images in frames: right ones green with ✓, wrong ones red with ✗.

  Under a right one stands its class, under a wrong one the prediction and what it is.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1].
    labels, predictions: whole numbers `[n]` from 0.
    class_names: the names of the classes; None: the numbers.
    columns: images a row; None: near-square.
    title: None: how many are right.
  """
  images = checks.images("images", images)
  labels, names = checks.labels("labels", labels, len(images), class_names)
  predictions, others = checks.labels("predictions", predictions, len(images), class_names)
  names = max(names, others, key=len)
  right = labels == predictions
  between = ", " if max(map(len, names)) <= 2 else "\n"
  captions = [f"✓ {names[label]}" if same else f"✗ {names[guess]}{between}is {names[label]}"
              for label, guess, same in zip(labels, predictions, right)]
  return image_grid(images, columns, captions=captions, gap=12,
                    frames=[style.RIGHT if same else style.WRONG for same in right],
                    title=title or f"{np.count_nonzero(right):,} of "
                    f"{checks.plural(len(images), 'image')} right")


def best_and_worst(images, scores, reconstructions=None, count=10, best="low", score_name="score",
                   title=None):
  """Returns a Figure of the `count` best and the `count` worst images, with their scores.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1], all there are.
    scores: numbers `[n]`. Of equal ones the first counts as better.
    reconstructions: as `images`, shown under them; None: none.
    count: how many of each; all if there are fewer.
    best: "low" or "high" scores.
    score_name: what the scores are, for the title, with its unit.
    title: None: the scores' name and the number of images.
  """
  images = checks.images("images", images)
  scores = checks.array("scores", scores, ("n",))
  checks.same_count("scores", scores, len(images))
  check_int("count", count, 1)
  check_choice("best", best, ("low", "high"))
  count = min(count, len(images))
  order = np.argsort(scores if best == "low" else -scores, kind="stable")
  parts = [("best", order[:count]), ("worst", order[::-1][:count])]
  shown = None
  if reconstructions is not None:
    _, shown = _pair("images", images, "reconstructions", reconstructions)
  cells, names, captions = [], [], []
  for name, chosen in parts:
    cells += [*images[chosen]] + ([] if shown is None else [*shown[chosen]])
    names += [name] + ([] if shown is None else ["reconstruction"])
    captions += ([] if shown is None else [""] * count) + [style.number(scores[i]) for i in chosen]
  return image_grid(cells, count, row_names=names, captions=captions,
                    title=title or f"Best and worst {count} of "
                    f"{checks.plural(len(images), 'image')} by {score_name}")


def _pair(name, values, other_name, others):
  values, others = checks.images(name, values), checks.images(other_name, others)
  checks.same_shape(other_name, others, name, values)
  return values, others


def _blocks(kinds, names, columns, captions, **options):
  """An image_grid of a row a kind, in blocks of `columns` images."""
  check_int("columns", columns, 1)
  count = len(kinds[0])
  columns = min(columns, count)
  cells, texts, rows = [], [], []
  for start in range(0, count, columns):
    free = max(0, start + columns - count)
    for kind, name, caption in zip(kinds, names, captions):
      cells += [*kind[start:start + columns]] + [None] * free
      own = caption[start:start + columns] if caption else []
      texts += own + [""] * (columns - len(own))
      rows.append(name)
  return image_grid(cells, columns, row_names=rows, captions=texts, **options)
