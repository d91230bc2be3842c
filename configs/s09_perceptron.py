"""S09: the multi-layer perceptron 784-784-10 of the tutorial.

    tfae-train --config=configs/s09_perceptron.py --workdir=runs/s09

623,290 parameters, kernels N(0, .05); Adam, batch 200, 10 epochs. The tutorial printed a test error
of 1.74 to 1.80 %.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  normal = tfae.Normal(0.05)
  config.model.encoder = (tfae.Flatten(),
                          tfae.Dense(784, activation="relu", kernel_initializer=normal))
  config.model.head = (tfae.Dense(10, kernel_initializer=normal),)
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 200
  config.epochs = 10
  return config
