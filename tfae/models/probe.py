"""The probe: a classifier's head on the codes of a frozen encoder."""

from tfae.models.classifier import Classifier


class ProbeClassifier(Classifier):
  """images -> codes of a frozen encoder -> logits -> probabilities.

  Everything but the head is frozen, whatever else is named in `frozen`. Training steps see the
  codes, which are computed once; evaluation and signatures start from images.
  """

  def __init__(self, encoder, head, *, mean_head=None, frozen=(), **units):
    """Joins stacks; arguments and errors are those of `Classifier`."""
    features = {"encoder"} if mean_head is None else {"encoder", "mean"}
    super().__init__(encoder, head, mean_head=mean_head, frozen={*frozen, *features}, **units)

  def trained_part(self):
    return Classifier(None, self.head, frozen=self.frozen & {"head"}), self.encode
