"""The tasks by name: every file of this package but `task.py` holds the one that it is named for.
"""

import importlib
import pkgutil


def tasks():
  """Returns {name: class} of all tasks."""
  names = sorted(module.name for module in pkgutil.iter_modules(__path__))
  return {name: getattr(importlib.import_module(f"{__name__}.{name}"), name.capitalize())
          for name in names if name != "task"}
