"""An attribute that is computed when it is first asked for, and whose error is remembered too."""

from tfae.errors import InputError


def once(function):
  """Returns a property of what `function(self)` returns, or of the InputError that it raised.

  Where data can't be had, nobody waits for the network a second time.
  """
  def get(self):
    found = self.__dict__.setdefault("_found", {})
    if function.__name__ not in found:
      try:
        found[function.__name__] = function(self), None
      except InputError as error:
        found[function.__name__] = None, error
    value, error = found[function.__name__]
    if error:
      raise error.with_traceback(None)
    return value
  return property(get, doc=function.__doc__)
