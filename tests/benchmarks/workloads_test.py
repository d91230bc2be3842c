"""What the benchmarks count, and the judge of everybody's weights."""

import pathlib
import sys

import numpy as np
import pytest

from tfae import build
from tfae import run as run_module
from tfae import training

ROOT = pathlib.Path(__file__).parents[2]
sys.path.extend([str(ROOT / "tests"), str(ROOT / "benchmarks")])

import judge
import runs
import train_throughput
import workloads


def test_operations_of_the_dense_system_are_those_counted_by_hand():
  # 784-512-256-128-64: 401,408 + 131,072 + 32,768 + 8,192 products, each 12 times but the first
  # layer's, whose input needs no gradient, 10 times.
  assert workloads.flops("S04") == 10 * 401_408 + 12 * (131_072 + 32_768 + 8_192) \
      == 6_078_464


def test_operations_of_the_convolutions_are_those_counted_by_hand():
  # Output pixels x taps x channels in x channels out: 14^2*16*1*16, 7^2*16*16*16, 4^2*16*16*16.
  assert workloads.flops("S05") == 10 * 50_176 + 12 * (200_704 + 65_536) == 3_696_640


def test_bytes_are_those_counted_by_hand():
  # 573,440 parameters; a code of 64; both ways 512 + 256 + 128, and 784 out.
  assert workloads.moved_bytes("S04", 100) == 4 * (
      8 * 573_440 + 100 * (784 + 5 * (2 * (512 + 256 + 128) + 64 + 784)))
  # 8,448 parameters; 14^2, 7^2, 4^2 of 16 channels.
  assert workloads.moved_bytes("S05", 1) == 4 * (
      8 * 8_448 + 784 + 5 * (2 * (3_136 + 784) + 256 + 784))


def test_the_floor_is_the_slower_of_computing_and_moving():
  workload = workloads.WORKLOADS["S04:100"]
  assert workloads.floor(workload, 1e9, 1e15) == pytest.approx(.6078464)
  assert workloads.floor(workload, 1e15, 1e6) == workloads.moved_bytes("S04", 100) / 1e6


@pytest.mark.parametrize("name", ["S04:100", "S05:100"])
def test_the_judge_sees_the_loss_that_tfae_sees(name):
  workload = workloads.WORKLOADS[name]
  random = np.random.default_rng(3)
  images = random.integers(0, 256, (6, 28, 28, 1), np.uint8)
  model = build.build(workloads.experiment(workload), (28, 28, 1), 255, train_images=images)
  kernels = []
  for variable in model.trainable:
    kernels.append(random.normal(.02, .1, variable.shape).astype(np.float32))
    variable.assign(kernels[-1])
  assert [k.shape for k in kernels] == list(workloads.KERNELS[workload.system])
  scaled = images / 255 - model.mean.numpy()
  expected = model.score(images).numpy().mean()
  assert abs(expected - np.mean(scaled**2)) > .01 * expected  # the reconstruction is not zero
  assert judge.loss(workload.system, kernels, scaled) == pytest.approx(expected, rel=1e-5)


def found(rates, early, losses):
  return {"rates": rates, "early": early, "losses": losses, "absent": {"JAX, jit": "not installed"},
          "peaks": {"float32": 6.078464e9, "bfloat16": 6.078464e9 * 2, "bytes": 1e15}}


def test_a_row_that_does_less_is_marked_and_one_that_is_missing_is_named():
  rows = [row for row in train_throughput.contenders("S04")
          if row.name in ("tfae", "tfae, bfloat16", "PyTorch eager, fused Adam", "JAX, jit")]
  names = [row.name for row in rows]
  assert names == ["tfae", "tfae, bfloat16", "PyTorch eager, fused Adam", "JAX, jit"]
  rates = dict(zip(names, [[500, 800, 800], [1000, 1000, 1000], [400, 400, 400]]))
  early = dict(zip(names, [1, 1.01, 1.01]))
  own, half, torch, jax = train_throughput.cells(
      workloads.WORKLOADS["S04:100"], rows, found(rates, early, dict(zip(names, [.5, .5, .515]))))
  assert own[:5] == ["tfae", "800", "1.00 (1.00 to 1.00)", "0.80", "1.25"]
  # Half of its own floor, that of bfloat16; a percent is allowed there, and only there.
  assert half == ["tfae, bfloat16", "1,000", "0.80 (0.50 to 0.80)", "0.50", "2.00", "+1.0e-02",
                  "0.500000", "+0.0e+00"]
  assert torch[2:] == ["2.00 (1.25 to 2.00)", "0.40", "2.50", "+1.0e-02 (!)", "0.515000",
                       "+3.0e-02 (!)"]
  assert jax[:2] == ["JAX, jit", "not installed"]


def test_every_system_has_all_peers_and_names_are_unique():
  for system in workloads.KERNELS:
    rows = train_throughput.contenders(system)
    assert rows[0].name == "tfae"
    assert len({row.name for row in rows}) == len(rows)
    assert {row.needs for row in rows} == {"tensorflow", "keras", "torch", "jax"}


def test_the_whole_run_takes_the_steps_that_it_is_let_take(tmp_path, monkeypatch):
  from contenders import tfae as contender
  monkeypatch.setattr(run_module, "time", run_module.time)  # the gate puts its own clock there
  experiment = runs.experiment(epochs=100)
  plain = training.prepare(experiment, runs.dataset())
  run = training.prepare(experiment, runs.dataset(), tmp_path)
  gate = contender.Gate(run)
  gate.start()
  assert run.step == 0
  for end in (4, 9):
    gate.let_pass(end - run.step)
    assert run.step == end
    while plain.step < end:
      plain.step += plain.loop.run(plain.step, min(end, 6 * (plain.step // 6 + 1)) - plain.step)[0]
    for ours, its in zip(run.model.trainable, plain.model.trainable):
      assert (ours.numpy() == its.numpy()).all()
  assert {line["kind"] for line in runs.lines(tmp_path)} <= {"train", "epoch", "validation"}
