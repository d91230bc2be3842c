"""What benchmarks/larger_than_memory.py trains: a convolutional autoencoder of 64x64 frames.

Code 8x8x16; of three channels, or one. The benchmark's flags say which data, and how long.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.model.encoder = tuple(
      tfae.Conv2D(channels, 4, stride=2, activation=activation, kernel_initializer="he_normal")
      for channels, activation in ((32, "gelu"), (64, "gelu"), (16, "linear")))
  config.model.tied = False
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.logging.tensorboard = False
  return config
