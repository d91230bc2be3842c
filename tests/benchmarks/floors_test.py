"""The floors of the benchmarks: operations by hand and by TensorFlow's profiler, bytes by hand."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfae import build
from tfae.data.pipeline import Batch

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import floors
import systems
import workloads

# Products of an image, layer by layer: output (of a transposed one input) pixels x taps x channels.
PRODUCTS = {
    "S01": [784*9*8, 196*9*8*16, 49*9*16*8, 16*9*8*8, 64*9*8*16, 196*9*16*8, 784*9*8],
    "S04": [784*512, 512*256, 256*128, 128*64, 64*128, 128*256, 256*512, 512*784],
    "S05": [196*16*16, 49*256*16, 16*256*16, 16*256*16, 49*256*16, 196*16*16],
    "S10": [576*25*32, 4608*128, 128*10],
    "S13": [784*9*32, 196*9*32*64, 196*9*64*64, 196*9*64*64, 12544*32, 32*10, 32*10, 10*12544,
            196*9*64*32, 784*9*32],
    "S18": [784*512, 512*2, 512*2, 2*512, 512*784]}


@pytest.mark.parametrize("name", PRODUCTS)
def test_operations_are_those_counted_by_hand(name):
  found = [n for n in map(floors.products, systems.system(name).layers) if n]
  assert found == PRODUCTS[name]
  # Forward, gradient of the kernel, gradient of the input; the first layer's is not needed.
  assert floors.flops(name) == 6 * sum(found) - 2 * found[0]


# Not of S01 and S10: of a convolution's gradients the profiler counts the pixels of the input, too
# many where nothing is padded. Nor of S05, see `tfae.ops._sub_pixel`.
@pytest.mark.parametrize("name", ["S04", "S13", "S18"])
def test_operations_are_those_that_the_profiler_counts_in_a_training_step(name):
  batch = 3
  model = build.build(systems.experiment(name), systems.IMAGE, 255, classes=10,
                      train_images=np.zeros((2, *systems.IMAGE), np.uint8))

  @tf.function
  def step(images, labels):
    return model.loss_and_gradients(Batch(images, images, labels, tf.ones(batch)),
                                    tf.constant([1, 2], tf.int64))

  graph = step.get_concrete_function(tf.TensorSpec([batch, *systems.IMAGE]),
                                     tf.TensorSpec([batch], tf.int32)).graph
  profiler = tf.compat.v1.profiler
  options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
  node = profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
  counted = {}
  while node.children:
    (node,) = node.children
    counted[node.name] = node.float_ops
  expected = floors.flops(name)
  if systems.system(name).convolutional:
    # The gradient to the images is in the graph, but nothing asks for it: it is not computed.
    expected += 2 * PRODUCTS[name][0]
  if name == "S13":  # the shifted copies of `tfae.ops._correlated`
    expected += 2 * 784 * 9 * 9
  found = sum(n for op, n in counted.items() if op.startswith(("MatMul", "Conv2D")))
  assert found == batch * expected


def test_bytes_are_those_counted_by_hand():
  # 573,440 parameters; a code of 64; both ways 512 + 256 + 128, and 784 out.
  assert floors.moved_bytes("S04", 100) == 4 * (
      8 * 573_440 + 100 * (784 + 5 * (2 * (512 + 256 + 128) + 64 + 784)))
  # 8,448 parameters; 14^2, 7^2, 4^2 of 16 channels.
  assert floors.moved_bytes("S05", 1) == 4 * (
      8 * 8_448 + 784 + 5 * (2 * (3_136 + 784) + 256 + 784))
  # RMSprop has one slot: 6 words a parameter. The reshapes move nothing.
  assert floors.moved_bytes("S18", 1) == 4 * (6 * 807_700 + 784 + 5 * (512 + 2 + 2 + 512 + 784))
  # Pooling and upsampling are done in passing: of them and the convolution before the smaller.
  assert floors.moved_bytes("S01", 1) == 4 * (8 * 5_393 + 784 + 5 * (
      196*8 + 49*16 + 16*8 + 16*8 + 64*16 + 196*8 + 784))


def test_the_floor_is_the_slower_of_computing_and_moving():
  workload = workloads.WORKLOADS["S04:100"]
  assert floors.seconds(workload, 1e9, 1e15) == pytest.approx(.6078464)
  assert floors.seconds(workload, 1e15, 1e6) == floors.moved_bytes("S04", 100) / 1e6
