"""tfae.training: a run from its first step to its result, and the ways in which it stops."""

import json
import logging
import pathlib
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import build, checkpoint, evaluation
from tfae import experiment as ex
from tfae import training
from tfae.data.datasets import Dataset, Split
from tfae.errors import InputError

DATA = runs.dataset()  # 23 training images: 6 batches of 4 an epoch, the last one of 3
LAYERS = (tfae.Flatten(), tfae.Dense(5, activation="tanh"), tfae.Dense(2))


def build_model(image_shape=(4, 3, 1), device="/CPU:0", layers=LAYERS):
  encoder = tfae.Stack(layers, image_shape, device=device, seed=3)
  return tfae.Autoencoder(encoder, tfae.mirror(encoder), scale=1 / 255)


def weights(workdir, step=None):
  return {name: value for name, value in runs.tensors(workdir, step).items()
          if name.startswith("model/") and value.ndim}


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_run_is_traced_once_over_all_epochs_partial_batches_and_loops(tmp_path, jit):
  result = training.train(runs.experiment(jit_compile=jit, epochs=3, steps_per_loop=4), tmp_path,
                          data=DATA)
  assert (result.traces, result.step, result.signal) == (1, 18, None)
  assert sorted(result.metrics) == ["test", "validation"]


def test_the_log_has_a_line_an_epoch_a_validation_as_asked_and_one_test(tmp_path):
  training.train(runs.experiment(epochs=5, logging=ex.Logging(8, 2, False)), tmp_path, data=DATA)
  log = runs.lines(tmp_path)
  where = lambda kind: [(line["step"], line["epoch"]) for line in log if line["kind"] == kind]
  assert where("train") == [(8, 2), (16, 3), (24, 4)]
  assert where("epoch") == [(6, 1), (12, 2), (18, 3), (24, 4), (30, 5)]
  assert where("validation") == [(12, 2), (24, 4), (30, 5)]
  assert where("test") == [(30, 5)]
  for text in (tmp_path / "metrics.jsonl").open():
    json.loads(text, parse_constant=pytest.fail)  # no NaN, which is no JSON


def test_the_loss_of_an_epoch_is_the_mean_over_its_images(tmp_path):
  # The weights stand still, so every batch is judged by the same model.
  still = runs.experiment(optimizer=tfae.SGD(1e-30), epochs=2, logging=ex.Logging(4, 1, False))
  training.train(still, tmp_path, data=DATA)
  w = weights(tmp_path)
  kernel = lambda i: w[f"model/encoder/layers/{i}/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
  def loss(images):
    x = images.reshape(len(images), -1) / 255.0
    codes = np.tanh(x @ kernel(1)) @ kernel(2)  # biases are zero at first
    return np.mean((np.tanh(codes @ kernel(2).T) @ kernel(1).T - x) ** 2)
  log = runs.lines(tmp_path)
  expected = {"epoch": loss(DATA.train.images), "validation": loss(DATA.validation.images),
              "test": loss(DATA.test.images)}
  for line in log:
    if line["kind"] in expected:
      assert line["loss"] == pytest.approx(expected[line["kind"]], rel=1e-5), line


def test_repeated_runs_give_the_same_bits_and_another_seed_others(tmp_path):
  for name, seed in (("one", 3), ("two", 3), ("other", 4)):
    training.train(runs.experiment(seed=seed), tmp_path / name, data=DATA)
  runs.assert_same_bits(tmp_path / "one", tmp_path / "two")
  assert runs.lines(tmp_path / "one") != runs.lines(tmp_path / "other")


def test_training_lowers_the_loss(tmp_path):
  result = training.train(runs.experiment(epochs=60, optimizer=tfae.Adam(0.02)), tmp_path,
                          data=DATA)
  epochs = [line["loss"] for line in runs.lines(tmp_path) if line["kind"] == "epoch"]
  # The variance of uniform noise is 1/12: what a model reaches that knows the mean image alone.
  assert epochs[-1] < 1 / 12 < epochs[0] and result.metrics["test"]["loss"] < epochs[0]


def test_steps_end_a_run_in_the_middle_of_an_epoch_and_epochs_go_on_from_there(tmp_path):
  assert training.train(runs.experiment(steps=8), tmp_path, data=DATA).step == 8
  assert checkpoint.steps(tmp_path / "checkpoints")[0] == 8  # saved at the end
  assert training.train(runs.experiment(steps=9), tmp_path, data=DATA).step == 9
  assert training.train(runs.experiment(epochs=2), tmp_path, data=DATA).step == 12
  training.train(runs.experiment(epochs=2), tmp_path / "whole", data=DATA)
  runs.assert_same_bits(tmp_path, tmp_path / "whole")


def test_a_second_run_may_change_epochs_placement_jit_logging_and_checkpoints(tmp_path):
  training.train(runs.experiment(epochs=1), tmp_path, data=DATA)
  changed = runs.experiment(
      epochs=3, placement=ex.Placement("/CPU:1", "/CPU:2", "/CPU:3"), jit_compile="auto",
      logging=ex.Logging(3, 2, True), checkpoints=ex.Checkpoints(0.0, 5), steps_per_loop=2)
  result = training.train(changed, tmp_path, data=DATA)
  assert (result.step, result.traces) == (18, 1)
  assert training.workdirs.read_config(tmp_path)[0] == changed
  assert len(list((tmp_path / "checkpoints").glob("*.index"))) >= 5
  # On a CPU the place of an op does not change its bits.
  training.train(runs.experiment(epochs=3), tmp_path / "whole", data=DATA)
  a, b = weights(tmp_path), weights(tmp_path / "whole")
  assert all(a[name].tobytes() == b[name].tobytes() for name in a)
  # Compiled, the rest of a run differs in rounding only.
  compiled = runs.experiment(epochs=4, jit_compile="on")
  assert training.train(compiled, tmp_path, data=DATA).step == 24


def test_a_complete_run_says_so_and_changes_nothing_but_its_test_line(tmp_path):
  first = training.train(runs.experiment(), tmp_path, data=DATA)
  before, log = runs.tensors(tmp_path), runs.lines(tmp_path)
  again = training.train(runs.experiment(), tmp_path, data=DATA)
  assert (again.step, again.traces) == (12, 0)
  assert again.metrics["test"] == first.metrics["test"]
  assert runs.lines(tmp_path) == log
  assert all(before[name].tobytes() == value.tobytes()
             for name, value in runs.tensors(tmp_path).items())


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss_and_stays(tmp_path):
  # Overfits: the validation loss has its minimum well before the end.
  training.train(runs.experiment(epochs=40, optimizer=tfae.Adam(0.05),
                                 checkpoints=ex.Checkpoints(0.0, 2)), tmp_path, data=DATA)
  validation = {line["step"]: line["loss"] for line in runs.lines(tmp_path)
                if line["kind"] == "validation"}
  best = min(validation, key=validation.get)
  assert best < 200
  newest = runs.tensors(tmp_path)
  value = lambda name: newest[f"progress/{name}/.ATTRIBUTES/VARIABLE_VALUE"]
  assert value("best_step") == best and value("best_loss") == validation[best]
  model, *_, step = build.load_model(tmp_path, "best")
  assert step == best
  found = evaluation.Evaluator(model)(DATA.validation)
  assert found["loss"] == pytest.approx(validation[best], rel=1e-6)


def test_clipping_and_weight_decay_act_on_a_run_as_their_formulas_say(tmp_path):
  def step_taken(name, **options):
    training.train(runs.experiment(optimizer=tfae.SGD(0.5, **options), steps=1), tmp_path / name,
                   data=DATA)
    before, after = weights(tmp_path / name, 0), weights(tmp_path / name, 1)
    return before, {key: after[key] - before[key] for key in before}
  before, plain = step_taken("plain")
  norm = lambda delta: np.sqrt(sum(np.sum(d.astype(np.float64) ** 2) for d in delta.values()))
  log = lambda name: next(l for l in runs.lines(tmp_path / name) if l["kind"] == "test")
  _, clipped = step_taken("clipped", clip_norm=1e-3)
  assert norm(plain) > 1e-2
  assert norm(clipped) == pytest.approx(0.5 * 1e-3, rel=1e-3)
  _, decayed = step_taken("decayed", weight_decay=0.25)
  for key, delta in plain.items():
    factor = 0.5 * 0.25 if "kernel" in key else 0  # biases do not decay
    np.testing.assert_allclose(decayed[key], delta - factor * before[key], atol=1e-6)
  assert len({log(name)["loss"] for name in ("plain", "clipped", "decayed")}) == 3


def test_bfloat16_computes_in_bfloat16_and_keeps_float32(tmp_path):
  result = training.train(runs.experiment(compute_dtype="bfloat16"), tmp_path / "half", data=DATA)
  training.train(runs.experiment(), tmp_path / "full", data=DATA)
  half, full = weights(tmp_path / "half"), weights(tmp_path / "full")
  assert {v.dtype for v in half.values()} == {np.dtype(np.float32)} and result.traces == 1
  for key in full:
    np.testing.assert_allclose(half[key], full[key], atol=0.05)
  assert any(not np.array_equal(half[key], full[key]) for key in full)


def test_the_log_says_whether_xla_is_on_and_why(tmp_path, caplog):
  with caplog.at_level(logging.INFO, "tfae"):
    training.train(runs.experiment(jit_compile="auto", steps=1), tmp_path / "a", data=DATA)
    training.train(runs.experiment(steps=1), tmp_path / "b", data=DATA)
  assert "XLA is on (jit_compile='auto': no convolution and no bfloat16)." in caplog.messages
  assert "XLA is off (jit_compile='off': as asked for)." in caplog.messages


# What is not finite


def with_a_bad_image(index):
  images = np.array(DATA.train.images, np.float32)
  images[index] = np.nan
  return Dataset("idx", Split(images, None), None, DATA.test, 255)


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_nan_stops_the_run_at_its_step_and_names_step_and_metric(tmp_path, jit):
  data = with_a_bad_image(9)
  experiment = runs.experiment(jit_compile=jit, data=ex.Data("idx"))
  run = training.prepare(experiment, data)
  order = run.batches.indices(tf.constant(0, tf.int64), 6).numpy()
  (at,) = np.argwhere((order == 9).any(axis=1))[0] + 1
  with pytest.raises(tfae.NotFiniteError, match=rf"^step {at}: loss is nan, gradient_norm is nan"):
    training.train(experiment, tmp_path, data=data)
  assert checkpoint.steps(tmp_path / "checkpoints") == [0]
  # The next start goes to the good checkpoint, and meets the same step.
  with pytest.raises(tfae.NotFiniteError, match=f"^step {at}: "):
    training.train(experiment, tmp_path, data=data)


def test_after_a_nan_the_newest_checkpoint_is_the_last_good_one(tmp_path):
  data = with_a_bad_image(9)
  experiment = runs.experiment(data=ex.Data("idx"), steps_per_loop=1, batch_size=1,
                               checkpoints=ex.Checkpoints(0.0, 2))
  run = training.prepare(experiment, data)
  order = run.batches.indices(tf.constant(0, tf.int64), 23).numpy().reshape(-1).tolist()
  at = order.index(9) + 1
  assert at > 2
  with pytest.raises(tfae.NotFiniteError, match=f"^step {at}: "):
    training.train(experiment, tmp_path, data=data)
  assert checkpoint.steps(tmp_path / "checkpoints") == [at - 1, at - 2]
  assert all(np.isfinite(value).all() for value in weights(tmp_path).values())
  run = training.prepare(experiment, data, tmp_path)
  run.restore()
  assert run.step == at - 1


def test_weights_that_overflow_are_never_saved(tmp_path):
  # The gradient is finite, its product with the rate is not.
  wild = runs.experiment(optimizer=tfae.SGD(3e38), checkpoints=ex.Checkpoints(0.0),
                         model=ex.Model(LAYERS), task=tfae.Reconstruct("sum_squared_error"))
  with pytest.raises(tfae.NotFiniteError, match="^step 1: decoder/layer_0/bias is not finite"):
    training.train(wild, tmp_path, data=DATA)
  assert checkpoint.steps(tmp_path / "checkpoints") == [0]


@pytest.mark.parametrize("split, fields", [("validation", {"batch_size": 23}),
                                           ("test", {"steps": 1})])
def test_a_validation_or_test_loss_that_is_not_finite_stops_the_run_unsaved(
    tmp_path, split, fields):
  data = runs.dataset(validation=6 if split == "validation" else 0)
  fields = fields if split == "validation" else {"data": ex.Data("idx"), **fields}
  # One step with a finite loss; what it makes of the weights shows in the evaluation only.
  wild = runs.experiment(optimizer=tfae.SGD(1e30), **fields)
  with pytest.raises(tfae.NotFiniteError, match=f"^step 1: {split} loss is (inf|nan)"):
    training.train(wild, tmp_path, data=data)
  assert checkpoint.steps(tmp_path / "checkpoints") == [0]
  assert not any(line["kind"] == split for line in runs.lines(tmp_path))


# Mistakes


@pytest.mark.parametrize("fields, named", [
    ({"placement": ex.Placement("/GPU:7")}, "placement.encoder='/GPU:7'"),
    ({"placement": ex.Placement(data="nonsense:x")}, "placement.data='nonsense:x'"),
    ({"optimizer": tfae.Adam(warmup_steps=1000)}, "warmup_steps=1000"),
    ({"batch_size": 24}, "batch_size=24: expected an integer from 1 to 23"),
    ({"model": ex.Model((tfae.Dense(3),))}, r"model.encoder\[0\]"),
    ({"jit_compile": "on", "placement": ex.Placement("/CPU:1")}, "one device"),
])
def test_a_mistake_is_refused_before_there_is_a_folder(tmp_path, fields, named):
  with pytest.raises(InputError, match=named):
    training.train(runs.experiment(**fields), tmp_path / "run", data=DATA)
  assert not (tmp_path / "run").exists()


def test_metrics_and_training_go_back_to_the_checkpoint_that_is_whole(tmp_path, caplog):
  kept = runs.experiment(epochs=3, checkpoints=ex.Checkpoints(0.0, 9), steps_per_loop=2)
  training.train(kept, tmp_path / "whole", data=DATA)
  training.train(kept, tmp_path / "run", data=DATA)
  newest, before, *_ = checkpoint.steps(tmp_path / "run/checkpoints")
  (data,) = (tmp_path / "run/checkpoints").glob(f"ckpt-{newest}.data*")
  data.write_bytes(data.read_bytes()[:-1])
  run = training.prepare(kept, DATA, tmp_path / "run")
  run.restore()
  assert run.step == before and f"ckpt-{newest} is damaged" in caplog.text
  (tmp_path / "run/metrics.jsonl").open("a").write('{"kind": "trai')
  training.train(kept, tmp_path / "run", data=DATA)
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "run")


def test_a_run_without_a_usable_checkpoint_is_an_error_and_no_fresh_start(tmp_path):
  training.train(runs.experiment(), tmp_path, data=DATA)
  for path in (tmp_path / "checkpoints").glob("*.data*"):
    path.write_bytes(b"")
  before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
  with pytest.raises(InputError, match="no usable checkpoint .*ckpt-12: .*ckpt-0: "):
    training.train(runs.experiment(), tmp_path, data=DATA)
  assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


# fit


def test_fit_trains_a_model_that_was_built_by_hand_and_writes_nothing(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  model = build_model()
  result = tfae.fit(model, DATA, tfae.Adam(1e-2), epochs=2, batch_size=4, seed=3)
  assert (result.step, result.traces) == (12, 1)
  assert result.metrics["test"] == evaluation.Evaluator(model)(DATA.test)
  assert not list(tmp_path.iterdir())


def test_fit_with_a_workdir_saves_resumes_and_gives_the_bits_of_train(tmp_path):
  options = {"batch_size": 4, "seed": 3, "jit_compile": "off", "logging": runs.QUIET}
  first = tfae.fit(build_model(), DATA, tfae.Adam(1e-2), workdir=tmp_path / "fit", epochs=1,
                   **options)
  again = tfae.fit(build_model(), DATA, tfae.Adam(1e-2), workdir=tmp_path / "fit", epochs=2,
                   **options)
  assert (first.step, again.step) == (6, 12)
  training.train(runs.experiment(), tmp_path / "train", data=DATA)
  runs.assert_same_bits(tmp_path / "fit", tmp_path / "train")


def test_fit_works_outside_the_main_thread_where_signals_cannot_be_caught():
  results = []
  thread = threading.Thread(target=lambda: results.append(
      tfae.fit(build_model(), DATA, tfae.Adam(1e-2), epochs=1, batch_size=4)))
  thread.start()
  thread.join()
  assert results[0].step == 6


def test_fit_refuses_images_of_another_shape():
  with pytest.raises(InputError, match=r"images have shape \(4, 3, 1\), the model takes \(3, 4, 1"):
    tfae.fit(build_model((3, 4, 1)), DATA, tfae.Adam())


@pytest.mark.parametrize("change, named", [
    ({"optimizer": "adam"}, "optimizer='adam': expected a"),
    ({"data_device": "/GPU:9"}, "data_device='/GPU:9'"),
    ({"batch_size": 24}, "batch_size=24"),
    ({"epochs": 0}, "epochs=0"),
    ({"epoch": 3}, "no option 'epoch'.*Did you mean 'epochs'"),
    ({"compute_dtype": "bfloat16"}, "no option 'compute_dtype'"),  # the model has it already
    ({"placement": ex.Placement()}, "no option 'placement'"),
])
def test_fit_refuses_a_bad_argument_and_makes_no_folder(tmp_path, change, named):
  arguments = {"model": build_model(), "data": DATA, "optimizer": tfae.Adam(), **change}
  with pytest.raises(InputError, match=named):
    tfae.fit(workdir=tmp_path / "run", **arguments)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change, named", [
    ({"batch_size": 5}, "batch_size: 4 -> 5"),
    ({"seed": 1}, "seed: 0 -> 1"),
    ({"optimizer": tfae.Adam(3e-3)}, r"optimizer.learning_rate: 0\.001 -> 0\.003"),
    ({"data": runs.dataset(seed=9)}, "data: sha256"),
    ({"model": build_model(layers=(*LAYERS, tfae.Dense(2)))}, "model.encoder: "),
])
def test_fit_refuses_to_go_on_with_another_run_and_says_what_differs(change, named, tmp_path):
  arguments = {"model": build_model(), "data": DATA, "optimizer": tfae.Adam(), "epochs": 1,
               "batch_size": 4, "workdir": tmp_path}
  tfae.fit(**arguments)
  before = runs.tensors(tmp_path)
  with pytest.raises(InputError, match="holds another run.*" + named):
    tfae.fit(**{**arguments, **change, "epochs": 2})
  assert all(before[name].tobytes() == v.tobytes() for name, v in runs.tensors(tmp_path).items())


def test_a_run_of_fit_is_not_taken_for_one_of_train(tmp_path):
  tfae.fit(build_model(), DATA, tfae.Adam(1e-2), epochs=1, batch_size=4, workdir=tmp_path)
  with pytest.raises(InputError, match="the other of tfae.train and tfae.fit"):
    training.train(runs.experiment(), tmp_path, data=DATA)
  with pytest.raises(InputError, match="was trained by tfae.fit"):
    build.load_model(tmp_path)


def test_fewer_steps_than_a_run_has_taken_are_refused_and_its_config_stays_true(tmp_path):
  training.train(runs.experiment(epochs=2), tmp_path, data=DATA)
  before = (tmp_path / "config.json").read_bytes()
  with pytest.raises(InputError, match="has taken 12 steps already, 6 were asked for"):
    training.train(runs.experiment(epochs=1), tmp_path, data=DATA)
  assert (tmp_path / "config.json").read_bytes() == before


def test_data_that_are_no_data_set_are_refused_with_the_way_out():
  with pytest.raises(InputError, match=r"data=ndarray: expected what tfae.load"):
    tfae.fit(build_model(), np.zeros((4, 4, 3, 1)), tfae.Adam())


def test_components_on_two_devices_train_as_on_one(tmp_path):
  results = []
  for encoder, decoder in (("/CPU:0", "/CPU:0"), ("/CPU:1", "/CPU:2")):
    placed = ex.Placement(encoder, decoder, "/CPU:3" if decoder == "/CPU:2" else "/CPU:0")
    results.append(training.train(runs.experiment(placement=placed), tmp_path / encoder[-1],
                                  data=DATA))
  assert results[0] == results[1] and results[0].traces == 1
  runs.assert_same_bits(tmp_path / "0", tmp_path / "1")
