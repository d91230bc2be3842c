"""The walk through a system that all contenders but tfae share; its operations are a framework's.

A framework is an object with the methods

    dense(x, kernel, bias, layer), conv(...), transposed(...)    bias may be None; no activation
    pool(x, layer), upsample(x, layer), reshape(x, shape), dropout(x, layer)
    relu(x)
    normal(x)                  standard normal numbers of the shape of x
    exp(x), expm1(x), mean(x), softplus(x)
    cross_entropy(logits, labels)     mean over the batch, nats

`reshape` gets the shape without the batch. With `training` False nothing is drawn: no dropout, and
a variational code is its mean.
"""


def run(ops, layers, weights, x, training=True):
  """Returns what layers make of x `[batch, ...]`."""
  for layer in layers:
    if layer.kernel is not None:
      bias = None if layer.bias is None else weights[layer.bias]
      x = getattr(ops, layer.kind)(x, weights[layer.kernel], bias, layer)
      if layer.activation == "relu":
        x = ops.relu(x)
    elif layer.kind == "reshape":
      x = ops.reshape(x, layer.after)
    elif layer.kind != "dropout" or training:
      x = getattr(ops, layer.kind)(x, layer)
  return x


def loss(ops, system, weights, x, labels=None, training=True):
  """Returns the loss of images x `[batch, height, width, channels]`, scaled, minus their mean.

  Its kinds are those of `systems.System`; `labels` integers `[batch]`, for 'classify' only.
  """
  parts = {name: lambda x, layers=layers: run(ops, layers, weights, x, training)
           for name, layers in system.parts.items()}
  codes = parts["encoder"](x)
  if system.loss == "classify":
    return ops.cross_entropy(parts["head"](codes), labels)
  kl = None
  if system.loss == "variational":
    mean, log_variance = parts["mean"](codes), parts["log_variance"](codes)
    latent = mean.shape[-1]
    # The KL is a sum over the code: its mean over batch and code, times the size of the code.
    kl = ops.mean(mean * mean + ops.expm1(log_variance) - log_variance) * (latent / 2)
    codes = mean
    if training:
      codes = mean + system.noise * ops.exp(log_variance / 2) * ops.normal(mean)
  output = parts["decoder"](codes)
  if system.loss == "mean_squared_error":
    difference = output - x
    return ops.mean(difference * difference)
  # log(1 + e^y) - y z = -(z log s(y) + (1 - z) log(1 - s(y))), a mean over pixels.
  entropy = ops.mean(ops.softplus(output) - output * x)
  if kl is None:
    return entropy
  pixels = 1
  for size in system.parts["decoder"][-1].after:
    pixels *= size
  return entropy * pixels + kl
