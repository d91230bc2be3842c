"""Pictures of codes: scatter by class, t-SNE, nearest neighbours, histogram, KL per dimension."""

import numpy as np

from tfae.errors import InputError, check_int
from tfae.figures import checks, style
from tfae.figures.cells import image_grid

ACTIVE = 0.01  # nats: a latent dimension of a larger KL carries something


def tsne(codes, seed=0, perplexity=30.0):
  """Returns a 2-D embedding `[n, 2]` of codes by t-SNE, the same for the same seed and machine.

  It starts from the first two principal components (van der Maaten and Hinton, "Visualizing data
  using t-SNE"; scikit-learn's Barnes-Hut version).

  Args:
    codes: `[n, dimensions]`, n at least 5; maps are flattened by the caller.
    seed: of what is random in it.
    perplexity: about how many neighbours count; at most a third of n - 1 is used.
  """
  from sklearn.manifold import TSNE
  codes = checks.array("codes", codes, ("n", "dimensions"))
  if len(codes) < 5:
    raise InputError(f"codes has shape {list(codes.shape)}: t-SNE needs at least 5 codes.")
  if (codes == codes[0]).all():
    raise InputError(f"codes: all {len(codes):,} are the same; nothing tells them apart.")
  init = "pca" if codes.shape[1] > 1 else "random"
  return TSNE(2, perplexity=min(perplexity, (len(codes) - 1) / 3), init=init,
              random_state=seed).fit_transform(codes)


def scatter(points, labels=None, class_names=None, axis_names=("dimension 0", "dimension 1"),
            title=None):
  """Returns a Figure of points by class: colour and marker, a legend with counts.

  Args:
    points: `[n, 2]`.
    labels: whole numbers `[n]` from 0; None: all points look the same.
    class_names: the names of the classes; None: the numbers.
    axis_names: of both axes; None where coordinates mean nothing, as those of t-SNE.
    title: None: how many points.
  """
  points = checks.array("points", points, ("n", 2))
  labels, names = checks.labels("labels", labels, len(points), class_names)
  there = [] if labels is None else [int(label) for label in np.unique(labels)]
  legend_columns = -(-len(there) // 25)
  texts = {label: style.plain(f"{style.shorten(names[label], 140, style.SMALL)} "
                              f"({np.count_nonzero(labels == label):,})") for label in there}
  widest = max([60, *(style.text_width(text, style.SMALL) for text in texts.values())])
  figure, axes = style.new_figure(title or checks.plural(len(points), "code"),
                                  height=5.4,
                                  width=5.6 + (widest / style.DPI + 0.6) * legend_columns)
  size = float(np.clip(24000 / len(points), 5, 40))
  if labels is None:
    axes.scatter(*points.T, s=size, color=style.COLOURS[0], alpha=0.6, linewidths=0)
  for label in there:
    own = points[labels == label]
    axes.scatter(*own.T, s=size, alpha=0.7, linewidths=0, **style.class_style(label),
                 label=texts[label])
  if there:
    drawn = figure.legend(loc="outside right upper", fontsize=style.SMALL, frameon=False,
                          ncols=legend_columns, labelcolor=style.INK, title="class (count)",
                          title_fontsize=style.SMALL)
    for handle in drawn.legend_handles:
      handle.set(sizes=[28], alpha=1)
  axes.set_aspect("equal", "datalim")
  if axis_names is None:
    axes.set(xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
  else:
    axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
  return figure


def neighbours(codes, anchors, count=8):
  """Returns (indices `[anchors, count]`, distances) of the nearest other codes, nearest first.

  Euclidean, exact (brute force). An anchor is not its own neighbour; another code of the same
  values is.

  Args:
    codes: `[n, dimensions]`.
    anchors: indices into `codes`.
    count: neighbours of each, at most n - 1.
  """
  from sklearn.neighbors import NearestNeighbors
  codes = checks.array("codes", codes, ("n", "dimensions"))
  anchors = checks.array("anchors", anchors, ("anchors",))
  if anchors.dtype.kind not in "iu" or anchors.min() < 0 or anchors.max() >= len(codes):
    raise InputError(f"anchors={anchors.tolist()}: expected indices from 0 to {len(codes) - 1}.")
  check_int("count", count, 1, len(codes) - 1)
  search = NearestNeighbors(n_neighbors=count + 1, algorithm="brute").fit(codes)
  distances, indices = search.kneighbors(codes[anchors])
  # The anchor itself is left out; where so many equal it that it isn't there, the last one is.
  keep = indices != anchors[:, None]
  keep[keep.all(axis=1), -1] = False
  return indices[keep].reshape(-1, count), distances[keep].reshape(-1, count)


def neighbour_grid(images, anchors, indices, distances, labels=None, class_names=None, title=None):
  """Returns a Figure with an anchor a row (framed), and its neighbours with their distances.

  Neighbours of another class than their anchor have a frame of the wrong colour and ✗.

  Args:
    images: `[n, height, width, 1 or 3]` in [0, 1], those of the codes.
    anchors, indices, distances: what `neighbours` took and returned.
    labels: whole numbers `[n]` from 0; None: none.
    class_names: the names of the classes; None: the numbers.
    title: None: how many neighbours among how many.
  """
  images = checks.images("images", images)
  labels, names = checks.labels("labels", labels, len(images), class_names)
  cells, captions, frames = [], [], []
  for anchor, near, far in zip(anchors, indices, distances):
    cells += [images[anchor], *images[near]]
    captions += ["" if labels is None else names[labels[anchor]]]
    frames += [style.COLOURS[0]]
    for other, distance in zip(near, far):
      wrong = labels is not None and labels[other] != labels[anchor]
      captions.append(f"✗ {style.number(distance)}" if wrong else style.number(distance))
      frames.append(style.WRONG if wrong else None)
  count = len(indices[0])
  return image_grid(cells, count + 1, captions=captions, frames=frames, gap=10,
                    column_names=["anchor", *map(str, range(1, count + 1))],
                    title=title or "Nearest neighbours among "
                    f"{checks.plural(len(images), 'code')}, Euclidean distance")


def code_histogram(codes, bins=60, title=None):
  """Returns a Figure of how the values of each dimension are distributed.

  Up to ten dimensions are lines; more are the rows of an image on the sequential map.

  Args:
    codes: `[n, dimensions]`.
    bins: over all values, shared by all dimensions.
    title: None: how many codes of how many dimensions.
  """
  codes = checks.array("codes", codes, ("n", "dimensions"))
  count, size = codes.shape
  edges = np.histogram_bin_edges(codes, check_int("bins", bins, 2))
  shares = np.stack([np.histogram(column, edges)[0] for column in codes.T]) / count
  figure, axes = style.new_figure(title or f"Values of {checks.plural(count, 'code')}, "
                                  f"{checks.plural(size, 'dimension')}")
  axes.set_xlabel("value")
  if size <= len(style.COLOURS):
    for index, share in enumerate(shares):
      axes.stairs(share, edges, label=str(index), color=style.COLOURS[index], linewidth=1.4,
                  linestyle=style.LINES[index % len(style.LINES)])
    axes.set(ylabel=f"share of codes a bin of {style.number(edges[1] - edges[0])}", ylim=(0, None))
    style.legend(axes, title="dimension", title_fontsize=style.SMALL, ncols=-(-size // 5))
  else:
    axes.grid(False)
    drawn = axes.imshow(shares, cmap=style.SEQUENTIAL, aspect="auto", interpolation="nearest",
                        extent=(edges[0], edges[-1], size - 0.5, -0.5))
    axes.set_ylabel("dimension")
    style.colour_bar(figure, drawn, f"share of codes a bin of {style.number(edges[1] - edges[0])}")
  return figure


def kl_bars(kl, title=None):
  """Returns a Figure of the KL divergence of each latent dimension, largest first.

  Args:
    kl: nats `[dimensions]`, the mean over images of KL(q(z_i | x) || p(z_i)).
    title: None: the total, and how many dimensions are active (over 0.01 nats; Burda et al.,
      "Importance weighted autoencoders", count by variance instead).
  """
  kl = checks.array("kl", kl, ("dimensions",))
  order = np.argsort(-kl, kind="stable")
  active = int(np.count_nonzero(kl > ACTIVE))
  figure, axes = style.new_figure(
      title or f"KL divergence per latent dimension: {style.number(kl.sum())} nats in total, "
      f"{active} of {len(kl)} dimensions above {ACTIVE} nats",
      width=float(np.clip(0.3 * len(kl), 5, 12)), height=3.4)
  colours = [style.COLOURS[0] if kl[index] > ACTIVE else style.FAINT for index in order]
  bars = axes.bar(range(len(kl)), kl[order], color=colours, width=0.8)
  if len(kl) <= 32:
    digits = 3 if len(kl) <= 16 else 2  # else they run into each other
    axes.bar_label(bars, [style.number(kl[index], digits) if kl[index] > ACTIVE else ""
                          for index in order], fontsize=style.SMALL - 1, color=style.INK, padding=2)
  step = -(-len(kl) // 40)
  axes.set_xticks(range(0, len(kl), step), [str(index) for index in order[::step]])
  axes.set(xlabel="latent dimension, largest first", ylabel="KL divergence, nats")
  axes.grid(False, axis="x")
  return figure
