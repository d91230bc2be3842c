"""S08's layers and split, with kernels that fit their fan-in and a falling rate.

    tfae-train --config=configs/s08_conv_classifier_best.py --workdir=runs/s08_best
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.8, 0.1, 0.1)
  layer = {"activation": "relu", "kernel_initializer": "he_normal"}
  config.model.encoder = (tfae.Conv2D(32, 5, stride=2, **layer),
                          tfae.Conv2D(64, 5, stride=2, **layer), tfae.Flatten())
  config.model.head = (tfae.Dense(128, **layer), tfae.Dropout(0.4), tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 2e-3
  config.optimizer.schedule = "cosine"
  config.batch_size = 100
  config.epochs = 10
  return config
