"""Fused updates against rules written here in numpy from the papers, in float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfae import errors
from tfae import optimizers
from tfae.specs.optimizers import SGD, Adadelta, Adam, RMSProp

STEPS = 100
SHAPES = {"encoder/layer_0/kernel": (4, 3), "encoder/layer_0/bias": (3,)}


# --- the rules: (spec, state, gradient, rate, t from 1) -> what is subtracted -----------------


def _zeros(state, gradient, *names):
  return [state.setdefault(name, np.zeros_like(gradient)) for name in names]


def _sgd_rule(spec, state, g, rate, t):
  del t
  (a,) = _zeros(state, g, "a")
  a[:] = spec.momentum * a + g
  return rate * (g + spec.momentum * a if spec.nesterov else a)


def _adam_rule(spec, state, g, rate, t):
  m, v = _zeros(state, g, "m", "v")
  m[:] = spec.beta1 * m + (1 - spec.beta1) * g
  v[:] = spec.beta2 * v + (1 - spec.beta2) * g**2
  rate = rate * np.sqrt(1 - spec.beta2**t) / (1 - spec.beta1**t)
  return rate * m / (np.sqrt(v) + spec.epsilon)


def _rmsprop_rule(spec, state, g, rate, t):
  del t
  ms, a = _zeros(state, g, "ms", "a")
  ms[:] = spec.rho * ms + (1 - spec.rho) * g**2
  inside = spec.epsilon_inside_root
  a[:] = spec.momentum * a + rate * g / (
      np.sqrt(ms + spec.epsilon) if inside else np.sqrt(ms) + spec.epsilon)
  return a


def _adadelta_rule(spec, state, g, rate, t):
  del t
  a, b = _zeros(state, g, "a", "b")
  a[:] = spec.rho * a + (1 - spec.rho) * g**2
  u = np.sqrt(b + spec.epsilon) / np.sqrt(a + spec.epsilon) * g
  b[:] = spec.rho * b + (1 - spec.rho) * u**2
  return rate * u


RULES = {SGD: _sgd_rule, Adam: _adam_rule, RMSProp: _rmsprop_rule, Adadelta: _adadelta_rule}


def _rate(spec, step, total):
  rate = spec.learning_rate
  if step < spec.warmup_steps:
    return rate * (step + 1) / spec.warmup_steps
  if spec.schedule == "cosine":
    done = (step - spec.warmup_steps) / (total - spec.warmup_steps)
    floor = spec.final_fraction * rate
    return floor + (rate - floor) * (1 + math.cos(math.pi * done)) / 2
  return rate


def _reference(spec, values, gradients):
  """Returns the values after all steps, and the norm of each step's gradients."""
  values, states, norms = [v.copy() for v in values], [{} for _ in values], []
  for step, of_step in enumerate(gradients):
    rate = _rate(spec, step, len(gradients))
    norms.append(math.sqrt(sum((g**2).sum() for g in of_step)))
    clip = min(1, spec.clip_norm / norms[-1]) if spec.clip_norm else 1
    for value, state, g in zip(values, states, of_step):
      if value.ndim >= 2:
        value -= rate * spec.weight_decay * value
      value -= RULES[type(spec)](spec, state, g * clip, rate, step + 1)
  return values, norms


# --- running ours ------------------------------------------------------------------------------


def _problem(seed=5, steps=STEPS):
  """Returns start values and gradients whose size wanders over five decades."""
  rng = np.random.default_rng(seed)
  values = [rng.normal(size=shape) for shape in SHAPES.values()]
  gradients = [[rng.normal(size=shape) * 10 ** rng.uniform(-4, 1) for shape in SHAPES.values()]
               for _ in range(steps)]
  return values, gradients


def _variables(values, dtype, devices=("CPU:0", "CPU:0")):
  made = []
  for value, name, device in zip(values, SHAPES, devices):
    with tf.device(device):
      made.append(tf.Variable(value.astype(dtype), name=name))
  return made


def _run(spec, values, gradients, dtype="float64", wrap=tf.function, **placed):
  """Returns the values after all steps, and the norm that each step returned."""
  variables = _variables(values, dtype, **placed)
  updater = optimizers.Updater(spec, variables, len(gradients))
  apply = wrap(updater.apply)
  norms = [apply([tf.constant(g, dtype) for g in of_step], tf.constant(step, tf.int64)).numpy()
           for step, of_step in enumerate(gradients)]
  return [v.numpy() for v in variables], norms


def _jit(function):
  return tf.function(function, jit_compile=True)


def _assert_close(found, expected, **tolerance):
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, **tolerance)


SPECS = [
    SGD(0.05),
    SGD(0.05, momentum=0.9),
    SGD(0.05, momentum=0.9, nesterov=True),
    Adam(0.01),
    Adam(0.02, beta1=0.5, beta2=0.99, epsilon=1e-3),
    RMSProp(0.01),
    RMSProp(0.01, rho=0.5, momentum=0.8, epsilon=1e-3),
    RMSProp(0.01, epsilon_inside_root=True),
    RMSProp(0.01, rho=0.5, momentum=0.8, epsilon=1e-3, epsilon_inside_root=True),
    Adadelta(),
    Adadelta(0.5, rho=0.8, epsilon=1e-4),
    Adam(0.01, schedule="cosine", warmup_steps=10, final_fraction=0.1, clip_norm=1.0,
         weight_decay=0.1),
    SGD(0.1, momentum=0.9, schedule="cosine", warmup_steps=3, weight_decay=0.01, clip_norm=0.5),
]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=repr)


@each_spec
def test_100_random_steps_in_float64_follow_the_numpy_rule(spec):
  values, gradients = _problem()
  expected, norms = _reference(spec, values, gradients)
  found, found_norms = _run(spec, values, gradients)
  _assert_close(found, expected, rtol=1e-11, atol=1e-12)
  np.testing.assert_allclose(found_norms, norms, rtol=1e-13)


@each_spec
def test_100_random_steps_in_float32_follow_the_numpy_rule(spec):
  values, gradients = _problem()
  expected, norms = _reference(spec, values, gradients)
  found, found_norms = _run(spec, values, gradients, "float32")
  assert found[0].dtype == found_norms[0].dtype == np.float32
  # 1 - beta2 is known to 1.3e-5 in float32.
  _assert_close(found, expected, rtol=2e-5, atol=2e-5)
  np.testing.assert_allclose(found_norms, norms, rtol=1e-6)


@each_spec
@pytest.mark.parametrize("wrap", [_jit, lambda function: function], ids=["jit", "eager"])
def test_jit_and_eager_agree_with_the_graph(spec, wrap):
  values, gradients = _problem(seed=6, steps=12)
  graph, graph_norms = _run(spec, values, gradients, "float32")
  found, norms = _run(spec, values, gradients, "float32", wrap)
  _assert_close(found, graph, rtol=1e-6, atol=1e-6)
  np.testing.assert_allclose(norms, graph_norms, rtol=1e-6)


# --- epsilon -----------------------------------------------------------------------------------


def _first_rmsprop_step(gradient, inside, dtype="float32"):
  spec = RMSProp(1.0, epsilon=1e-7, epsilon_inside_root=inside)
  variable = tf.Variable(tf.zeros([1], dtype))
  optimizers.Updater(spec, [variable], 1).apply([tf.constant([gradient], dtype)], 0)
  return -variable.numpy()[0]


def test_the_two_places_of_epsilon_differ_760_fold_at_a_gradient_of_a_millionth():
  # ms = .1 * 1e-12: 1e-6 / sqrt(1e-13 + 1e-7) against 1e-6 / (sqrt(1e-13) + 1e-7).
  np.testing.assert_allclose(_first_rmsprop_step(1e-6, True), 3.162276e-3, rtol=1e-5)
  np.testing.assert_allclose(_first_rmsprop_step(1e-6, False), 2.402530, rtol=1e-5)


def test_the_two_places_of_epsilon_agree_at_a_gradient_of_one():
  # 1 / sqrt(.1), but for epsilon.
  for inside in (True, False):
    np.testing.assert_allclose(_first_rmsprop_step(1.0, inside), math.sqrt(10), rtol=2e-6)


def test_rmsprop_keeps_the_digits_of_a_gradient_that_shrinks_by_eight_decades():
  variable = tf.Variable([0.0])
  updater = optimizers.Updater(RMSProp(1.0, rho=0.9), [variable], 2)
  updater.apply([tf.constant([1e3])], 0)
  variable.assign([0.0])
  updater.apply([tf.constant([1e-5])], 1)
  # ms = .9 * .1 * 1e6, whose root is 300.
  np.testing.assert_allclose(-variable.numpy(), [1e-5 / 300], rtol=1e-6)


def test_adam_s_epsilon_is_the_epsilon_hat_of_the_paper_s_section_2():
  # t = 1, g = 1, epsilon 1: sqrt(.001) / .1 * .1 / (sqrt(.001) + 1) = .0306534, where the
  # epsilon of algorithm 1 would give 1 / (1 + 1) = .5.
  variable = tf.Variable([0.0], dtype=tf.float64)
  updater = optimizers.Updater(Adam(1.0, epsilon=1.0), [variable], 1)
  updater.apply([tf.constant([1.0], tf.float64)], 0)
  np.testing.assert_allclose(-variable.numpy(), [0.0306534], rtol=1e-5)


# --- the schedule ------------------------------------------------------------------------------


def test_the_schedule_has_the_values_computed_by_hand():
  spec = Adam(0.8, schedule="cosine", warmup_steps=4, final_fraction=0.25)
  updater = optimizers.Updater(spec, [tf.Variable([0.0])], 12)
  by_hand = {0: 0.2, 1: 0.4, 3: 0.8, 4: 0.8,  # a quarter, a half, the whole base rate
             6: 0.2 + 0.6 * (1 + math.sqrt(0.5)) / 2,  # cos(pi / 4)
             8: 0.5,  # half way between .8 and .2
             10: 0.2 + 0.6 * (1 - math.sqrt(0.5)) / 2,
             11: 0.2 + 0.6 * (1 - math.cos(math.pi / 8)) / 2,  # the last step: just above the floor
             12: 0.2, 500: 0.2}
  for step, rate in by_hand.items():
    np.testing.assert_allclose(updater.learning_rate(step, tf.float64), rate, rtol=1e-15)
    assert updater.learning_rate(tf.constant(step, tf.int64)).dtype == tf.float32


def test_a_constant_rate_stays_after_its_warmup():
  updater = optimizers.Updater(SGD(0.3, warmup_steps=3), [tf.Variable([0.0])], 10)
  rates = [updater.learning_rate(step, tf.float64).numpy() for step in (0, 1, 2, 3, 9)]
  np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.3, 0.3], rtol=1e-15)


def test_a_warmup_of_the_whole_run_is_finite_with_a_cosine():
  updater = optimizers.Updater(SGD(1.0, schedule="cosine", warmup_steps=2), [tf.Variable([0.0])], 2)
  assert [updater.learning_rate(step).numpy() for step in (0, 1)] == [0.5, 1.0]


def test_two_billion_steps_are_told_apart():
  total = 2**31 - 1
  updater = optimizers.Updater(SGD(1.0, warmup_steps=total), [tf.Variable([0.0])], total)
  rate = updater.learning_rate(tf.constant(2**30, tf.int64), tf.float64)
  np.testing.assert_allclose(rate, (2**30 + 1) / total, rtol=1e-15)


def test_adam_s_bias_correction_is_accurate_late_in_float32():
  step, spec = 200_000, Adam(1.0, beta1=0.5, beta2=0.999999, epsilon=1e-8)
  variable = tf.Variable([0.0])
  optimizers.Updater(spec, [variable], step + 1).apply([tf.constant([1.0])], step)
  # The slots are zero, so m = 1 - beta1 and v = 1 - beta2, with beta2 as float32 has it.
  beta2 = float(np.float32(0.999999))
  expected = np.sqrt(1 - beta2 ** (step + 1)) * 0.5 / (np.sqrt(1 - beta2) + 1e-8)
  np.testing.assert_allclose(-variable.numpy(), [expected], rtol=1e-6)


# --- clipping and decay ------------------------------------------------------------------------


def test_clipping_scales_all_gradients_to_the_norm_and_returns_the_norm_before():
  variables = [tf.Variable([0.0, 0.0]), tf.Variable([[0.0]])]
  updater = optimizers.Updater(SGD(1.0, clip_norm=6.5), variables, 1)
  norm = updater.apply([tf.constant([3.0, 4.0]), tf.constant([[12.0]])], 0)
  assert norm.numpy() == 13.0  # 3, 4, 12, 13
  _assert_close([v.numpy() for v in variables], [[-1.5, -2.0], [[-6.0]]], rtol=1e-6)


def test_gradients_below_the_norm_are_left_alone():
  variable = tf.Variable([0.0, 0.0])
  updater = optimizers.Updater(SGD(1.0, clip_norm=5.5), [variable], 1)
  updater.apply([tf.constant([3.0, 4.0])], 0)
  assert variable.numpy().tolist() == [-3.0, -4.0]


def test_zero_gradients_are_clipped_to_zero():
  variable = tf.Variable([1.0])
  norm = optimizers.Updater(SGD(1.0, clip_norm=1.0), [variable], 1).apply([tf.zeros([1])], 0)
  assert norm.numpy() == 0 and variable.numpy().tolist() == [1.0]


@pytest.mark.parametrize("wrap", [tf.function, _jit])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 3e38])
def test_a_norm_that_is_not_finite_is_returned_and_never_hidden_by_clipping(bad, wrap):
  variable = tf.Variable([1.0, 1.0])
  updater = optimizers.Updater(SGD(1.0, clip_norm=1.0), [variable], 1)
  norm = wrap(updater.apply)([tf.constant([bad, 1.0])], tf.constant(0, tf.int64))
  assert not np.isfinite(norm.numpy())
  assert np.isnan(variable.numpy()).all()


def test_weight_decay_takes_kernels_and_leaves_biases():
  variables = [tf.Variable([[2.0, -4.0]]), tf.Variable([2.0]), tf.Variable(tf.ones([1, 1, 1, 1]))]
  updater = optimizers.Updater(SGD(0.5, weight_decay=0.1), variables, 1)
  updater.apply([tf.zeros_like(v) for v in variables], 0)
  # 1 - .5 * .1 = .95 for rank 2 and 4.
  _assert_close([v.numpy() for v in variables], [[[1.9, -3.8]], [2.0], [[[[0.95]]]]], rtol=1e-6)


# --- slots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec, names", [
    (SGD(0.1), []),
    (SGD(0.1, momentum=0.9), ["sgd_momentum"]),
    (Adam(), ["adam_m", "adam_v"]),
    (RMSProp(), ["rmsprop_ms", "rmsprop_momentum"]),
    (Adadelta(), ["adadelta_accum", "adadelta_accum_update"]),
])
def test_all_slots_exist_from_construction_and_no_step_makes_one(spec, names):
  variables = _variables(_problem()[0], "float64")
  with tf.name_scope("elsewhere"):
    updater = optimizers.Updater(spec, variables, 5)
  made = {slot.name: slot for slot in updater.variables}
  assert set(made) == {f"{variable}/{name}:0" for variable in SHAPES for name in names}
  assert updater.trainable_variables == ()
  for variable in variables:
    for name in names:
      slot = made[variable.name[:-2] + f"/{name}:0"]
      assert (slot.shape, slot.dtype, slot.device) == (
          variable.shape, variable.dtype, variable.device)
      assert not slot.numpy().any()
  tf.function(updater.apply)([tf.ones_like(v) for v in variables], tf.constant(0, tf.int64))
  assert {id(slot) for slot in updater.variables} == {id(slot) for slot in made.values()}


def test_a_checkpoint_names_slots_by_position_and_has_no_second_copy_of_a_variable(tmp_path):
  variables = _variables(_problem()[0], "float32")
  updater = optimizers.Updater(Adam(), variables, 5)
  path = tf.train.Checkpoint(optimizer=updater).save(str(tmp_path / "ckpt"))
  saved = {name.split("/.ATTRIBUTES")[0] for name, _ in tf.train.list_variables(path)}
  assert {name for name in saved if name.startswith("optimizer")} == {
      f"optimizer/slots/{i}/{slot}" for i in (0, 1) for slot in ("adam_m", "adam_v")}


@pytest.mark.parametrize("spec", [s for s in SPECS if not isinstance(s, SGD)][::2], ids=repr)
def test_a_run_restored_from_a_checkpoint_goes_on_bit_for_bit(spec, tmp_path):
  values, gradients = _problem(steps=8)
  tensors = [[tf.constant(g, tf.float32) for g in of_step] for of_step in gradients]

  def start():
    variables = _variables(values, "float32")
    updater = optimizers.Updater(spec, variables, 12)
    return variables, updater, tf.train.Checkpoint(model=variables, optimizer=updater)

  variables, updater, checkpoint = start()
  for step in range(8):
    updater.apply(tensors[step], step)
    if step == 3:
      path = checkpoint.save(str(tmp_path / "ckpt"))
  resumed, updater, checkpoint = start()
  checkpoint.restore(path).assert_consumed()
  for step in range(4, 8):
    updater.apply(tensors[step], step)
  for once, twice in zip(variables, resumed):
    assert once.numpy().tobytes() == twice.numpy().tobytes()


# --- devices -----------------------------------------------------------------------------------


@pytest.fixture
def hard_placement():
  before = tf.config.get_soft_device_placement()
  tf.config.set_soft_device_placement(False)
  yield
  tf.config.set_soft_device_placement(before)


needs_two_devices = pytest.mark.skipif(
    "len(__import__('tensorflow').config.list_logical_devices('CPU')) < 2",
    reason="needs two logical CPU devices; tests/conftest.py makes them at session start")


@needs_two_devices
@each_spec
def test_variables_on_two_devices_are_updated_as_on_one(spec, hard_placement):
  del hard_placement
  values, gradients = _problem(steps=10)
  one, one_norms = _run(spec, values, gradients)
  two, two_norms = _run(spec, values, gradients, devices=("CPU:1", "CPU:0"))
  _assert_close(two, one, rtol=1e-14)
  np.testing.assert_allclose(two_norms, one_norms, rtol=1e-14)


@needs_two_devices
@each_spec
def test_slots_and_updates_are_on_the_device_of_their_variable(spec, hard_placement):
  del hard_placement
  values, gradients = _problem(steps=1)
  variables = _variables(values, "float32", devices=("CPU:1", "CPU:0"))
  updater = optimizers.Updater(spec, variables, 100)
  for variable, slots in zip(variables, updater.slots):
    assert {slot.device for slot in slots.values()} <= {variable.device}
  gradients = [tf.constant(g, tf.float32) for g in gradients[0]]
  graph = tf.function(updater.apply).get_concrete_function(
      gradients, tf.constant(0, tf.int64)).graph
  device_of = {id(inner): outer.device for outer, inner in graph.captures}
  updates = 0
  for op in graph.get_operations():
    handles = {device_of[id(i)] for i in op.inputs if id(i) in device_of}
    if handles:
      updates += op.type.startswith("ResourceApply")
      assert handles == {op.device}, op.name
    elif op.type not in ("Placeholder", "NoOp", "Identity"):
      assert op.device in (variables[0].device, variables[1].device), op.name
  assert updates >= 2


@pytest.mark.parametrize("spec", [Adam(clip_norm=1.0), RMSProp(momentum=0.5)], ids=repr)
def test_gpu_names_reach_every_op_of_a_graph_that_is_meant_for_another_machine(spec):
  with tf.Graph().as_default() as graph:
    variables = []
    for index, (name, shape) in enumerate(SHAPES.items()):
      with tf.device(f"/GPU:{index}"):
        variables.append(tf.Variable(tf.zeros(shape), name=name))
    before = set(graph.get_operations())
    updater = optimizers.Updater(spec, variables, 10)
    with tf.device("/GPU:1"):
      gradients = [tf.ones(shape) for shape in SHAPES.values()]
    updater.apply(gradients, 3)
    made = [op for op in graph.get_operations() if op not in before]
  assert {op.device for op in made} == {"/device:GPU:0", "/device:GPU:1"}
  updates = [op for op in made if op.type in ("ResourceApplyAdam", "ResourceApplyMomentum")]
  assert [op.device for op in updates] == ["/device:GPU:0", "/device:GPU:1"]
  assert updater.slots[1][min(updater.slots[1])].device == "/device:GPU:1"


# --- mistakes ----------------------------------------------------------------------------------


def _updater(spec=Adam()):
  variables = _variables(_problem()[0], "float32")
  return optimizers.Updater(spec, variables, 10), [tf.zeros_like(v) for v in variables]


def test_a_missing_gradient_is_refused_with_the_name_of_the_variable():
  updater, gradients = _updater()
  with pytest.raises(errors.InputError, match="'encoder/layer_0/bias'.*does not depend"):
    updater.apply([gradients[0], None], 0)


def test_gradients_of_wrong_count_order_or_dtype_are_refused():
  updater, gradients = _updater()
  with pytest.raises(errors.InputError, match="found 1 for 2 variables"):
    updater.apply(gradients[:1], 0)
  with pytest.raises(errors.InputError, match=r"\(3,\) for variable 'encoder/layer_0/kernel'"):
    updater.apply(gradients[::-1], 0)
  with pytest.raises(errors.InputError, match="float64"):
    updater.apply([tf.cast(g, tf.float64) for g in gradients], 0)


def test_a_gradient_of_slices_counts_repeated_rows_twice():
  table = tf.Variable(tf.zeros([3, 2]))
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.gather(table, [1, 1, 2]))
  updater = optimizers.Updater(SGD(1.0), [table], 1)
  updater.apply([tape.gradient(loss, table)], 0)
  assert table.numpy().tolist() == [[0, 0], [-2, -2], [-1, -1]]


def test_variables_that_cannot_be_updated_are_refused_by_name():
  kernel = tf.Variable([[1.0]], name="kernel")
  for variables, message in (([], "at least one variable"), ([kernel, kernel], "'kernel'.*twice"),
                             ([tf.Variable([1], name="count")], "'count' is int32")):
    with pytest.raises(errors.InputError, match=message):
      optimizers.Updater(Adam(), variables, 1)


def test_a_warmup_longer_than_the_run_is_refused():
  with pytest.raises(errors.InputError, match="Adam.warmup_steps=11: the run has 10 steps"):
    _updater(Adam(warmup_steps=11))


def test_a_spec_that_is_not_one_and_a_run_of_no_steps_are_refused():
  variable = tf.Variable([0.0])
  with pytest.raises(errors.InputError, match="optimizer='adam'.*Adam"):
    optimizers.Updater("adam", [variable], 1)
  with pytest.raises(errors.InputError, match="total_steps=0"):
    optimizers.Updater(Adam(), [variable], 0)
