"""S05."""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  layer = {"stride": 2, "activation": "relu", "use_bias": False,
           "kernel_initializer": tfae.Normal(0.02)}
  config.model.encoder = tuple(tfae.Conv2D(16, 4, **layer) for _ in range(3))
  config.model.output_activation = "relu"
  config.model.subtract_mean = True
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.batch_size = 100
  config.epochs = 5
  return config
