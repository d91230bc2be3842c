"""SIGINT and SIGTERM as a request to end in order."""

import signal


class Signals:
  """Turns the first SIGINT or SIGTERM into a request; the second acts as it always did."""

  def __init__(self, then=None):
    """`then(number)` is called when the first one comes, if it is given."""
    self._then = then

  def __enter__(self):
    self.received = None
    self._before = {}
    try:
      for number in (signal.SIGINT, signal.SIGTERM):
        self._before[number] = signal.signal(number, self._handle)
    except ValueError:
      pass  # only the main thread may: elsewhere signals are its owner's affair
    return self

  def _handle(self, number, frame):
    del frame
    self.received = number
    signal.signal(number, self._before[number])
    if self._then:
      self._then(number)

  def __exit__(self, *_):
    for number, handler in self._before.items():
      signal.signal(number, handler)
