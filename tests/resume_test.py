"""A run that was killed and goes on ends with the bits of a run that was not."""

import concurrent.futures
import os
import pathlib
import random
import shutil
import signal
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
import tfae
from tfae import experiment as experiments
from tfae import training
from tfae.errors import InputError

TOTAL = 3 * 29  # 1,403 training images make 29 batches, the last one of 3

# Trains as tfae-train does, and kills itself once it has taken (not saved) a step.
VICTIM = """
import os, signal, sys
from tfae import loop
kill_at = int(sys.argv.pop(1))
original = loop.Loop.run
def run(self, first, count):
  if first < kill_at < first + count:
    count = kill_at - first
  result = original(self, first, count)
  if first + count == kill_at:
    os.kill(os.getpid(), signal.SIGKILL)
  return result
loop.Loop.run = run
from tfae.bin import train
train.run()
"""

# Waits for a line on stdin after each line of progress: the parent decides what comes next.
TALKER = """
import sys
from tfae import metrics
def say(self, text, always=False):
  print(text, flush=True)
  sys.stdin.readline()
metrics.Progress.say = say
from tfae.bin import train
train.run()
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  path = tmp_path_factory.mktemp("config") / "config.py"
  path.write_text(runs.CONFIG)
  return path


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


def arguments(config, workdir, *more):
  return f"--config={config}", f"--workdir={workdir}", *more


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


def test_ten_snapshots_taken_at_random_steps_of_a_run_each_go_on_to_the_same_bits(
    experiment, data, whole, tmp_path):
  # A copy of the folder at an instant is what kill -9 leaves. Every second one is taken right
  # after a save, the others between two: with steps that no checkpoint knows.
  steps = random_steps(10, seed=2)
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


@pytest.fixture(scope="module")
def killed(config, tmp_path_factory):
  """The future of a run's folder: killed three times, each time in a process of its own.

  Goes on while the tests that ask for it do other things: most of it is importing TensorFlow.
  """
  workdir = tmp_path_factory.mktemp("runs") / "killed"
  steps = random_steps(3, seed=4)

  def chain():
    for step, per_loop in zip(steps, (4, 100, 9)):
      code, _, err = runs.finish(runs.python("-c", VICTIM, step, *arguments(
          config, workdir, f"--config.steps_per_loop={per_loop}")))
      assert code == -signal.SIGKILL, err
    code, out, err = runs.finish(runs.python("-m", "tfae.bin.train", *arguments(config, workdir)))
    assert code == 0, err
    assert '"run": "complete"' in out and f'"step": {TOTAL}' in out
    return workdir

  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    yield pool.submit(chain)


def test_sigint_and_sigterm_save_and_exit_130_and_143_and_the_next_start_goes_on(
    config, experiment, data, whole, killed, tmp_path):
  del killed  # started, not yet needed
  workdir = tmp_path / "run"
  for number, code, epoch in ((signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)):
    process = runs.python("-c", TALKER, *arguments(config, workdir))
    assert process.stdout.readline().startswith(f"epoch {epoch} ")
    if number == signal.SIGINT:
      with pytest.raises(InputError, match="another process is training there"):
        training.train(experiment, workdir, data=data)
    os.kill(process.pid, number)
    found, _, err = runs.finish(process)
    assert found == code, err
    assert err.splitlines()[-1] == (f"stopped by signal {number} at step {epoch * 29}; the same "
                                    "command resumes.")
    assert (workdir / f"checkpoints/ckpt-{epoch * 29}.index").exists()
    assert not any(line["kind"] == "test" for line in runs.lines(workdir))
  code, _, err = runs.finish(runs.python("-m", "tfae.bin.train", *arguments(config, workdir)))
  assert code == 0, err
  runs.assert_same_bits(whole, workdir)


def test_a_run_killed_with_signal_9_at_three_random_steps_in_turn_ends_with_the_same_bits(
    whole, killed):
  runs.assert_same_bits(whole, killed.result())


def test_a_kill_during_the_very_first_save_leaves_a_folder_that_starts_afresh(
    experiment, data, whole, tmp_path, monkeypatch):
  from tfae import workdir as workdirs  # pylint: disable=import-outside-toplevel

  def killed(*_):
    raise runs.Killed

  monkeypatch.setattr(workdirs, "write_config", killed)
  with pytest.raises(runs.Killed):
    training.train(experiment, tmp_path, data=data)
  assert (tmp_path / "checkpoints/ckpt-0.index").exists()
  monkeypatch.undo()
  training.train(experiment, tmp_path, data=data)
  runs.assert_same_bits(whole, tmp_path)


@pytest.mark.parametrize("per_loop", [1, 7, 100])
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
