"""S16: the denoising autoencoder of the tutorial, 784-10-784, with 30 % of the pixels masked.

    tfae-train --config=configs/s16_denoising.py --workdir=runs/s16

16,474 parameters. Every tenth of the 60,000 images, a tenth of those for validation; judged on the
10,000. The noise multiplies the other pixels by 1 / .7, as the tutorial's dropout did. Its
optimizer and number of epochs are not known: RMSProp, batch 128 and 50 epochs are S18's.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.train_range = (0, 60_000, 10)
  config.data.validation = 600
  config.model.encoder = (tfae.Flatten(), tfae.Dense(10, activation="relu"))
  config.model.tied = False
  config.task.loss = "binary_cross_entropy"
  config.corruption.name = "masking"
  config.corruption.rate = 0.3
  config.corruption.rescale = True
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 50
  return config
