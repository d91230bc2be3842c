"""S13: the convolutional variational autoencoder of the tutorial, 10 latent values.

    tfae-train --config=configs/s13_conv_vae.py --workdir=runs/s13

494,772 + 156,737 parameters; Bernoulli likelihood and KL in nats, summed; RMSProp with the epsilon
outside the root, batch 128, 35 epochs. All 70,000 images, stratified by class into 48,996 for
training, 13,859 for validation (S14 trains on them) and 7,145 for the test, which the tutorial did
not have. It printed a training loss of 957 after epoch 1, 145.0 after 2, 110.9 after 10, 105.1
after 20 and 103.06 after 28; the loss of an epoch is in metrics.jsonl under "epoch". With seed 0 it
is 119.9 after 28 (RESULTS.md): most relu units of the dense layer die in the first steps.
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
                          tfae.Dense(32, activation="relu"))
  config.model.latent = 10
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(14 * 14 * 64, activation="relu"), tfae.Reshape((14, 14, 64)),
                          tfae.Conv2DTranspose(32, 3, stride=2, activation="relu"),
                          tfae.Conv2D(1, 3))
  config.model.tied = False
  config.task.name = "variational"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.rho = 0.9
  config.optimizer.epsilon = 1e-7
  config.batch_size = 128
  config.epochs = 35
  return config
