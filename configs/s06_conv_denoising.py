"""S06: the convolutional denoising autoencoder of 7x7x8 values, kernels tied.

    tfae-train --config=configs/s06_conv_denoising.py --workdir=runs/s06_conv_denoising

30 % of the pixels are masked on the way in, anew at each step; the loss is against the clean image.
The tutorial describes it in prose and prints no figure. PCA with as many components is shown by
tfae-evaluate --pca; `clean_` metrics are those of images that were not masked.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  config.model.encoder = (tfae.Conv2D(32, 4, stride=2, activation="elu"),
                          tfae.Conv2D(8, 4, stride=2))
  config.model.output_activation = "sigmoid"
  config.task.loss = "sum_squared_error"
  config.corruption.name = "masking"
  config.corruption.rate = 0.3
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = "cosine"
  config.batch_size = 100
  config.epochs = 20
  return config
