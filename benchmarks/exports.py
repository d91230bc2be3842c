"""One trained model, exported by tfae and by Keras, and what tfae's is converted to.

    python benchmarks/exports.py tfae S04:100 FOLDER    # first: trains 300 steps, keeps the weights
    python benchmarks/exports.py keras S04:100 FOLDER
    python benchmarks/exports.py onnx S04:100 FOLDER    # from tfae's; or openvino, litert

writes requests.npy, trained.npz, mean.npy, tfae/1, keras, converted/onnx and so on. Every model
takes images of values 0 to 255 and gives them back in the same units; scaling and mean are inside.
"""

import argparse
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import systems
import workloads

STEPS, REQUESTS, MAX_VALUE = 300, 100, 255
TARGETS = ("onnx", "openvino", "litert")


def tfae(workload, folder):
  """Trains, and exports with `tfae.export`."""
  from contenders import tfae as contender
  from tfae import experiment as experiments
  from tfae import exporting, training
  run = contender.Contender(workload.name, folder)
  run.train(STEPS)
  run.save(folder / "trained.npz")
  data = experiments.load_data(workloads.experiment(workload))
  requests = data.test.images[:REQUESTS].astype(np.float32)
  np.save(folder / "requests.npy", requests)
  np.save(folder / "mean.npy", run.model.mean.numpy())
  exporting.export(run.model, folder / "tfae", examples=requests, max_value=MAX_VALUE)


def keras(workload, folder):
  """Exports the same weights with Keras' `model.export`."""
  import keras as keras_package
  from contenders import keras as contender
  weights = workloads.load_weights(folder / "trained.npz")
  inner = contender.Model(systems.system(workload.system))
  images = keras_package.Input(systems.IMAGE, name="images")
  mean = np.load(folder / "mean.npy")
  model = keras_package.Model(images, (inner(images / MAX_VALUE - mean) + mean) * MAX_VALUE)
  inner.take(weights)
  model.export(folder / "keras", verbose=False)


def convert(target, folder):
  """Converts tfae's export by the program that users have for it."""
  subprocess.run([sys.executable, systems.ROOT / "export" / "convert_saved_model.py",
                  f"--saved_model={folder / 'tfae' / '1'}", f"--to={target}",
                  f"--examples={folder / 'requests.npy'}", f"--out={folder / 'converted'}"],
                 check=True)


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("exporter", choices=("tfae", "keras", *TARGETS))
  parser.add_argument("workload", choices=workloads.WORKLOADS)
  parser.add_argument("folder", type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.exporter in TARGETS:
    convert(arguments.exporter, arguments.folder)
  else:
    sys.path.insert(1, str(systems.ROOT))
    {"tfae": tfae, "keras": keras}[arguments.exporter](
        workloads.WORKLOADS[arguments.workload], arguments.folder)
