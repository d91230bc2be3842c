"""The deep tied autoencoder of configs/deep_tied.py on slightly deformed images, in bfloat16.

    tfae-train --config=configs/deep_tied_best.py --workdir=runs/deep_tied_best

Without them it overfits. Rotations and elastic deformations of under a pixel make images that the
test set could hold, so that the code has no more to tell than before.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (
      tfae.Flatten(),
      *(tfae.Dense(units, activation="elu") for units in (1000, 500, 250)),
      tfae.Dense(30),
  )
  config.model.output_activation = "sigmoid"
  config.task.loss = "sum_squared_error"
  config.augmentation.rotate = 5.0
  config.augmentation.elastic_alpha = 20.0
  config.augmentation.elastic_sigma = 5.0
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = "cosine"
  config.optimizer.warmup_steps = 1000
  config.batch_size = 200
  config.epochs = 120
  config.compute_dtype = "bfloat16"
  return config
