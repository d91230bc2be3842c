"""S08: the convolutional classifier of the tutorial, kernels from N(0, 1).

    tfae-train --config=configs/s08_conv_classifier.py --workdir=runs/s08

Adam, batch 100, 10 epochs, .8/.1/.1 of the 70,000 drawn at random. The tutorial printed a
validation accuracy of .9769; its "test" images overlapped those of training. Its loss was summed
over the batch: Adam's step is the same but for its epsilon.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.8, 0.1, 0.1)
  layer = {"activation": "relu", "kernel_initializer": tfae.Normal(1.0)}
  config.model.encoder = (tfae.Conv2D(32, 5, stride=2, **layer),
                          tfae.Conv2D(64, 5, stride=2, **layer), tfae.Flatten())
  config.model.head = (tfae.Dense(128, **layer),
                       tfae.Dense(10, kernel_initializer=tfae.Normal(1.0)))
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 10
  return config
