"""S18: the dense variational autoencoder of the tutorial, 784-512-(2, 2), 2-512-784.

    tfae-train --config=configs/s18_dense_vae.py --workdir=runs/s18

807,700 parameters; RMSProp, batch 128, 50 epochs; every tenth of the 60,000 images, a tenth of
those for validation; 10,000 test images. The tutorial draws codes with noise of standard deviation
.001, so that its loss is no bound on log p(x): "elbo" in metrics.jsonl is one, with noise 1. It
also takes the mean of the KL over the two values, and the log variance for a log standard
deviation: here the KL is the sum of the exact ones. s18_dense_vae_best.py has noise 1 throughout.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.train_range = (0, 60_000, 10)
  config.data.validation = 600
  config.model.encoder = (tfae.Flatten(), tfae.Dense(512, activation="relu"))
  config.model.latent = 2
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(512, activation="relu"), tfae.Dense(784),
                          tfae.Reshape((28, 28, 1)))
  config.model.tied = False
  config.task.name = "variational"
  config.task.noise_stddev = 0.001
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 50
  return config
