"""S19: the convolutional variational autoencoder of the tutorial: S17 with 10 latent values.

    tfae-train --config=configs/s19_conv_vae.py --workdir=runs/s19

4,484 + 3,889 parameters; every tenth of the 60,000 images, a tenth of those for validation; 10,000
test images. How long the tutorial trained, and with which optimizer, is not known: here as S18,
with RMSProp, batch 128, 50 epochs. It draws codes with noise of standard deviation .01, so that its
loss is no bound on log p(x): "elbo" in metrics.jsonl is one, with noise 1. s19_conv_vae_best.py has
noise 1 throughout.
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
  config.task.noise_stddev = 0.01
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 50
  return config
