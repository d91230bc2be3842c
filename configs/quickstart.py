"""A tied dense autoencoder, 64-256-8, on scikit-learn's embedded 8x8 digits.

    tfae-train --config=configs/quickstart.py --workdir=runs/quickstart

`make demo` runs it. Expect a squared error per pixel of .014 on the 297 test images (PCA with 8
components: .025), after 15 seconds on two cores.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "digits"
  config.data.validation = 200
  config.model.encoder = (
      tfae.Flatten(),
      tfae.Dense(256, activation="elu"),
      tfae.Dense(8),
  )
  config.model.output_activation = "sigmoid"
  config.task.loss = "sum_squared_error"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 2e-3
  config.optimizer.schedule = "cosine"
  config.batch_size = 50
  config.epochs = 100
  return config
