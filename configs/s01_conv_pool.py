"""S01: the convolutional autoencoder of the tutorial, max-pooling down and upsampling back.

    tfae-train --config=configs/s01_conv_pool.py --workdir=runs/s01

Code of 4x4x8 values, 5,393 parameters; Adadelta as the tutorial's framework defines it (rate 1, rho
.95), binary cross-entropy, batch 128. Of the 70,000 images in their order 25,000 are for training
and the next 5,000 for validation, as there; the test images are those that S02 tests on. The
tutorial printed a validation loss of .2055 after epoch 1 and .1092 after epoch 40.

Epsilon: 1e-8, as earlier versions of that framework had it; later ones have 1e-7, and the tutorial
does not say which it ran on. RESULTS.md has both; 1e-8 is nearer to what was printed
of S01.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.pool = True
  config.data.train_range = (0, 25_000)
  config.data.validation_range = (25_000, 30_000)
  config.data.test_range = (55_000, 65_000)

  def conv(filters, **options):
    return tfae.Conv2D(filters, 3, activation="relu", **options)

  config.model.encoder = (conv(8), tfae.MaxPool(2), conv(16), tfae.MaxPool(2), conv(8),
                          tfae.MaxPool(2))
  config.model.decoder = (conv(8), tfae.Upsample(2), conv(16), tfae.Upsample(2),
                          conv(8, padding="valid"), tfae.Upsample(2), tfae.Conv2D(1, 3))
  config.model.tied = False
  config.task.loss = "binary_cross_entropy"  # of the sigmoid of the decoder's output
  config.optimizer.name = "adadelta"
  config.optimizer.learning_rate = 1.0
  config.optimizer.rho = 0.95
  config.optimizer.epsilon = 1e-8
  config.batch_size = 128
  config.epochs = 40
  return config
