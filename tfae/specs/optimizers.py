"""Optimizer specs: the rule, its numbers, and the schedule of its learning rate.

The update rules below write g for the gradient, r for the learning rate of the step, t for the
step counted from 1. Every slot starts at zero. Nothing here needs TensorFlow.
"""

import dataclasses

from tfae.errors import (InputError, SMALLEST_FLOAT32, check_bool, check_choice, check_float32,
                         check_int)

SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """Base of all optimizer specs: what does not depend on the update rule.

  Keyword fields:
    schedule: 'constant', or 'cosine': from the base rate down to final_fraction of it over the
      steps after the warmup (Loshchilov and Hutter 2017, "SGDR", equation 5, one period).
    warmup_steps: the rate rises linearly: base * (step + 1) / warmup_steps, step from 0.
    final_fraction: floor of the cosine as a fraction of the base rate, in [0, 1].
    clip_norm: gradients are scaled down to this global Euclidean norm; 0: never (Pascanu et al.
      2013, "On the difficulty of training recurrent neural networks", algorithm 1).
    weight_decay: variable -= r * weight_decay * variable before the update, for variables of
      rank >= 2 only (decoupled: Loshchilov and Hutter 2019; the factor is multiplied by r).

  Raises:
    InputError: a field of the wrong type, out of its range, or without effect.
  """
  schedule: str = dataclasses.field(default="constant", kw_only=True)
  warmup_steps: int = dataclasses.field(default=0, kw_only=True)
  final_fraction: float = dataclasses.field(default=0.0, kw_only=True)
  clip_norm: float = dataclasses.field(default=0.0, kw_only=True)
  weight_decay: float = dataclasses.field(default=0.0, kw_only=True)

  def __post_init__(self):
    self._number("learning_rate", 0, above=True)
    check_choice(self._argument("schedule"), self.schedule, SCHEDULES)
    self._set("warmup_steps",
              check_int(self._argument("warmup_steps"), self.warmup_steps, 0))
    self._number("final_fraction", 0, 1)
    self._number("clip_norm", 0)
    self._number("weight_decay", 0)
    if self.final_fraction and self.schedule != "cosine":
      raise InputError(f"{self._argument('final_fraction')}={self.final_fraction!r}: has no effect "
                       f"with schedule={self.schedule!r}. Use schedule='cosine' or leave it at 0.")

  def _argument(self, field):
    return f"{type(self).__name__}.{field}"

  def _set(self, field, value):
    object.__setattr__(self, field, value)

  def _number(self, field, *bounds, **exclusive):
    self._set(field, check_float32(self._argument(field), getattr(self, field), *bounds,
                                   **exclusive))

  def _decay_rate(self, field):
    """A number in [0, 1) that is below 1 in float32 too: the rules divide by 1 - rate**t."""
    self._number(field, 0, 1, below=True)


@dataclasses.dataclass(frozen=True)
class SGD(Optimizer):
  """Gradient descent: variable -= r * g; with momentum: a = momentum * a + g, variable -= r * a.

  nesterov: variable -= r * (g + momentum * a), with the new a. The accumulator holds gradients,
  not steps, as in PyTorch; Sutskever et al. 2013, equations 1 to 4, put r inside of it, which is
  the same as long as r is constant.
  """
  learning_rate: float
  momentum: float = 0.0
  nesterov: bool = False

  def __post_init__(self):
    super().__post_init__()
    self._decay_rate("momentum")
    check_bool("SGD.nesterov", self.nesterov)
    if self.nesterov and not self.momentum:
      raise InputError("SGD.nesterov=True: has no effect with momentum=0.0. Give a momentum, such "
                       "as 0.9, or use nesterov=False.")


@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
  """Adam: Kingma and Ba 2015, in the reordered form at the end of section 2.

  m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2,
  variable -= r * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon).

  epsilon is the "epsilon hat" of that form, as in TensorFlow 1 and 2; the epsilon of the paper's
  algorithm 1, as in PyTorch, is epsilon / sqrt(1 - beta2^t): 32 times as large at the first step
  of beta2 = .999, the same in the end.
  """
  learning_rate: float = 1e-3
  beta1: float = 0.9
  beta2: float = 0.999
  epsilon: float = 1e-8

  def __post_init__(self):
    super().__post_init__()
    self._decay_rate("beta1")
    self._decay_rate("beta2")
    self._number("epsilon", SMALLEST_FLOAT32)


@dataclasses.dataclass(frozen=True)
class RMSProp(Optimizer):
  """RMSProp: Tieleman and Hinton 2012, lecture 6.5, slide 29; not centred.

  ms = rho * ms + (1 - rho) * g^2, a = momentum * a + r * g / d, variable -= a, where d is
  sqrt(ms + epsilon) if epsilon_inside_root (TensorFlow 1; its ms started at one, not zero), else
  sqrt(ms) + epsilon (the tutorials' framework, and PyTorch). With epsilon 1e-7 and g = 1e-6 the
  first step is 760 times as long outside as inside; where ms >> epsilon both agree.
  """
  learning_rate: float = 1e-3
  rho: float = 0.9
  momentum: float = 0.0
  epsilon: float = 1e-7
  epsilon_inside_root: bool = False

  def __post_init__(self):
    super().__post_init__()
    self._decay_rate("rho")
    self._decay_rate("momentum")
    self._number("epsilon", SMALLEST_FLOAT32)
    check_bool("RMSProp.epsilon_inside_root", self.epsilon_inside_root)


@dataclasses.dataclass(frozen=True)
class Adadelta(Optimizer):
  """Adadelta: Zeiler 2012, algorithm 1, times a learning rate (1 in the paper).

  a = rho * a + (1 - rho) * g^2, u = sqrt(b + epsilon) / sqrt(a + epsilon) * g,
  b = rho * b + (1 - rho) * u^2, variable -= r * u.
  """
  learning_rate: float = 1.0
  rho: float = 0.95
  epsilon: float = 1e-8

  def __post_init__(self):
    super().__post_init__()
    self._decay_rate("rho")
    self._number("epsilon", SMALLEST_FLOAT32)


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "rmsprop": RMSProp, "adadelta": Adadelta}
