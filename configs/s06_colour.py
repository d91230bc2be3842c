"""S06: a convolutional autoencoder of colour images, 32x32x3 into 50 values.

    tfae-train --config=configs/s06_colour.py --workdir=runs/s06_colour --data_dir=FOLDER

FOLDER: CIFAR-10's binary batches. The tutorial describes faces of 64x64x3 into 50 values in prose
and prints no figure; your own pictures: --config.data.name=images --config.data.size="(32, 32)".
PCA with 50 components is shown by tfae-evaluate --pca.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "cifar10"
  config.model.encoder = (
      tfae.Conv2D(32, 4, stride=2, activation="elu"),
      tfae.Conv2D(64, 4, stride=2, activation="elu"),
      tfae.Conv2D(64, 4, stride=2, activation="elu"), tfae.Flatten(), tfae.Dense(50))
  config.model.tied = False
  config.model.output_activation = "sigmoid"
  config.task.loss = "sum_squared_error"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = "cosine"
  config.batch_size = 100
  config.epochs = 30
  return config
