"""The deep tied autoencoder 784-1000-500-250-30 of Hinton and Salakhutdinov.

    tfae-train --config=configs/deep_tied.py --workdir=runs/deep_tied

"Reducing the dimensionality of data with neural networks", Science 313, 2006: an average squared
error of 3.00 a test image (the sum over its pixels in [0, 1]), after layer-wise pre-training; PCA
with 30 components 13.87. Here all layers are trained together: 2.764 (RESULTS.md).
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
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = "cosine"
  config.optimizer.warmup_steps = 1000
  config.batch_size = 200
  config.epochs = 150
  return config
