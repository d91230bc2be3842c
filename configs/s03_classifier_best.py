"""S02's and S03's classifier and split, with Adam and a falling rate, and without dropout.

    tfae-train --config=configs/s03_classifier_best.py --workdir=runs/s03_best

4,642 parameters, 20 epochs. From S01's encoder: --init_from=runs/s01:encoder. Test
accuracy 98.35 %, from S01's encoder 97.91 % (RESULTS.md, three seeds, under a minute each).
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.pool = True
  config.data.train_range = (30_000, 55_000)
  config.data.validation_range = (65_000, 70_000)
  config.data.test_range = (55_000, 65_000)

  conv = lambda filters: tfae.Conv2D(filters, 3, activation="relu", kernel_initializer="he_normal")
  config.model.encoder = (conv(8), tfae.MaxPool(2), conv(16), tfae.MaxPool(2), conv(8),
                          tfae.MaxPool(2))
  config.model.head = (tfae.Flatten(),
                       tfae.Dense(16, activation="relu", kernel_initializer="he_normal"),
                       tfae.Dense(10))

  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-2
  config.optimizer.schedule = "cosine"
  config.batch_size = 128
  config.epochs = 20
  return config
