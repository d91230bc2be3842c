"""The least that a model costs at batch 1: its products of a vector and a matrix, and nothing else.

  python floor.py ROWSxDEPTHxCOLUMNS ...

times numpy's float32 products of these sizes one after the other, weights in place, and prints the
median in ms. A convolution counts as the product of its patches with its kernel.
"""

import math
import os
import pathlib
import sys
import time

import numpy as np

ROUNDS = 400


def products(graph, fetches):
  """Returns [(rows, depth, columns)] of what `fetches` (tensor names) need at batch 1.

  `graph` is a tf.Graph. None where the graph does not say a size.
  """
  found, seen, waiting = [], set(), [graph.get_tensor_by_name(name).op for name in fetches]
  while waiting:
    op = waiting.pop()
    if op.name in seen:
      continue
    seen.add(op.name)
    waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    if op.type == "MatMul":
      depth, columns = op.inputs[1].shape[::-1 if op.get_attr("transpose_b") else 1]
      found.append((1, depth, columns))
    elif op.type == "Conv2D":
      height, width, depth, columns = op.inputs[1].shape
      found.append((_area(op.outputs[0]), _product(height, width, depth), columns))
    elif op.type == "Conv2DBackpropInput":
      height, width, columns, depth = op.inputs[1].shape
      found.append((_area(op.inputs[2]), depth, _product(height, width, columns)))
  return None if any(None in sizes for sizes in found) else found


def measure(sizes, call):
  """Returns the ms of these products, in a process of numpy alone; `call` runs a command."""
  # Set for old builds of OpenBLAS, they hold a new one back; this process loads nothing else.
  kept = {name: os.environ.pop(name) for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
          if name in os.environ}
  try:
    said = call([sys.executable, pathlib.Path(__file__), *("x".join(map(str, s)) for s in sizes)])
  finally:
    os.environ.update(kept)
  return float(said)


def _area(tensor):
  """The pixels of one example of a [batch, height, width, channels] tensor."""
  return _product(*tensor.shape[1:3])


def _product(*sizes):
  return None if None in sizes else math.prod(sizes)


def main(arguments):
  random = np.random.default_rng(0)
  work = []
  for rows, depth, columns in (map(int, text.split("x")) for text in arguments):
    one, other = (random.standard_normal(shape, np.float32)
                  for shape in ((rows, depth), (depth, columns)))
    work.append((one, other, np.empty((rows, columns), np.float32)))
  times = []
  for _ in range(ROUNDS):
    start = time.perf_counter()
    for one, other, out in work:
      np.dot(one, other, out)
    times.append(time.perf_counter() - start)
  print(1e3 * float(np.median(times)))


if __name__ == "__main__":
  main(sys.argv[1:])
