"""A convolutional autoencoder whose decoder has kernels of its own; code 4x4x16.

    tfae-train --config=configs/mnist_conv_transpose.py --workdir=runs/conv_transpose
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (
      tfae.Conv2D(16, 4, stride=2, activation="relu", kernel_initializer="he_uniform"),
      tfae.Conv2D(16, 4, stride=2, activation="relu", kernel_initializer="he_uniform"),
      tfae.Conv2D(16, 4, stride=2),
  )
  # The mirror image in shape, with conv-transpose kernels that are not the encoder's.
  config.model.tied = False
  config.model.output_activation = "sigmoid"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 5
  return config
