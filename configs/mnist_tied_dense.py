"""S04: the tied dense autoencoder 784-512-256-128-64 of the tutorial, by W^T and back.

    tfae-train --config=configs/mnist_tied_dense.py --workdir=runs/s04

No bias, relu everywhere, N(0, .02), Adam, mean image subtracted; 573,440 parameters. Trained on
60,000 and judged on the 10,000 held-out images; the tutorial trained and judged on all 70,000 and
printed the last training batch of each epoch: .0441, .0370, .0366, .0326, .0332. Expect .033 on the
test images, after 20 seconds on two cores. Its relu output can't reach what lies below the mean image, which alone costs .022:
mnist_tied_dense_best.py has no such floor.
"""

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
