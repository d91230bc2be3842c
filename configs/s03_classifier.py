"""S03: S02's classifier from random weights: what S01's encoder is compared with.

    tfae-train --config=configs/s03_classifier.py --workdir=runs/s03

4,642 parameters; Adadelta, batch 128, 20 epochs. The tutorial printed a test accuracy of .9706 and
a loss of .1194. A label budget: --config.data.labels_per_class=10.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.pool = True
  config.data.train_range = (30_000, 55_000)
  config.data.validation_range = (65_000, 70_000)
  config.data.test_range = (55_000, 65_000)
  conv = lambda filters: tfae.Conv2D(filters, 3, activation="relu")
  config.model.encoder = (conv(8), tfae.MaxPool(2), conv(16), tfae.MaxPool(2), conv(8),
                          tfae.MaxPool(2))
  config.model.head = (tfae.Flatten(), tfae.Dense(16, activation="relu"), tfae.Dropout(0.5),
                       tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "adadelta"
  config.optimizer.learning_rate = 1.0
  config.optimizer.rho = 0.95
  config.optimizer.epsilon = 1e-8
  config.batch_size = 128
  config.epochs = 20
  return config
