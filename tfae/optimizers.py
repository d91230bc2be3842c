"""Optimizers on TensorFlow's fused kernels: the rules of `tfae.specs.optimizers`, applied.

Each rule below is a function (spec, dtype, rate, step) -> update(variable, slots, gradient): the
scalars of a step are computed once a device, the update once a variable. Which rule agrees with
which paper and framework is said in the docstring of its spec.
"""

import collections
import math

import tensorflow as tf

from tfae import ops
from tfae.errors import InputError, check_int
from tfae.specs import optimizers as specs


class Updater(tf.Module):
  """One optimizer over a list of variables; its slots are made here, beside their variables.

  Works eagerly, in tf.function, and with jit_compile=True where all variables share a device.
  All state is in the slots: what else a step needs is a function of its number. Slots are tracked
  as `slots/<position of the variable>/<slot>`; the variables themselves are not.
  """

  def __init__(self, spec, variables, total_steps):
    """Makes the slots, named `<variable name>/<slot>`, zero, each on the device of its variable.

    Args:
      spec: an SGD, Adam, RMSProp or Adadelta of `tfae.specs.optimizers`.
      variables: tf.Variables of float32 or float64, each once, on any devices.
      total_steps: number of steps of the whole run, where a cosine schedule ends.

    Raises:
      InputError: an argument is not as above, or the warmup is longer than the run.
    """
    super().__init__(name="optimizer")
    if type(spec) not in _RULES:
      raise InputError(f"optimizer={spec!r}: expected an instance of one of "
                       f"{', '.join(rule.__name__ for rule in _RULES)}.")
    self.spec = spec
    self.total_steps = check_int("total_steps", total_steps, 1)
    if spec.warmup_steps > total_steps:
      raise InputError(f"{type(spec).__name__}.warmup_steps={spec.warmup_steps}: the run has "
                       f"{total_steps} steps and would never reach the base rate. Use a shorter "
                       "warmup or a longer run.")
    variables = _checked_variables(variables)
    # Behind a function, as a module tracks every list of variables that is its attribute, and a
    # checkpoint has these under the model already.
    self._variables = lambda: variables
    self.slots = [_make_slots(variable, _slot_names(spec)) for variable in variables]

  def learning_rate(self, step, dtype=tf.float32):
    """Returns the rate of `step` (integer scalar, counted from 0) as a scalar of `dtype`.

    The warmup ends with the base rate at step warmup_steps - 1. The cosine starts from the base
    rate at step warmup_steps and has its floor at total_steps, one step after the last.
    """
    spec = self.spec
    # In float64: a float32 step is inexact from 2^24 on.
    step = tf.cast(step, tf.float64)
    rate = tf.constant(spec.learning_rate, tf.float64)
    if spec.warmup_steps:
      rate *= tf.minimum((step + 1) / spec.warmup_steps, 1)
    if spec.schedule == "cosine":
      length = max(self.total_steps - spec.warmup_steps, 1)
      progress = tf.clip_by_value((step - spec.warmup_steps) / length, 0, 1)
      cosine = (1 + tf.cos(math.pi * progress)) / 2
      rate *= spec.final_fraction + (1 - spec.final_fraction) * cosine
    return tf.cast(rate, dtype)

  def apply(self, gradients, step):
    """Takes step number `step`: decays the weights, clips the gradients, updates the variables.

    Every op runs on the device of the variable that it serves, the sum of the global norm's parts
    on that of the first variable. A norm that is not finite makes clipped gradients NaN.

    Args:
      gradients: a tensor for each variable, in the order of the constructor, same shape and dtype.
      step: integer scalar, tensor or not (an int retraces a tf.function), counted from 0.

    Returns:
      The global Euclidean norm of the gradients before clipping, a scalar; float64 if a variable
      is, else float32.

    Raises:
      InputError: a gradient is missing, None, or of another shape or dtype than its variable.
    """
    groups = collections.defaultdict(list)
    for variable, slots, gradient in self._paired(gradients):
      groups[variable.device, variable.dtype].append((variable, slots, gradient))
    norm = _global_norm(groups)
    for (device, dtype), members in groups.items():
      with tf.device(device):
        self._apply_group(members, dtype, norm, step)
    return norm

  def _apply_group(self, members, dtype, norm, step):
    spec = self.spec
    rate = self.learning_rate(step, dtype)
    if ops.xla_on_cpu(norm):
      # Nothing is added; but the norm needs all gradients, so that no kernel is still to be read
      # when it is updated. XLA would update a copy of each.
      rate += tf.where(norm < 0, tf.cast(norm, dtype), 0)
    update = _RULES[type(spec)](spec, dtype, rate, step)
    scale = _clip_scale(norm, spec.clip_norm, dtype) if spec.clip_norm else None
    for variable, slots, gradient in members:
      if spec.weight_decay and variable.shape.rank >= 2:
        _descend(variable, rate * spec.weight_decay, variable.read_value())
      update(variable, slots, gradient if scale is None else gradient * scale)

  def _paired(self, gradients):
    """Yields (variable, slots, gradient as a dense tensor); raises InputError."""
    variables = self._variables()
    if len(gradients) != len(variables):
      raise InputError(f"gradients: found {len(gradients)} for {len(variables)} variables. Give "
                       "one for each, in the order in which the optimizer got the variables.")
    for variable, slots, gradient in zip(variables, self.slots, gradients):
      name = _name(variable)
      if gradient is None:
        raise InputError(f"gradients: None for variable {name!r}: the loss does not depend on it. "
                         "Leave it out of the optimizer's variables or connect it to the loss.")
      with tf.device(variable.device):
        gradient = tf.convert_to_tensor(gradient)
      if gradient.dtype != variable.dtype or not gradient.shape.is_compatible_with(variable.shape):
        raise InputError(f"gradients: {gradient.dtype.name} {gradient.shape} for variable "
                         f"{name!r}, which is {variable.dtype.name} {variable.shape}. Give "
                         "them in the order of the variables.")
      yield variable, slots, gradient


def _name(variable):
  return variable.name.removesuffix(":0")


def _checked_variables(variables):
  variables = list(variables)
  if not variables:
    raise InputError("variables=[]: expected at least one variable to train.")
  seen = set()
  for variable in variables:
    if variable.dtype not in (tf.float32, tf.float64):
      raise InputError(f"variables: {_name(variable)!r} is {variable.dtype.name}; expected float32 "
                       "or float64. Keep weights in float32 and cast where they are used.")
    if variable.ref() in seen:
      raise InputError(f"variables: {_name(variable)!r} is listed twice. List a shared variable "
                       "once: its gradient is the sum of all its uses.")
    seen.add(variable.ref())
  return variables


def _slot_names(spec):
  if isinstance(spec, specs.SGD):
    return ("sgd_momentum",) if spec.momentum else ()
  return {specs.Adam: ("adam_m", "adam_v"),
          specs.RMSProp: ("rmsprop_ms", "rmsprop_momentum"),
          specs.Adadelta: ("adadelta_accum", "adadelta_accum_update")}[type(spec)]


def _make_slots(variable, names):
  # The name of the variable is complete: a scope that is open here must not come before it.
  with tf.device(variable.device), tf.name_scope(""):
    return {name: tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False,
                              name=f"{_name(variable)}/{name}") for name in names}


def _global_norm(groups):
  widest = tf.float64 if any(dtype == tf.float64 for _, dtype in groups) else tf.float32
  parts = []
  for (device, _), members in groups.items():
    with tf.device(device):
      part = tf.add_n([ops.sum_of_squares(gradient) for _, _, gradient in members])
      parts.append(tf.cast(part, widest))
  with tf.device(next(iter(groups))[0]):
    return tf.sqrt(tf.add_n(parts))


def _clip_scale(norm, clip_norm, dtype):
  scale = clip_norm / tf.maximum(norm, clip_norm)
  # An infinite norm would scale finite gradients to zero: a standstill that nobody notices.
  scale = tf.where(tf.math.is_finite(norm), scale, tf.constant(float("nan"), norm.dtype))
  return tf.cast(scale, dtype)


def _descend(variable, rate, direction):
  tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=direction)


def _sgd(spec, dtype, rate, step):
  del step
  momentum = tf.constant(spec.momentum, dtype)

  def update(variable, slots, gradient):
    if spec.momentum:
      tf.raw_ops.ResourceApplyMomentum(
          var=variable.handle, accum=slots["sgd_momentum"].handle, lr=rate, grad=gradient,
          momentum=momentum, use_nesterov=spec.nesterov)
    else:
      _descend(variable, rate, gradient)
  return update


def _power(base, t, dtype):
  # The base as the kernel sees it, rounded to dtype, so that (1 - base) / (1 - base^1) is 1; the
  # power in float64, so that a large t costs no precision.
  return tf.cast(tf.pow(tf.constant(float(dtype.as_numpy_dtype(base)), tf.float64), t), dtype)


def _adam(spec, dtype, rate, step):
  t = tf.cast(step, tf.float64) + 1
  scalars = {"lr": rate, "beta1": tf.constant(spec.beta1, dtype),
             "beta2": tf.constant(spec.beta2, dtype), "epsilon": tf.constant(spec.epsilon, dtype),
             "beta1_power": _power(spec.beta1, t, dtype),
             "beta2_power": _power(spec.beta2, t, dtype)}

  def update(variable, slots, gradient):
    tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=slots["adam_m"].handle,
                                 v=slots["adam_v"].handle, grad=gradient, **scalars)
  return update


def _rmsprop(spec, dtype, rate, step):
  del step
  rho, momentum, epsilon, zero, one = (
      tf.constant(value, dtype) for value in (spec.rho, spec.momentum, spec.epsilon, 0, 1))

  def inside(variable, slots, gradient):
    tf.raw_ops.ResourceApplyRMSProp(
        var=variable.handle, ms=slots["rmsprop_ms"].handle, mom=slots["rmsprop_momentum"].handle,
        lr=rate, rho=rho, momentum=momentum, epsilon=epsilon, grad=gradient)

  def outside(variable, slots, gradient):
    if ops.xla_on_cpu(rate):
      ms = slots["rmsprop_ms"]
      _descend(ms, one - rho, ms.read_value() - tf.square(gradient))
      _descend(variable, rate, gradient / (tf.sqrt(ms.read_value()) + epsilon))
      return
    # The Adam kernel with beta1 = 0 and without bias correction is this rule in one pass. Its
    # Nesterov form takes the gradient itself; the other takes m + (gradient - m), which loses
    # digits when gradients shrink. It writes m, here the momentum slot, and never reads it: to XLA,
    # which passes over each slot by itself, a pass for nothing.
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle, m=slots["rmsprop_momentum"].handle, v=slots["rmsprop_ms"].handle,
        beta1_power=zero, beta2_power=zero, lr=rate, beta1=zero, beta2=rho, epsilon=epsilon,
        grad=gradient, use_nesterov=True)

  def outside_with_momentum(variable, slots, gradient):
    ms = slots["rmsprop_ms"]
    _descend(ms, one - rho, ms.read_value() - tf.square(gradient))
    tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle, accum=slots["rmsprop_momentum"].handle, lr=one, momentum=momentum,
        grad=rate * gradient / (tf.sqrt(ms.read_value()) + epsilon))

  if spec.epsilon_inside_root:
    return inside
  return outside_with_momentum if spec.momentum else outside


def _adadelta(spec, dtype, rate, step):
  del step
  rho, epsilon = tf.constant(spec.rho, dtype), tf.constant(spec.epsilon, dtype)

  def update(variable, slots, gradient):
    tf.raw_ops.ResourceApplyAdadelta(
        var=variable.handle, accum=slots["adadelta_accum"].handle,
        accum_update=slots["adadelta_accum_update"].handle, lr=rate, rho=rho, epsilon=epsilon,
        grad=gradient)
  return update


_RULES = {specs.SGD: _sgd, specs.Adam: _adam, specs.RMSProp: _rmsprop,
          specs.Adadelta: _adadelta}
