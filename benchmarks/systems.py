"""What the systems are, as data that a builder of any framework reads; made of their configs.

The layers, the loss, the optimizer and the data come from `configs/`, each described there once.
What the benchmark leaves out: the last, partial batch of an epoch (the training set is cut to a
multiple of the batch), evaluations, checkpoints and logs but for the row that has them. None of
these configs has augmentation, corruption or early stopping. One thing is changed: the codes of
S13 are drawn with S18's standard deviation, .001, which costs the same. With 1 its first updates
are so wild that equal runs differ by a quarter after eight steps, and nobody could be checked.
"""

import dataclasses
import functools
import importlib.util
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIGS = {"S01": "s01_conv_pool.py", "S04": "mnist_tied_dense.py", "S05": "mnist_tied_conv.py",
           "S10": "s10_simple_cnn.py", "S13": "s13_conv_vae.py", "S18": "s18_dense_vae.py"}
IMAGE, CLASSES = (28, 28, 1), 10


@dataclasses.dataclass(frozen=True)
class Layer:
  """One layer; images are `[batch, height, width, channels]`.

  kind: 'dense', 'conv', 'transposed' (convolution), 'pool', 'upsample', 'reshape' or 'dropout'.
  before, after: shapes without the batch.
  kernel, bias: which of the weights, None: none. Kernels are dense `[in, out]`, convolutions
    `[height, width, in, out]`, transposed ones `[height, width, out, in]`: that of the convolution
    which they undo.
  kernel_shape: of the kernel, or of the window of a pool or upsampling.
  tied: whether the kernel is an earlier layer's; a dense one is transposed then.
  stride, padding: 'same' (TensorFlow's: more after the image than before it) or 'valid'.
  activation: 'relu' or 'linear'.
  rate: of dropout.
  """
  kind: str
  before: tuple
  after: tuple
  kernel: int | None = None
  bias: int | None = None
  kernel_shape: tuple = ()
  tied: bool = False
  stride: int = 1
  padding: str = "same"
  activation: str = "linear"
  rate: float = 0.0


@dataclasses.dataclass(frozen=True)
class System:
  """A model and how it is trained.

  parts: {component: its layers}, in the order of the weights: encoder, then decoder; mean,
    log_variance and decoder; or head.
  shapes: of all weights.
  loss: 'mean_squared_error', mean over batch and pixels; 'binary_cross_entropy', the same, of
    logits; 'variational', Bernoulli and KL, summed over pixels and code, mean over the batch;
    'classify', cross-entropy of logits, mean over the batch.
  noise: standard deviation of the numbers that a variational code is drawn with.
  optimizer: 'adam', 'rmsprop' (epsilon outside of the root) or 'adadelta', see
    `tfae.specs.optimizers`; rates: its learning_rate, epsilon and so on.
  """
  name: str
  parts: dict
  shapes: tuple
  loss: str
  noise: float
  optimizer: str
  rates: dict

  @property
  def layers(self):
    """All layers, in the order of the weights."""
    return [layer for part in self.parts.values() for layer in part]

  @property
  def convolutional(self):
    return any(layer.kind == "conv" for layer in self.layers)

  @property
  def random(self):
    """Whether a training step draws numbers: each framework its own."""
    return bool(self.noise) or any(layer.kind == "dropout" for layer in self.layers)


def experiment(name):
  """Returns the `tfae.Experiment` of a system; imports no TensorFlow."""
  if str(ROOT) not in sys.path:
    sys.path.insert(1, str(ROOT))
  from tfae import experiment as experiments
  path = ROOT / "configs" / CONFIGS[name]
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  if config.task.name == "variational":
    config.task.noise_stddev = .001
  return experiments.from_config(config)


@functools.cache
def system(name):
  """Returns the `System` of a name in CONFIGS."""
  config = experiment(name)
  parts, shapes = {}, []
  for part, plan in config.task.plans(config.model, IMAGE, CLASSES).items():
    parts[part] = []
    for index, spec in enumerate(plan.layers):
      source = parts["encoder"][plan.shared[index]].kernel if index in plan.shared else None
      parts[part].append(_layer(spec, *plan.shapes[index:index + 2], shapes, source))
  rates = {field.name: getattr(config.optimizer, field.name)
           for field in dataclasses.fields(config.optimizer)}
  task = config.task.name()
  return System(name, parts, tuple(shapes),
                config.task.loss if task == "reconstruct" else task,
                config.task.noise_stddev if task == "variational" else 0.0,
                type(config.optimizer).__name__.lower(), rates)


def _layer(spec, before, after, shapes, source):
  """Returns the Layer of a spec, and adds the shapes of the weights that are its own."""
  from tfae.specs import layers as specs
  fields, weights = {"before": before, "after": after}, spec.weights(before)
  if "kernel" in weights:
    fields.update(activation=spec.activation, tied=source is not None, kernel=source)
    fields["kernel_shape"] = weights["kernel"] if source is None else shapes[source]
    if source is None:
      fields["kernel"] = len(shapes)
      shapes.append(weights["kernel"])
    if "bias" in weights:
      fields["bias"] = len(shapes)
      shapes.append(weights["bias"])
  match spec:
    case specs.Dense():
      return Layer("dense", **fields)
    case specs.Conv2DTranspose():
      return Layer("transposed", stride=_one(spec.stride), padding=spec.padding, **fields)
    case specs.Conv2D():
      return Layer("conv", stride=_one(spec.stride), padding=spec.padding, **fields)
    case specs.MaxPool():
      return Layer("pool", kernel_shape=spec.size, stride=_one(spec.stride), padding=spec.padding,
                   **fields)
    case specs.Upsample():
      return Layer("upsample", kernel_shape=spec.factor, stride=_one(spec.factor), **fields)
    case specs.Flatten() | specs.Reshape():
      return Layer("reshape", **fields)
    case specs.Dropout():
      return Layer("dropout", rate=spec.rate, **fields)
  raise ValueError(f"no contender builds {spec}")


def _one(pair):
  height, width = pair
  if height != width:
    raise ValueError(f"no contender builds strides of {pair}")
  return height


def same(layer, axis=0):
  """Returns the zeros (before, after) the image along an axis that a layer's windows need.

  Of a transposed convolution: those of the convolution that it undoes.
  """
  large, small = ((layer.after, layer.before) if layer.kind == "transposed"
                  else (layer.before, layer.after))
  if layer.padding == "valid":
    return 0, 0
  total = max((small[axis] - 1) * layer.stride + layer.kernel_shape[axis] - large[axis], 0)
  return total // 2, total - total // 2
