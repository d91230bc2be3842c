"""S14: a perceptron on the latent means of S13's encoder, which stays as it is.

    tfae-train --config=configs/s13_conv_vae.py --workdir=runs/s13
    tfae-train --config=configs/s14_probe.py:200 --workdir=runs/s14 --init_from=runs/s13

200: hidden units. RMSProp, batch 256, 50 epochs; trained on the 20 % of the images that S13
validates on, tested on the 10 % that neither saw. With another seed or latent size than S13's
default give both commands the same --config.seed and --config.model.latent. The tutorial printed
96.9 % for 10 latent values and 200 hidden units, 97.2 % for 1,000.
"""

import tfae


def get_config(hidden="200"):
  config = tfae.default_config()
  config.data.name = "mnist"
  config.data.fractions = (0.7, 0.198, 0.102)
  config.data.stratify = True
  config.data.train_on = "validation"

  def conv(filters, stride=1):
    return tfae.Conv2D(filters, 3, stride=stride, activation="relu")

  config.model.encoder = (conv(32), conv(64, 2), conv(64), conv(64), tfae.Flatten(),
                          tfae.Dense(32, activation="relu"))
  config.model.latent = 10
  config.model.head = (tfae.Dense(int(hidden), activation="relu"), tfae.Dense(10))
  config.task.name = "probe"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 256
  config.epochs = 50
  return config
