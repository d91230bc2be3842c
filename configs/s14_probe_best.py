"""S14's perceptron on the latent means of the better S13, whose dense layer is elu.

    tfae-train --config=configs/s13_conv_vae_best.py --workdir=runs/s13_best
    tfae-train --config=configs/s14_probe_best.py:200 --workdir=runs/s14_best \
        --init_from=runs/s13_best

200: hidden units. All else as configs/s14_probe.py.
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
                          tfae.Dense(32, activation="elu"))
  config.model.latent = 10
  config.model.head = (tfae.Dense(int(hidden), activation="relu"), tfae.Dense(10))
  config.task.name = "probe"
  config.optimizer.name = "rmsprop"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-7
  config.batch_size = 256
  config.epochs = 50
  return config
