"""S06: a convolutional variational autoencoder of MNIST into 2 values.

    tfae-train --config=configs/s06_conv_vae.py --workdir=runs/s06_conv_vae

Conv 16, 32 (4x4, stride 2), Dense 128, (2, 2) and back by transposed convolutions. With masking
noise the encoder sees corrupted images and the likelihood is that of the clean ones:

    tfae-train --config=configs/s06_conv_vae.py --workdir=runs/s06_conv_vae_masked \
        --config.corruption.name=masking --config.corruption.rate=.3

The tutorial says no more than this in prose: layers, optimizer and epochs are chosen here.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (tfae.Conv2D(16, 4, stride=2, activation="relu"),
                          tfae.Conv2D(32, 4, stride=2, activation="relu"), tfae.Flatten(),
                          tfae.Dense(128, activation="relu"))
  config.model.latent = 2
  config.model.tied = False  # the mirror image in shape
  config.task.name = "variational"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 20
  return config
