"""S07: softmax regression, 784-10, of the tutorial.

    tfae-train --config=configs/s07_softmax.py --workdir=runs/s07

7,850 parameters; Adam, batch 100, 5 epochs, .8/.1/.1 of the 70,000 drawn at random. The tutorial
printed a validation accuracy of .9133; its "test" images overlapped those of training. Its loss was
summed over the batch: Adam's step is the same but for its epsilon.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.8, 0.1, 0.1)
  config.model.encoder = (tfae.Flatten(),)
  config.model.head = (tfae.Dense(10),)
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 5
  return config
