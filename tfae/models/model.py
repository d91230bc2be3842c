"""What training, evaluation, diagnosis and export know of a model: its components, its loss.

A new model is a subclass in a file of its own: it names its components and says how a batch goes
through them.
"""

import contextlib

import numpy as np
import tensorflow as tf

from tfae import gradients, graph, randomness
from tfae.errors import InputError, check_float32
from tfae.network import print_table
from tfae.specs.layers import BatchNorm, to_json, walk


class Model(tf.Module):
  """Stacks, each on its own device, and the units of the images.

  The first component sees `images * scale - mean`.

  Attributes:
    components: {name: `tfae.Stack`} in the order of the forward pass; every name an attribute too,
      but that of one called 'mean', which is `mean_head`.
    frozen: names of the components that training leaves as they are, dropout and all.
    scale: float; 1 / 255 takes bytes to [0, 1].
    mean: non-trainable `tf.Variable` of the image shape in scaled units, or None.
    makes_images: whether the last component's output is a reconstruction.
    needs_labels: whether its loss looks at labels; it has an attribute `classes` then.
  """
  makes_images = True
  needs_labels = False

  def __init__(self, components, *, scale=1.0, mean=None, frozen=()):
    """Takes the components; raises InputError for names that clash, a bad scale or mean."""
    super().__init__()
    self._names, self.frozen = tuple(components), frozenset(frozen)
    for name, stack in components.items():
      setattr(self, _attribute(name), stack)
    kind, paths = type(self).__name__, [stack.path for stack in components.values()]
    for path in paths:
      if paths.count(path) > 1:
        raise InputError(f"{kind}: two components are named {path!r}, and so would their "
                         "variables be. Give each a name= of its own.")
    self.scale = check_float32(f"{kind}.scale", scale, above=True)
    self.mean = None
    if mean is not None:
      if not np.isfinite(mean).all():
        raise InputError(f"{kind}.mean: holds values that are not finite. Compute it of finite "
                         "images, or use mean=None.")
      with tf.device(self._first.device):
        self.mean = tf.Variable(tf.cast(mean, self.dtype), trainable=False, name="mean")
      if tuple(self.mean.shape) != self.input_shape:
        raise InputError(f"{kind}.mean: expected shape {self.input_shape}, found "
                         f"{tuple(self.mean.shape)}.")

  @property
  def components(self):
    return {name: self.component(name) for name in self._names}

  def component(self, name):
    """Returns the `tfae.Stack` of one component."""
    return getattr(self, _attribute(name))

  @property
  def _first(self):
    return self.component(self._names[0])

  @property
  def input_shape(self):
    """Shape of one image."""
    return self._first.input_shape

  @property
  def code_shape(self):
    """Shape of one code."""
    return self._first.output_shape

  @property
  def copies(self):
    """How many codes of an image are decoded at a time."""
    return 1

  @property
  def device(self):
    """Of the last component, where the loss is."""
    return self.component(self._names[-1]).device

  @property
  def compute_dtype(self):
    return self._first.compute_dtype

  @property
  def dtype(self):
    """Of inputs, losses and outputs: float32 also where the stacks compute in bfloat16."""
    return tf.float64 if self.compute_dtype == tf.float64 else tf.float32

  @property
  def trainable(self):
    """The variables that training changes, each once, in the order of the components."""
    return [v for name in self._names for v in self._trainable_of(name)]

  def _trainable_of(self, name):
    return [] if name in self.frozen else self.component(name).own_variables

  @property
  def needs_whole_batch(self):
    """Whether the training loss is more than a mean over examples: of statistics of the batch."""
    return any(isinstance(spec, BatchNorm) for name, stack in self.components.items()
               if name not in self.frozen for spec in walk(layer.spec for layer in stack.layers))

  def normalised(self, images):
    """Returns `images * scale - mean`, in `dtype`, for images in the dataset's units."""
    with tf.device(self._first.device):
      x = tf.cast(images, self.dtype) * tf.constant(self.scale, self.dtype)
      return x if self.mean is None else x - self.mean

  def stack_key(self, name, key):
    """Returns the key of one component for a step's `key`; None, as in serving, if it is frozen."""
    if key is None or name in self.frozen:
      return None
    return randomness.fold_in(key, self._names.index(name))

  def run(self, name, x, key=None, weights=None):
    """Returns what component `name` makes of x.

    Args:
      name: of the component.
      x: its input.
      key: of the step, for what is done in training only, such as dropout; None: not in training.
      weights: `[batch]`, 0 for padding, which batch normalisation in training leaves out.
    """
    stack = self.component(name)
    with tf.device(stack.device):
      return stack(x, self.stack_key(name, key), weights)

  def segment(self, name, function):
    """Returns the `gradients.Segment` of component `name` that computes `function`.

    A kernel that the component shares is among its variables if its owner is trained.
    """
    stack = self.component(name)
    trainable = {v.ref() for v in self.trainable}
    shared = [layer.kernel for layer in stack.layers
              if layer.tied and layer.kernel.ref() in trainable]
    return gradients.Segment(stack.device, function, [*self._trainable_of(name), *shared])

  def segments(self, batch, key):
    """Returns (list of `gradients.Segment`, the first one's input) of the training loss.

    Args:
      batch: a `tfae.data.pipeline.Batch`.
      key: int64 [2], of this step.
    """
    raise NotImplementedError

  def trained_part(self):
    """Returns (the model that training steps see, what makes its images).

    The second is a function from images in the dataset's units, or None where they are what the
    first takes. Its results are computed once, so it may depend on frozen components only.
    """
    return self, None

  def loss_and_gradients(self, batch, key):
    """Returns the training loss of a batch and its gradients.

    Args:
      batch: a `tfae.data.pipeline.Batch`; at least one weight is 1.
      key: int64 [2], of this step, for dropout and noise.

    Returns:
      loss: scalar, the mean over the examples; gradients: a list parallel to `trainable`. A
      shared kernel's gradient is the sum over its uses.
    """
    loss, found = gradients.chain(*self.segments(batch, key))
    return loss, [found[variable.ref()] for variable in self.trainable]

  @contextlib.contextmanager
  def unmoved(self):
    """Inside, a step may be looked at; after it moving averages are what they were before."""
    before = [(v, v.numpy()) for v in self.variables if not v.trainable]
    try:
      yield
    finally:
      for variable, value in before:
        variable.assign(value)

  def metrics(self, batch, key):
    """Returns {name: per-example values `[batch]`}, outside training; the first is `loss`.

    Args:
      batch: a `tfae.data.pipeline.Batch`.
      key: int64 [2], for models whose loss draws noise.
    """
    raise NotImplementedError

  def outputs(self, batch, key=None):
    """Yields (layer, its output) in the order of the forward pass; `key` None: outside training.
    """
    x = self.normalised(batch.inputs)
    for name in self._names:
      for layer, x in self.stack_outputs(name, x, key, batch.weights):
        yield layer, x

  def stack_outputs(self, name, x, key=None, weights=None):
    """Yields (layer, its output) of one component; arguments as `run`'s."""
    stack, key = self.component(name), self.stack_key(name, key)
    x = tf.cast(x, stack.compute_dtype)
    for index, layer in enumerate(stack.layers):
      x = stack.layer_output(index, x, key, weights)
      yield layer, x

  def signatures(self, max_value=None):
    """Returns {key: `tfae.graph.Signature`} for export; images are in the dataset's own units.

    Args:
      max_value: largest value of an image, for the description; None: not known.
    """
    raise NotImplementedError

  def images_signature(self, function, outputs, max_value):
    """Returns the `graph.Signature` of `function(images)`; float32 at both ends."""
    shape = " x ".join(map(str, self.input_shape))
    unit = f", 0 to {max_value:g}" if max_value else ""
    images = graph.Input(tf.TensorSpec([None, *self.input_shape], tf.float32),
                         f"images of {shape} in the dataset's units{unit}",
                         None if max_value is None else (0.0, float(max_value)))
    return graph.Signature(float32(function), {"images": images}, outputs)

  def feeds(self, images):
    """Returns {input of a signature: example}, arrays for each image of `images`, a float32 array.
    """
    raise NotImplementedError

  def settings(self):
    """Returns what, beside its stacks, makes a model the one it is, as JSON values."""
    return {}

  def description(self):
    """Returns what makes a model the one it is, as JSON values."""
    stacks = self.components
    tied = {name: [layer.kernel.name if layer.tied else None for layer in stack.layers]
            for name, stack in stacks.items() if any(layer.tied for layer in stack.layers)}
    return {**{name: to_json([layer.spec for layer in stack.layers])
               for name, stack in stacks.items()},
            "tied": tied, "frozen": sorted(self.frozen), "compute_dtype": self.compute_dtype.name,
            "scale": self.scale, "subtract_mean": self.mean is not None, **self.settings()}

  def summary(self, print_fn=print):
    """Prints a line a layer: output shape, parameters, device, what its kernel is tied to."""
    rows = [row for stack in self.components.values() for row in stack.summary_rows()]
    variables = [v for stack in self.components.values() for v in stack.own_variables]
    print_table(rows, variables, print_fn)


def _attribute(component):
  return "mean_head" if component == "mean" else component  # `mean` is the mean image


def float32(function):
  """Returns `function` with its outputs {name: tensor} as float32; integers stay as they are."""
  def cast(**inputs):
    return {name: tf.cast(value, tf.float32) if value.dtype.is_floating else value
            for name, value in function(**inputs).items()}
  return cast
