"""Several processes train one model, and one of them is killed."""

import json
import pathlib
import re
import signal
import socket
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import experiment as experiments
from tfae import training

# As of other runs, but what is left of a small difference stays small, and a step does not depend
# on how many there will be.
CONFIG = runs.CONFIG.replace("  return config", """  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule = "constant"
  config.optimizer.warmup_steps = 0
  config.batch_size = 100
  config.steps = 200
  return config""")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  path = tmp_path_factory.mktemp("config") / "config.py"
  path.write_text(CONFIG)
  return path


@pytest.fixture(name="cluster")
def fixture_cluster(config, tmp_path):
  """cluster(count, *flags) starts so many workers, which are gone when the test has ended."""
  made = []

  def start(count, *flags, private=()):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
      one.close()
    workers = []
    for index in range(count):
      task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
      workers.append(runs.python(
          "-m", "tfae.bin.train", f"--config={config}", f"--workdir={tmp_path}/run",
          "--config.strategy=multi_worker", *flags, *(private[index] if private else ()),
          env={**runs.ENVIRONMENT, "TF_CONFIG": json.dumps(task)}))
    made.extend(workers)
    return workers
  yield start
  for worker in made:
    worker.kill()
    worker.communicate()


def alone(config, workdir, steps):
  """Trains in this process, for so many steps."""
  scope = {}
  exec(config.read_text(), scope)  # pylint: disable=exec-used
  values = scope["get_config"]()
  values.steps = steps
  return training.train(experiments.from_config(values), workdir)


def until(worker, words):
  """Reads what a worker says up to a line with `words`."""
  for line in worker.stderr:
    if words in line:
      return
  pytest.fail(f"it ended without saying {words!r}")


def last_step(workdir):
  return max(int(path.stem[5:]) for path in (workdir / "checkpoints").glob("ckpt-*.index"))


def assert_close(one, other):
  """Weights, moving averages and slots of two runs agree up to the order of sums."""
  a, b = runs.tensors(one), runs.tensors(other)
  assert sorted(a) == sorted(b)
  for name in a:
    np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_worker_that_is_killed_ends_the_others_and_one_process_goes_on_from_the_checkpoint(
    cluster, config, tmp_path):
  chief, other = cluster(2, "--config.steps=100000")
  until(chief, "epoch 1 ")
  other.kill()
  code, _, err = runs.finish(chief)
  assert code == 4 and re.search(
      r"^stopped: worker 0 of 2 \(localhost:\d+\): another worker has ended .* Start all workers "
      r"again: the run goes on from its last checkpoint\.$", err, re.M), err
  step = last_step(tmp_path / "run")
  assert step >= 14
  steps = step + 5
  alone(config, tmp_path / "run", steps)
  alone(config, tmp_path / "reference", steps)
  assert_close(tmp_path / "run", tmp_path / "reference")


@pytest.mark.full
@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_workers_gets_the_loss_of_one_and_only_the_chief_writes(
    count, cluster, config, tmp_path):
  reference = alone(config, tmp_path / "reference", 200).metrics["test"]["loss"]
  ends = [runs.finish(worker) for worker in cluster(count)]
  assert [code for code, _, _ in ends] == [0] * count, ends
  result = json.loads(ends[0][1])
  assert result["step"] == 200 and result["test"]["loss"] == pytest.approx(reference, rel=1e-4)
  for _, out, err in ends[1:]:
    assert out == "" and "took part up to step 200; worker 0 has the figures." in err
  where = [(line["kind"], line["step"]) for line in runs.lines(tmp_path / "run")]
  assert where == [(line["kind"], line["step"]) for line in runs.lines(tmp_path / "reference")]


@pytest.mark.full
def test_a_chief_that_is_killed_ends_the_others_and_more_workers_go_on(cluster, config, tmp_path):
  chief, *others = cluster(2, "--config.steps=100000")
  until(chief, "epoch 1 ")
  chief.kill()
  for worker in others:
    code, _, err = runs.finish(worker)
    assert code == 4 and "another worker has ended or can't be reached" in err
  step = last_step(tmp_path / "run")
  ends = [runs.finish(worker) for worker in cluster(3, f"--config.steps={step + 40}")]
  assert [code for code, _, _ in ends] == [0] * 3, ends
  assert f"resuming at step {step} of {step + 40}" in ends[0][2]
  alone(config, tmp_path / "reference", step + 40)
  assert_close(tmp_path / "run", tmp_path / "reference")


@pytest.mark.full
def test_a_signal_to_one_worker_ends_all_of_them_in_order(cluster, tmp_path):
  chief, other = cluster(2, "--config.steps=100000")
  until(chief, "epoch 1 ")
  other.send_signal(signal.SIGTERM)
  ends = [runs.finish(worker) for worker in (chief, other)]
  assert [code for code, _, _ in ends] == [128 + signal.SIGTERM] * 2, ends
  assert f"stopped by signal 15 at step {last_step(tmp_path / 'run')};" in ends[0][2]


@pytest.mark.full
def test_workers_with_different_flags_do_not_begin(cluster, tmp_path):
  ends = [runs.finish(worker) for worker in
          cluster(2, private=[["--config.seed=1"], ["--config.seed=2"]])]
  for code, _, err in ends:
    assert code == 2 and "the workers' configs or data are not the same" in err
  assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.full
def test_a_worker_that_waits_for_others_can_be_stopped(cluster):
  first, second = cluster(2)
  second.kill()
  until(first, "waiting for the others")
  first.send_signal(signal.SIGTERM)  # SIGINT is ignored where the tests run in the background
  code, _, err = runs.finish(first)
  assert code == -signal.SIGTERM and "Traceback" not in err
