"""Gradients of a chain of components, each on a device of its own.

One tape over everything would leave every gradient op on the default device, wherever the forward
ops were. So each segment of the chain has its own tape, and `gradient` is called under the
segment's device.
"""

import typing

import tensorflow as tf


class Segment(typing.NamedTuple):
  """A part of the chain that lies on one device.

  device: full device name.
  function: takes what the segment before returned, a tensor or a structure of float tensors;
    returns a tensor or a structure of float tensors.
  variables: those of `function` whose gradients are wanted. One that stands in several segments,
    as a tied kernel does, gets the sum over its uses, made on the device of the first.
  """
  device: str
  function: typing.Callable
  variables: list


def chain(segments, x):
  """Runs `segments` one after the other on `x`; returns (the last one's result, its gradients).

  Args:
    segments: `Segment`s; the last one returns a scalar.
    x: what the first one takes; no gradient flows to it.

  Returns:
    The scalar, and {variable.ref(): gradient} of every variable of the segments.
  """
  taped, wanted = [], False  # whether something before a segment waits for a gradient
  for device, function, variables in segments:
    inputs = tf.nest.flatten(x) if wanted else []
    with tf.device(device):
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([*inputs, *variables])
        x = function(x)
    taped.append((device, tape, inputs, variables, x))
    wanted = wanted or bool(variables)
  gradients, flowing = {}, None
  for device, tape, inputs, variables, output in reversed(taped):
    if not inputs and not variables:
      break
    with tf.device(device):
      found = tape.gradient(output, [*inputs, *variables], output_gradients=flowing,
                            unconnected_gradients=tf.UnconnectedGradients.ZERO)
      flowing, of_variables = found[:len(inputs)], found[len(inputs):]
      for variable, gradient in zip(variables, of_variables):
        later = gradients.get(variable.ref())
        gradients[variable.ref()] = gradient if later is None else gradient + later
  return x, gradients
