"""S11: the larger convolutional classifier of the tutorial.

    tfae-train --config=configs/s11_larger_cnn.py --workdir=runs/s11

Adam, batch 200, 10 epochs. The tutorial printed a test error of .89 %.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  pool = tfae.MaxPool(2, padding="valid")
  config.model.encoder = (tfae.Conv2D(30, 5, padding="valid", activation="relu"), pool,
                          tfae.Conv2D(15, 3, padding="valid", activation="relu"), pool,
                          tfae.Dropout(0.2), tfae.Flatten())
  config.model.head = (tfae.Dense(128, activation="relu"), tfae.Dense(50, activation="relu"),
                       tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 200
  config.epochs = 10
  return config
