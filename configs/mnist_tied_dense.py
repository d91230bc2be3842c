"""S04."""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  layer = {"activation": "relu", "use_bias": False, "kernel_initializer": tfae.Normal(0.02)}
  config.model.encoder = (
      tfae.Flatten(),
      *(tfae.Dense(units, **layer) for units in (512, 256, 128, 64)),
  )
  config.model.output_activation = "relu"
  config.model.subtract_mean = True
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 5
  return config
