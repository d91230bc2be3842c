"""The variational autoencoder of Burda, Grosse and Salakhutdinov 2016, one stochastic layer, k = 1.

    tfae-train --config=configs/vae_burda.py --workdir=runs/vae_burda
    tfae-evaluate --workdir=runs/vae_burda --log_likelihood=5000

784-200-200-50 and back, tanh, pixels drawn from their grey values anew at each step, Adam (epsilon
1e-4), batch 20. Their table 1 has -log p(x) = 86.76 nats on the 10,000 test images, by 5,000
samples. They train 3,280 epochs, 3^i at rate .001 * 10^(-i/7) for i = 0 to 7: 9.8 million steps.
Here the same range of rates, .001 to .0001, is one cosine over 100 epochs; more of them with
--config.epochs, in another workdir. Their IWAE is

    tfae-train --config=configs/vae_burda.py --workdir=runs/iwae_burda \
        --config.task.objective=iwae --config.task.samples=50

with 84.78 nats in the same table.
"""

import tfae


def get_config():
  config = tfae.default_config()
  config.data.name = "mnist"
  tanh = {"activation": "tanh"}
  config.model.encoder = (tfae.Flatten(), tfae.Dense(200, **tanh), tfae.Dense(200, **tanh))
  config.model.latent = 50
  # Gives logits: the task applies the sigmoid.
  config.model.decoder = (tfae.Dense(200, **tanh), tfae.Dense(200, **tanh), tfae.Dense(784),
                          tfae.Reshape((28, 28, 1)))
  config.model.tied = False
  config.task.name = "variational"
  config.task.binarize = True
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.epsilon = 1e-4
  config.optimizer.schedule = "cosine"
  config.optimizer.final_fraction = 0.1
  config.batch_size = 20
  config.epochs = 100
  return config
