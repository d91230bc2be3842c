"""Low-level TensorFlow autoencoders: raw variables, tied weights, explicit devices.

Names are loaded when they are first used, so that flags and configs are checked before
TensorFlow is imported.
"""

import importlib

__version__ = "0.1.0"

# Where each public name lives. The modules of `specs`, `errors`, `experiment` and `data.datasets`
# do not import TensorFlow.
_HOMES = {
    "tfae.errors": ("InputError",),
    "tfae.specs.layers": ("Dense", "Conv2D", "Conv2DTranspose", "MaxPool", "Upsample", "Flatten",
                          "Reshape", "Activation", "Dropout", "BatchNorm", "LayerNorm", "Branch",
                          "Normal"),
    "tfae.specs.optimizers": ("SGD", "Adam", "RMSProp", "Adadelta"),
    "tfae.specs.distortions": ("Augmentation", "Corruption"),
    "tfae.experiment": ("Experiment", "default_config", "Checkpoints", "EarlyStopping", "Logging",
                        "Transfer"),
    "tfae.data.datasets": ("load", "Dataset", "Split"),
    "tfae.network": ("Stack", "mirror"),
    "tfae.models.autoencoder": ("Autoencoder",),
    "tfae.models.classifier": ("Classifier",),
    "tfae.models.probe": ("ProbeClassifier",),
    "tfae.models.variational": ("VariationalAutoencoder",),
    "tfae.tasks.reconstruct": ("Reconstruct",),
    "tfae.tasks.classify": ("Classify",),
    "tfae.tasks.probe": ("Probe",),
    "tfae.tasks.variational": ("Variational",),
    "tfae.training": ("fit", "train", "Result", "NotFiniteError"),
    "tfae.weights": ("save_weights", "load_weights"),
    "tfae.exporting": ("export",),
}
_MODULES = ("anomaly", "distributions", "graph", "initializers", "losses", "ops", "optimizers", "placement",
            "publish", "randomness", "saved_model", "thresholds")
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name):
  if name in _MODULES:
    return importlib.import_module(f"tfae.{name}")
  if name not in _HOME:
    raise AttributeError(f"module 'tfae' has no attribute {name!r}")
  return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
  return [*globals(), *__all__]
