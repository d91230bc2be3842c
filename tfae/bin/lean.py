"""TensorFlow's import without what it takes along for others: half the time, less memory.

TensorFlow loads a high-level library, and that takes what it finds installed: scikit-learn for
wrappers, matplotlib for figures, h5py and SciPy. No program of tfae uses them through TensorFlow.
A program of a user's own that imports TensorFlow, or tfae, gets TensorFlow as it is.
"""

import contextlib
import gc
import sys

# TensorFlow and what it loads do without these, where they are not installed.
EXTRAS = ("sklearn", "scipy", "matplotlib", "h5py")


@contextlib.contextmanager
def importing(extras=EXTRAS):
  """Inside, packages that are not loaded yet pass for not installed, and no garbage is looked for.

  Afterwards they can be imported as ever. No later collection looks through what was loaded
  meanwhile, hundreds of thousands of objects that stay to the end: there, it would take a second.
  """
  kept_out = [name for name in extras if name not in sys.modules]
  sys.modules.update(dict.fromkeys(kept_out))  # None: an ImportError, which is what they expect
  collects = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    for name in kept_out:
      del sys.modules[name]
    if collects:
      gc.freeze()
      gc.enable()
