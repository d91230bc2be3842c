"""S17: the convolutional autoencoder of the tutorial: conv 16, 8, 8 with max-pooling, and back.

    tfae-train --config=configs/s17_conv_autoencoder.py --workdir=runs/s17

Code of 4x4x8 values, 1,904 + 2,481 parameters; Adadelta, binary cross-entropy. Every tenth of the
60,000 images, a tenth of those for validation; judged on the 10,000. Batch size and number of
epochs are not known: 128 and 50 are S18's.
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
                          tfae.MaxPool(2))
  config.model.decoder = (conv(8), tfae.Upsample(2), conv(8), tfae.Upsample(2),
                          conv(16, padding="valid"), tfae.Upsample(2), tfae.Conv2D(1, 3))
  config.model.tied = False
  config.task.loss = "binary_cross_entropy"
  config.optimizer.name = "adadelta"
  config.optimizer.learning_rate = 1.0
  config.optimizer.rho = 0.95
  config.optimizer.epsilon = 1e-8
  config.batch_size = 128
  config.epochs = 50
  return config
