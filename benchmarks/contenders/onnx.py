"""ONNX Runtime on a converted model."""

import onnxruntime

from contenders import serving


class Contender(serving.Contender):
  """With the runtime's own defaults."""

  def __init__(self, folder, *, path):
    self.versions = {"onnxruntime": onnxruntime.__version__}
    super().__init__(folder, path)

  def _load(self, path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (feed,), (output,) = session.get_inputs(), session.get_outputs()
    return lambda images: session.run([output.name], {feed.name: images})[0]
