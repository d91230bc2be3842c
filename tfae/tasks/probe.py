"""Probing: what a classifier makes of the codes of an encoder that was trained for something else.
"""

import dataclasses

from tfae.tasks.classify import Classify


@dataclasses.dataclass(frozen=True)
class Probe(Classify):
  """Cross-entropy of a head on the codes of a frozen encoder, in nats.

  The encoder, with `model.latent` that of a variational model and the mean of its code, comes from
  another run by `transfer.init_from`. The codes of the training images are computed once.

  Source: Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes",
  section 3, there with a linear head.
  """
  FROZEN_ENCODER = True

  def build(self, stacks, **units):
    from tfae.models.probe import ProbeClassifier  # not before the config was checked
    return self._joined(ProbeClassifier, stacks, units)
