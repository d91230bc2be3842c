"""Packaging of tfae. The version is read from the source: importing tfae here would need its dependencies."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "tfae" / "__init__.py").read_text(), re.M).group(1)
EXPORT = [f"tfae.export_programs{folder}" for folder in ("", ".clients", ".converters", ".runtimes")]

setup(
    name="tfae",
    version=VERSION,
    description="Low-level TensorFlow autoencoders: raw variables, tied weights, explicit devices, "
                "exact resume, frozen SavedModels",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    # The configs travel in the wheel as tfae.configs, so that an installed tfae-train finds them
    # without the repository; the programs of export/ as tfae.export_programs (tfae.export is a
    # function), for tfae-explore runs one.
    packages=find_packages(include=["tfae", "tfae.*"]) + ["tfae.configs"] + EXPORT,
    package_dir={"tfae.configs": "configs", "tfae.export_programs": "export"},
    package_data={"tfae.explorer": ["web/*"],
                  "tfae.export_programs.clients": ["browser/*.*", "*/Makefile", "*/*.c", "*/*.cc",
                                                   "*/*.h"]},
    install_requires=[
        "tensorflow>=2.18",
        "numpy",
        "absl-py",
        "ml_collections>=1.0",
        "scikit-learn>=1.5",  # the embedded digits and the PCA baseline
        "tqdm",
        "Pillow>=10",  # image files of tfae-predict and tfae-inspect
        "matplotlib>=3.8",  # figures
        "tensorboard",  # tf.summary needs it
    ],
    extras_require={
        "test": ["pytest", "hypothesis"],
        # torch is pinned so that a CPU build of it that is there already (2.13.0+cpu) is left alone.
        "bench": ["keras>=3", "torch==2.13.0", "jax>=0.10.2", "onnxruntime", "tf2onnx>=1.17"],
        # What export/convert_saved_model.py converts to, and the runtime that checks it.
        "onnx": ["tf2onnx>=1.17", "onnxruntime"],
        "litert": ["ai-edge-litert>=2"],
        "openvino": ["openvino>=2026"],
        "serving": ["tensorflow-serving-api>=2.18"],  # grpc_client.py and the tests of it
        "beam": ["apache-beam[tfrecord]>=2.77"],  # score_beam.py
        "gpu": ["tensorflow[and-cuda]>=2.18"],
    },
    entry_points={"console_scripts": [
        "tfae-train = tfae.bin.train:run",
        "tfae-evaluate = tfae.bin.evaluate:run",
        "tfae-reproduce = tfae.bin.reproduce:run",
        "tfae-compare = tfae.bin.compare:run",
        "tfae-report = tfae.bin.report:run",
        "tfae-inspect = tfae.bin.inspect_model:run",
        "tfae-anomaly = tfae.bin.anomaly:run",
        "tfae-predict = tfae.bin.predict:run",
        "tfae-weights = tfae.bin.weights:run",
        "tfae-explore = tfae.bin.explore:run",
        "tfae-figures = tfae.bin.figures:run",
    ]},
)
