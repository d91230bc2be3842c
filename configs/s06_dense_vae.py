"""S06: a dense variational autoencoder of MNIST into 2 values, to look at its latent space.

    tfae-train --config=configs/s06_dense_vae.py --workdir=runs/s06_dense_vae

784-512-256-(2, 2) and back. With masking noise the encoder sees corrupted images and the likelihood
is that of the clean ones:

    tfae-train --config=configs/s06_dense_vae.py --workdir=runs/s06_dense_vae_masked \
        --config.corruption.name=masking --config.corruption.rate=.3

The tutorial says no more than this in prose: layers, optimizer and epochs are chosen here.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (tfae.Flatten(), tfae.Dense(512, activation="relu"),
                          tfae.Dense(256, activation="relu"))
  config.model.latent = 2
  config.model.tied = False  # the mirror image in shape
  config.task.name = "variational"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 20
  return config
