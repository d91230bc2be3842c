"""What an Updater holds, where it puts it, and which gradients it refuses."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import updates
from tfae import errors, optimizers
from tfae.specs.optimizers import SGD, Adadelta, Adam, RMSProp


# --- slots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec, names", [
    (SGD(0.1), []),
    (SGD(0.1, momentum=0.9), ["sgd_momentum"]),
    (Adam(), ["adam_m", "adam_v"]),
    (RMSProp(), ["rmsprop_ms", "rmsprop_momentum"]),
    (Adadelta(), ["adadelta_accum", "adadelta_accum_update"]),
])
def test_all_slots_exist_from_construction_and_no_step_makes_one(spec, names):
  variables = updates.make_variables(updates.problem()[0], "float64")
  with tf.name_scope("elsewhere"):
    updater = optimizers.Updater(spec, variables, 5)
  made = {slot.name: slot for slot in updater.variables}
  assert set(made) == {f"{variable}/{name}:0" for variable in updates.SHAPES for name in names}
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
  variables = updates.make_variables(updates.problem()[0], "float32")
  updater = optimizers.Updater(Adam(), variables, 5)
  path = tf.train.Checkpoint(optimizer=updater).save(str(tmp_path / "ckpt"))
  saved = {name.split("/.ATTRIBUTES")[0] for name, _ in tf.train.list_variables(path)}
  assert {name for name in saved if name.startswith("optimizer")} == {
      f"optimizer/slots/{i}/{slot}" for i in (0, 1) for slot in ("adam_m", "adam_v")}


@pytest.mark.parametrize(
    "spec", [s for s in updates.SPECS if not isinstance(s, SGD)][::2], ids=repr)
def test_a_run_restored_from_a_checkpoint_goes_on_bit_for_bit(spec, tmp_path):
  values, gradients = updates.problem(steps=8)
  tensors = [[tf.constant(g, tf.float32) for g in of_step] for of_step in gradients]

  def start():
    variables = updates.make_variables(values, "float32")
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
@updates.each_spec
def test_variables_on_two_devices_are_updated_as_on_one(spec, hard_placement):
  del hard_placement
  values, gradients = updates.problem(steps=10)
  one, one_norms = updates.run(spec, values, gradients)
  two, two_norms = updates.run(spec, values, gradients, devices=("CPU:1", "CPU:0"))
  updates.assert_close(two, one, rtol=1e-14)
  np.testing.assert_allclose(two_norms, one_norms, rtol=1e-14)


@needs_two_devices
@updates.each_spec
def test_slots_and_updates_are_on_the_device_of_their_variable(spec, hard_placement):
  del hard_placement
  values, gradients = updates.problem(steps=1)
  variables = updates.make_variables(values, "float32", devices=("CPU:1", "CPU:0"))
  updater = optimizers.Updater(spec, variables, 100)
  for variable, slots in zip(variables, updater.slots):
    assert {slot.device for slot in slots.values()} <= {variable.device}
  gradients = [tf.constant(g, tf.float32) for g in gradients[0]]
  graph = tf.function(updater.apply).get_concrete_function(
      gradients, tf.constant(0, tf.int64)).graph
  device_of = {id(inner): outer.device for outer, inner in graph.captures}
  applied = 0
  for op in graph.get_operations():
    handles = {device_of[id(i)] for i in op.inputs if id(i) in device_of}
    if handles:
      applied += op.type.startswith("ResourceApply")
      assert handles == {op.device}, op.name
    elif op.type not in ("Placeholder", "NoOp", "Identity"):
      assert op.device in (variables[0].device, variables[1].device), op.name
  assert applied >= 2


@pytest.mark.parametrize("spec", [Adam(clip_norm=1.0), RMSProp(momentum=0.5)], ids=repr)
def test_gpu_names_reach_every_op_of_a_graph_that_is_meant_for_another_machine(spec):
  with tf.Graph().as_default() as graph:
    variables = []
    for index, (name, shape) in enumerate(updates.SHAPES.items()):
      with tf.device(f"/GPU:{index}"):
        variables.append(tf.Variable(tf.zeros(shape), name=name))
    before = set(graph.get_operations())
    updater = optimizers.Updater(spec, variables, 10)
    with tf.device("/GPU:1"):
      gradients = [tf.ones(shape) for shape in updates.SHAPES.values()]
    updater.apply(gradients, 3)
    made = [op for op in graph.get_operations() if op not in before]
  assert {op.device for op in made} == {"/device:GPU:0", "/device:GPU:1"}
  applied = [op for op in made if op.type in ("ResourceApplyAdam", "ResourceApplyMomentum")]
  assert [op.device for op in applied] == ["/device:GPU:0", "/device:GPU:1"]
  assert updater.slots[1][min(updater.slots[1])].device == "/device:GPU:1"


# --- mistakes ----------------------------------------------------------------------------------


def _updater(spec=Adam()):
  variables = updates.make_variables(updates.problem()[0], "float32")
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


def test_xla_updates_kernels_in_place():
  shapes = (5, 30), (30, 40)
  with tf.device("/device:CPU:0"):
    kernels = [tf.Variable(tf.ones(shape), name=f"kernel_{n}")
               for n, shape in enumerate(shapes)]
    x = tf.ones([7, 5])
  updater = optimizers.Updater(Adam(), kernels, 10)

  @tf.function(jit_compile=True, autograph=False)
  def steps():
    def body(step):
      with tf.device("/device:CPU:0"):
        with tf.GradientTape() as tape:
          loss = tf.reduce_sum(tf.square(tf.nn.relu(x @ kernels[0]) @ kernels[1]))
        updater.apply(tape.gradient(loss, kernels), step)
        return step + 1
    return tf.while_loop(lambda step: step < 3, body, (0,))

  steps()
  program = steps.experimental_get_compiler_ir()(stage="optimized_hlo")
  body = max(program.split("\n\n"), key=lambda part: part.count(" dot("))
  assert body.count(" dot(") == 5, "not the body of the loop"
  # The gradient to the first kernel needs the second as it was before the step.
  assert "f32[30,40]" in body and "f32[30,40]{1,0} copy(" not in body


@pytest.mark.parametrize("jit", [False, True])
def test_a_gradient_that_is_not_a_number_spoils_its_own_variable_only(jit):
  with tf.device("/device:CPU:0"):
    variables = [tf.Variable([1.0, 2.0], name=name) for name in ("a", "b")]
  updater = optimizers.Updater(SGD(0.5), variables, 10)
  norm = tf.function(updater.apply, jit_compile=jit, autograph=False)(
      [tf.constant([1.0, 1.0]), tf.constant([np.nan, 1.0])], tf.constant(0))
  assert np.isnan(norm)
  np.testing.assert_array_equal(variables[0], [0.5, 1.5])
