"""S18, better: noise of standard deviation 1, so that the loss is the evidence lower bound.

    tfae-train --config=configs/s18_dense_vae_best.py --workdir=runs/s18_best

s18_dense_vae.py with the noise that the posterior has; all else is the same.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.train_range = (0, 60_000, 10)
  config.data.validation = 600
  config.model.encoder = (tfae.Flatten(), tfae.Dense(512, activation="relu"))
  config.model.latent = 2
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(512, activation="relu"), tfae.Dense(784),
                          tfae.Reshape((28, 28, 1)))
  config.model.tied = False
  config.task.name = "variational"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 50
  return config
