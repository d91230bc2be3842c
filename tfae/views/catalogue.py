"""The table of all views of a run. A new view is one function and one line of its section's file.
"""

from tfae.errors import InputError, nearest, shown
from tfae.views import of_codes, of_data, of_results, of_scores, of_training, of_weights

VIEWS = (*of_data.VIEWS, *of_training.VIEWS, *of_results.VIEWS, *of_codes.VIEWS,
         *of_weights.VIEWS, *of_scores.VIEWS)
BY_NAME = {view.name: view for view in VIEWS}


def chosen(names, also=()):
  """Returns the `tfae.views.view.View`s to be drawn, in the order of the table.

  Args:
    names: a sequence of names; None: all but those that are drawn on request only.
    also: names of such that are asked for besides.

  Raises:
    InputError: a name that no view has, with the nearest.
  """
  for name in names or ():
    if name not in BY_NAME:
      raise InputError(f"--only={shown(name)}: no such view.{nearest(name, BY_NAME)} There are "
                       f"{', '.join(BY_NAME)}.")
  return [view for view in VIEWS if view.name in also or (
      not view.asked if names is None else view.name in names)]
