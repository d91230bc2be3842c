"""The inner loop: many training steps inside one call of one graph, traced once a run."""

import tensorflow as tf

from tfae import randomness, replica
from tfae.errors import InputError
from tfae.specs.layers import Conv2D, walk
from tfae.strategy import Single

# What a step adds to `Loop.totals`, and what it leaves in `Loop.last`.
TOTALS = ("epoch_loss", "epoch_examples", "interval_loss", "interval_examples")
LAST = ("loss", "gradient_norm", "learning_rate")


def choose_jit(mode, model, data_device, strategy=Single()):
  """Returns (whether to compile with XLA, why).

  'auto' on a CPU is what benchmarks/train_throughput.py showed of float32 and bfloat16: on for
  dense stacks, off for convolutions and for bfloat16, where oneDNN is several times, or a
  quarter, faster. On one accelerator it is on (not measured), on different devices off. The
  reason is a phrase for the log.

  Of several replicas each compiles its own part of a step; what adds up over all of them can't be
  inside of that.

  Raises:
    InputError: 'on' with more than one device, or with statistics of several replicas' batch.
  """
  stacks = list(model.components.values())
  devices = {*(stack.device for stack in stacks), data_device}
  if strategy.device:
    devices, data_device = {strategy.device}, strategy.device
    if model.needs_whole_batch and strategy.replicas > 1:
      if mode == "on":
        raise InputError("jit_compile='on': the model takes statistics of the whole batch (a "
                         "BatchNorm, a sparsity penalty or free bits), which XLA can't add up over "
                         f"{strategy.replicas} replicas. Use jit_compile='auto' or 'off'.")
      return False, "statistics of the batch go through all replicas"
  if mode == "on" and len(devices) > 1:
    raise InputError(f"jit_compile='on': XLA compiles for one device, the placement has "
                     f"{sorted(devices)}. Use one device, or jit_compile='auto' or 'off'.")
  if mode != "auto":
    return mode == "on", "as asked for"
  if len(devices) > 1:
    return False, "the components are on different devices"
  if "CPU" in data_device:
    if any(isinstance(spec, Conv2D) for stack in stacks
           for spec in walk(layer.spec for layer in stack.layers)):
      return False, "convolutions on a CPU"
    if any(stack.compute_dtype == tf.bfloat16 for stack in stacks):
      return False, "bfloat16 on a CPU"
  return True, "no convolution and no bfloat16" if "CPU" in data_device else "one accelerator"


class Loop(tf.Module):
  """Training steps of one model on one data set.

  Attributes:
    totals: float64 [4], sums over the steps since they were last reset; see TOTALS.
    last: float64 [3], of the last step; see LAST.
    traces: how often the steps were traced; stays 1.
  """

  def __init__(self, model, batches, updater, *, seed, steps_per_loop, jit, distortion=None,
               strategy=Single()):
    """Prepares the graph; nothing is traced before the first `run`.

    Args:
      model: a `tfae.models.model.Model`.
      batches: a `tfae.data.pipeline.Batches`.
      updater: a `tfae.optimizers.Updater` over `model.trainable`.
      seed: int, of the randomness of training.
      steps_per_loop: most steps a call; fewer if `batches` allows no more.
      jit: bool.
      distortion: a `tfae.data.distortion.Distortion` of the batches, or None.
      strategy: of `tfae.strategy`, in whose scope model and updater were made.
    """
    super().__init__()
    self.traces = 0
    self._batches, self._distortion, self._strategy = batches, distortion, strategy
    self.steps_per_loop = steps_per_loop = min(steps_per_loop, batches.most_steps)
    key = randomness.stream(seed, "training")
    device = strategy.device or model.device
    with tf.device(device):
      self.totals = tf.Variable(tf.zeros(len(TOTALS), tf.float64), trainable=False, name="totals")
      self.last = tf.Variable(tf.zeros(len(LAST), tf.float64), trainable=False, name="last")

    def compute(batch, number, examples=None):
      with replica.examples(examples):
        return model.loss_and_gradients(batch, randomness.fold_in(key, number))

    self._compute = compute

    def step(number, indices, images, mean):
      batch = self.batch(indices, number, *images)
      part, loss_and_gradients = replica.current(), compute
      if jit and part:
        # The sums over the replicas can't be inside. A function of each one's own: TensorFlow does
        # not see that their traces differ.
        loss_and_gradients = tf.function(compute, jit_compile=True, autograph=False)
      loss, gradients = loss_and_gradients(batch, number, part and part.examples)
      loss, *gradients = mean([loss, *gradients])
      norm = updater.apply(gradients, number)
      with tf.device(device):
        return tf.stack([tf.cast(x, tf.float64)
                         for x in (loss, norm, updater.learning_rate(number))])

    def steps(first, count, indices, *images):
      def body(i, good, totals, last):
        del last
        # What belongs to no component goes where the data are.
        with tf.device(batches.device):
          number = first + tf.cast(i, tf.int64)
          last = strategy.run(step, batches, number, indices[i], tuple(x[i] for x in images))
          with tf.device(device):
            examples = tf.cast(batches.examples(number), tf.float64)
            totals += tf.stack([last[0] * examples, examples] * 2)
          # Stops at the step that did it, so that it can be named.
          good = tf.reduce_all(tf.math.is_finite(last))
          return i + 1, good, totals, last

      def more(i, good, *_):
        with tf.device(batches.device):
          return good & (i < count)

      with tf.device(batches.device):
        done, _, totals, last = tf.while_loop(
            more, body, (0, True, self.totals.read_value(), self.last.read_value()),
            parallel_iterations=1)
        self.totals.assign(totals)
        self.last.assign(last)
        return done

    # The shapes are the same in every call, whatever `count` is: one trace, one compilation.
    # Replicas are compiled one by one.
    compiled = tf.function(steps, jit_compile=(jit and strategy.device is None) or None,
                           autograph=False)

    def run(first, count, *images):
      self.traces += 1
      return compiled(first, count, batches.indices(first, steps_per_loop), *images)

    self._concrete = None
    self._run = tf.function(run, autograph=False, input_signature=[
        tf.TensorSpec([], tf.int64, "first_step"), tf.TensorSpec([], tf.int32, "count"),
        *batches.read_signature(steps_per_loop)])

  def batch(self, indices, step, *images):
    """Returns the `tfae.data.pipeline.Batch` that the model sees at a step.

    Args:
      indices: the row of `Batches.indices` of that step.
      step: int64 scalar.
      *images: as `Batches.gather` takes them.
    """
    batch = self._batches.gather(indices, *images)
    return batch if self._distortion is None else self._distortion(batch, step)

  def gradients(self, step):
    """Returns the loss and the gradients of a step, with the weights as they are; takes none.

    Not of several replicas. Moving averages move, see `tfae.models.model.Model.unmoved`.
    """
    number = tf.constant(step, tf.int64)
    return self._compute(self.batch(self._batches.indices(number, 1)[0], number), number)

  def run(self, first_step, count):
    """Takes `count` <= steps_per_loop steps within one epoch, or fewer if one is not finite.

    Raises:
      WorkerLostError: see `tfae.strategy`.

    Returns:
      (steps taken, whether all losses and gradient norms were finite).
    """
    images = self._batches.read(first_step, count, self.steps_per_loop)
    with self._strategy.watching():
      done = int(self.concrete_function()(tf.constant(first_step, tf.int64),
                                          tf.constant(count, tf.int32), *images))
    return done, bool(tf.reduce_all(tf.math.is_finite(self.last)))

  def reset(self, kind):
    """Sets the sums of 'epoch' or 'interval' to 0; returns their mean loss before that."""
    totals = self.totals.numpy()
    start = {"epoch": 0, "interval": 2}[kind]
    mean = totals[start] / max(totals[start + 1], 1)
    totals[start:start + 2] = 0
    self.totals.assign(totals)
    return float(mean)

  def concrete_function(self):
    """Returns the traced function of `run`; also to look at its graph."""
    # Kept by hand: TensorFlow takes the first call of each of several loops for retracing, and
    # warns of it.
    if self._concrete is None:
      self._concrete = self._run.get_concrete_function()
    return self._concrete
