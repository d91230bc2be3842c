"""S05: the tied convolutional autoencoder of the tutorial, three times conv 16, 4x4, stride 2.

    tfae-train --config=configs/mnist_tied_conv.py --workdir=runs/s05

No bias, relu everywhere, N(0, .02), Adam, mean image subtracted; 8,448 parameters, code 4x4x16.
Trained on 60,000 and judged on the 10,000 held-out images; the tutorial trained and judged on all
70,000 and printed the last training batch of each epoch: .0263, .0265, .0247, .0236, .0234. Expect
.024 on the test images, after 40 seconds on two cores: batches of 100 differ by .001. Its relu output can't reach what lies below
the mean image, which alone costs .022: mnist_tied_conv_best.py has no such floor.
"""

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
