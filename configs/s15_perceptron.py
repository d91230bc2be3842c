"""S15: a perceptron on pixels, 784-h-10: what S14 is compared with.

    tfae-train --config=configs/s15_perceptron.py:200 --workdir=runs/s15

200: hidden units, 159,010 parameters. RMSProp, batch 256, 30 epochs; trained on the 70 % part of
S13's split, tested on its 10 % part. The tutorial printed 95.3 % for 20 hidden units, 97.4 % for
100 and 97.7 % for 200.
"""

import tfae


def get_config(hidden="200"):
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.7, 0.198, 0.102)
  config.data.stratify = True
  config.model.encoder = (tfae.Flatten(),)
  config.model.head = (tfae.Dense(int(hidden), activation="relu"), tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 256
  config.epochs = 30
  return config
