"""S12: the branch-and-merge classifier of the tutorial: two convolutions of one image, summed.

    tfae-train --config=configs/s12_branch_merge.py --workdir=runs/s12

Adam, batch 200, 10 epochs, as S09 to S11; the tutorial printed no figure.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (
      tfae.Branch(((tfae.Conv2D(16, 1),), (tfae.Conv2D(16, 5, activation="relu"),))),
      tfae.MaxPool(2), tfae.Dropout(0.2), tfae.Flatten())
  config.model.head = (tfae.Dense(128, activation="relu"), tfae.Dense(10))
  config.task.name = "classify"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 200
  config.epochs = 10
  return config
