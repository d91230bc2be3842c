"""What a variational autoencoder is trained on: likelihood of the pixels, bound, noise."""

import dataclasses
import typing

from tfae.errors import InputError, check_bool, check_choice, check_float32, check_int, set_fields

LIKELIHOODS = ("bernoulli", "gaussian")
OBJECTIVES = ("elbo", "iwae")


@dataclasses.dataclass(frozen=True)
class Bound:
  """The objective of a variational autoencoder with the prior N(0, 1); all in nats per image.

  The loss of an image is minus the bound on log p(x) that is chosen here: reconstruction, summed
  over pixels, plus KL(q(z | x) || p(z)), summed over the dimensions of the code.
  Sources: Kingma and Welling 2014, "Auto-encoding variational Bayes", equation 10; Burda, Grosse
  and Salakhutdinov 2016, "Importance weighted autoencoders", equation 8.

  likelihood: 'bernoulli': the decoder gives logits, pixels are scaled to [0, 1]. 'gaussian': it
    gives the mean of scaled pixels. Its normalising constant counts.
  likelihood_stddev: standard deviation of the Gaussian, in scaled pixels.
  beta: factor of the KL (Higgins et al. 2017, "beta-VAE", equation 4).
  free_bits: nats of KL that each dimension has free, on average over the batch (see
    `tfae.distributions.free_bits`).
  samples: codes drawn for each image.
  objective: 'elbo', or 'iwae': the importance-weighted bound of `samples` codes.
  noise_stddev: standard deviation of the sampling noise. Only with 1 is the loss a bound on
    log p(x); tutorials train with less.
  binarize: whether each pixel is drawn from Bernoulli(scaled pixel), anew at each step (Burda et
    al. 2016, section 5); in evaluation too, the same in each evaluation.

  Raises:
    InputError: a field that is not allowed, or that has no effect with the others.
  """
  WHERE: typing.ClassVar[str] = "VariationalAutoencoder"  # how errors name the fields

  likelihood: str = "bernoulli"
  likelihood_stddev: float = 1.0
  beta: float = 1.0
  free_bits: float = 0.0
  samples: int = 1
  objective: str = "elbo"
  noise_stddev: float = 1.0
  binarize: bool = False

  def __post_init__(self):
    def name(field):
      return f"{self.WHERE}.{field}"
    check_choice(name("likelihood"), self.likelihood, LIKELIHOODS)
    check_choice(name("objective"), self.objective, OBJECTIVES)
    check_bool(name("binarize"), self.binarize)
    # The square and its inverse must be finite in float32.
    set_fields(self, likelihood_stddev=check_float32(name("likelihood_stddev"),
                                                     self.likelihood_stddev, 1e-6, 1e6),
               beta=check_float32(name("beta"), self.beta),
               free_bits=check_float32(name("free_bits"), self.free_bits),
               samples=check_int(name("samples"), self.samples, 1, 100_000),
               noise_stddev=check_float32(name("noise_stddev"), self.noise_stddev))
    if self.likelihood == "bernoulli":
      self._check_default("likelihood_stddev", "with likelihood='bernoulli'")
    elif self.binarize:
      raise InputError(f"{name('binarize')}=True: black and white pixels are not Gaussian. Use "
                       "likelihood='bernoulli'.")
    if self.objective == "iwae":
      for field in ("beta", "free_bits", "noise_stddev"):
        self._check_default(field, "with objective='iwae', whose weights are those of the exact "
                            "densities")
    if self.free_bits and not self.beta:
      raise InputError(f"{name('free_bits')}={self.free_bits!r}: has no effect with beta=0.0. "
                       "Leave it out.")

  def _check_default(self, field, why):
    value, default = getattr(self, field), getattr(Bound, field)
    if value != default:
      raise InputError(f"{self.WHERE}.{field}={value!r}: has no effect {why}. Leave it at "
                       f"{default!r}.")
