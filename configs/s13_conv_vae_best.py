"""S13 with an elu dense layer before the latent one, Adam, a short warm-up and a cosine.

    tfae-train --config=configs/s13_conv_vae_best.py --workdir=runs/s13_best

Layers, likelihood, KL and split are those of configs/s13_conv_vae.py, whose 32 relu units before
the latent layer die in the first steps: three quarters of them with Adam and a warm-up too. In
bfloat16, 15 epochs. The test ELBO is in RESULTS.md.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.7, 0.198, 0.102)
  config.data.stratify = True

  def conv(filters, stride=1):
    return tfae.Conv2D(filters, 3, stride=stride, activation="relu")

  config.model.encoder = (conv(32), conv(64, 2), conv(64), conv(64), tfae.Flatten(),
                          tfae.Dense(32, activation="elu"))
  config.model.latent = 10
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(14 * 14 * 64, activation="relu"), tfae.Reshape((14, 14, 64)),
                          tfae.Conv2DTranspose(32, 3, stride=2, activation="relu"),
                          tfae.Conv2D(1, 3))
  config.model.tied = False
  config.task.name = "variational"
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1.5e-3
  config.optimizer.schedule = "cosine"
  config.optimizer.warmup_steps = 200
  config.batch_size = 128
  config.epochs = 15
  config.compute_dtype = "bfloat16"
  return config
