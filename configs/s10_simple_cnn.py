"""S10: the simple convolutional classifier of the tutorial.

    tfae-train --config=configs/s10_simple_cnn.py --workdir=runs/s10

Adam, batch 200, 10 epochs. The tutorial printed a test error of 1.08 %.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (tfae.Conv2D(32, 5, padding="valid", activation="relu"), tfae.MaxPool(2),
                          tfae.Dropout(0.2), tfae.Flatten())
  config.model.head = (tfae.Dense(128, activation="relu"), tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 200
  config.epochs = 10
  return config
