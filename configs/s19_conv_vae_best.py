"""S19, better: noise of standard deviation 1, so that the loss is the evidence lower bound.

    tfae-train --config=configs/s19_conv_vae_best.py --workdir=runs/s19_best

s19_conv_vae.py with the noise that the posterior has; all else is the same.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.train_range = (0, 60_000, 10)
  config.data.validation = 600

  def conv(filters, **options):
    return tfae.Conv2D(filters, 3, activation="relu", **options)

  config.model.encoder = (conv(16), tfae.MaxPool(2), conv(8), tfae.MaxPool(2), conv(8),
                          tfae.MaxPool(2), tfae.Flatten())
  config.model.latent = 10
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(128, activation="relu"), tfae.Reshape((4, 4, 8)),
                          conv(8), tfae.Upsample(2), conv(8), tfae.Upsample(2),
                          conv(16, padding="valid"), tfae.Upsample(2), tfae.Conv2D(1, 3))
  config.model.tied = False
  config.task.name = "variational"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 50
  return config
