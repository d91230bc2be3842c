"""A run that was killed and goes on ends with the bits of a run that was not."""

import pathlib
import random
import shutil
import signal
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
import victims
from tfae import experiment as experiments
from tfae import training
from tfae import workdir as workdirs

TOTAL = 3 * 29  # 1,403 training images make 29 batches, the last one of 3


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
  """Starts training processes of the same experiment."""
  with victims.nursery(tmp_path_factory.mktemp("nursery"), epochs=3,
                       **{"logging.tensorboard": "false"}) as opened:
    yield opened


@pytest.fixture(scope="module")
def experiment():
  scope = {}
  exec(runs.CONFIG, scope)  # pylint: disable=exec-used
  return experiments.from_config(scope["get_config"]())


@pytest.fixture(scope="module")
def data(experiment):
  return experiments.load_data(experiment)


@pytest.fixture(scope="module")
def whole(experiment, data, tmp_path_factory):
  """The uninterrupted run."""
  workdir = tmp_path_factory.mktemp("runs") / "whole"
  result = training.train(experiment, workdir, data=data)
  assert result.step == TOTAL
  return workdir


def random_steps(count, seed):
  steps = sorted(random.Random(seed).sample(range(1, TOTAL), count))
  print(f"kills at steps {steps}, of seed {seed}")
  return steps


def test_the_uninterrupted_run_has_all_lines_of_the_log_and_a_best_checkpoint(whole):
  lines = runs.lines(whole)
  assert [l["step"] for l in lines if l["kind"] == "train"] == list(range(7, TOTAL, 7))
  assert [l["step"] for l in lines if l["kind"] == "epoch"] == [29, 58, 87]
  assert [l["step"] for l in lines if l["kind"] == "validation"] == [29, 58, 87]
  assert [l["step"] for l in lines if l["kind"] == "test"] == [87]
  tensors = runs.tensors(whole)
  assert tensors["progress/best_step/.ATTRIBUTES/VARIABLE_VALUE"] in (29, 58, 87)
  # What `assert_same_bits` compares with those that were interrupted.
  assert [v for name, v in tensors.items() if "moving_variance" in name and (v != 1).all()]


@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.full)])
def test_snapshots_taken_at_random_steps_of_a_run_each_go_on_to_the_same_bits(
    experiment, data, whole, tmp_path, count):
  # A copy of the folder at an instant is what kill -9 leaves. Every second one is taken right
  # after a save, the others between two: with steps that no checkpoint knows.
  steps = random_steps(count, seed=6)
  copied = []

  def snapshot(step):
    shutil.copytree(tmp_path / "run", tmp_path / f"at-{step}")
    copied.append(step)

  with runs.stops(*steps, before=lambda step: step in steps[::2] and snapshot(step),
                  after=lambda step: step in steps[1::2] and snapshot(step)):
    training.train(experiment, tmp_path / "run", data=data)
  assert copied == steps
  runs.assert_same_bits(whole, tmp_path / "run")
  for index, step in enumerate(steps):
    workdir = tmp_path / f"at-{step}"
    newest = max(int(p.stem[5:]) for p in workdir.glob("checkpoints/*.index"))
    assert newest == step if index % 2 == 0 else newest < step
    # Other loops before and after, and other intervals between saves.
    changed = runs.replace(experiment, steps_per_loop=1 + step % 11,
                           checkpoints=experiments.Checkpoints(seconds=1e6 if step % 3 else 0.0))
    result = training.train(changed, workdir, data=data)
    assert (result.step, result.traces) == (TOTAL, 1)
    runs.assert_same_bits(whole, workdir)


def test_an_exception_at_any_point_of_a_run_is_as_harmless_as_a_kill(
    experiment, data, whole, tmp_path):
  def kill(step):
    raise runs.Killed(step)

  with pytest.raises(runs.Killed), runs.stops(40, after=kill):
    training.train(runs.replace(experiment, steps_per_loop=3,
                                checkpoints=experiments.Checkpoints(seconds=1e6)), tmp_path,
                   data=data)
  # The log knows of step 35, the checkpoints do not.
  assert runs.lines(tmp_path)[-1]["step"] == 35
  assert max(int(p.stem[5:]) for p in tmp_path.glob("checkpoints/*.index")) < 35
  with pytest.raises(runs.Killed), runs.stops(58, before=kill):
    training.train(experiment, tmp_path, data=data)
  training.train(experiment, tmp_path, data=data)
  runs.assert_same_bits(whole, tmp_path)


def test_sigint_and_sigterm_save_and_exit_130_and_143_and_the_next_start_goes_on(
    nursery, whole, tmp_path):
  workdir = tmp_path / "run"
  for number, code, epoch in ((signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)):
    life = nursery.live(workdir, {"signal": number, "epoch": epoch})
    assert life.code == code, life.err
    assert life.err.splitlines()[-1] == (f"stopped by signal {number} at step {epoch * 29}; the "
                                         "same command resumes.")
    assert (workdir / f"checkpoints/ckpt-{epoch * 29}.index").exists()
    assert not any(line["kind"] == "test" for line in runs.lines(workdir))
  life = nursery.live(workdir)
  assert life.code == 0, life.err
  runs.assert_same_bits(whole, workdir)


def test_a_process_does_not_train_where_another_trains(nursery, tmp_path):
  with workdirs.locked(tmp_path):
    life = nursery.live(tmp_path)
  assert life.code == 2 and "another process is training there" in life.err
  assert life.err.count("\n") == 1 and not list(tmp_path.glob("checkpoints/*"))


def test_a_run_killed_with_signal_9_at_three_random_steps_in_turn_ends_with_the_same_bits(
    nursery, whole, tmp_path):
  for step, per_loop in zip(random_steps(3, seed=4), (4, 100, 9), strict=True):
    life = nursery.live(tmp_path, {"step": step}, f"--config.steps_per_loop={per_loop}")
    assert (life.code, life.where) == (-signal.SIGKILL, f"step {step}"), life.err
  life = nursery.live(tmp_path)
  assert life.code == 0, life.err
  assert '"run": "complete"' in life.out and f'"step": {TOTAL}' in life.out
  runs.assert_same_bits(whole, tmp_path)


def test_a_kill_during_the_very_first_save_leaves_a_folder_that_starts_afresh(
    experiment, data, whole, tmp_path, monkeypatch):
  def killed(*_):
    raise runs.Killed

  monkeypatch.setattr(workdirs, "write_config", killed)
  with pytest.raises(runs.Killed):
    training.train(experiment, tmp_path, data=data)
  assert (tmp_path / "checkpoints/ckpt-0.index").exists()
  monkeypatch.undo()
  training.train(experiment, tmp_path, data=data)
  runs.assert_same_bits(whole, tmp_path)


@pytest.mark.parametrize("per_loop", [1, pytest.param(7, marks=pytest.mark.full), 100])
def test_loops_cut_differently_and_repeated_runs_give_the_same_bits(
    experiment, data, whole, tmp_path, per_loop):
  training.train(runs.replace(experiment, steps_per_loop=per_loop), tmp_path, data=data)
  runs.assert_same_bits(whole, tmp_path)


def test_compiled_runs_resume_bit_for_bit_too(experiment, data, tmp_path):
  compiled = runs.replace(experiment, jit_compile="on", epochs=2)

  def kill(step):
    raise runs.Killed(step)

  assert training.train(compiled, tmp_path / "whole", data=data).traces == 1
  with pytest.raises(runs.Killed), runs.stops(20, before=kill):
    training.train(compiled, tmp_path / "killed", data=data)
  assert training.train(runs.replace(compiled, steps_per_loop=5), tmp_path / "killed",
                        data=data).traces == 1
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("jit", ["off", pytest.param("on", marks=pytest.mark.full)])
def test_noise_drawn_pixels_and_corruption_of_a_variational_run_resume_bit_for_bit(tmp_path, jit):
  data = runs.dataset()
  variational = runs.experiment(
      model=experiments.Model((tfae.Flatten(), tfae.Dense(5, activation="tanh")), latent=2,
                              tied=False),
      task=tfae.Variational(binarize=True, samples=3, free_bits=0.1, beta=0.5),
      corruption=tfae.Corruption("masking", 0.3), jit_compile=jit)

  def kill(step):
    raise runs.Killed(step)

  whole = training.train(variational, tmp_path / "whole", data=data)
  with pytest.raises(runs.Killed), runs.stops(8, before=kill):
    training.train(runs.replace(variational, steps_per_loop=2), tmp_path / "killed", data=data)
  again = training.train(variational, tmp_path / "killed", data=data)
  assert whole.step == again.step == 12 and whole.metrics["test"] == again.metrics["test"]
  runs.assert_same_bits(tmp_path / "whole", tmp_path / "killed")
  assert {"loss", "elbo", "reconstruction", "kl", "squared_error", "clean_elbo"} <= set(
      whole.metrics["test"])
