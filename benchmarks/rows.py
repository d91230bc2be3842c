"""The ways to train a workload: tfae, and its peers in the variants that their users would try."""

import systems
from contest import Row


def contenders(workload):
  """Returns the `Row`s of a `Workload`; the first is what the others are compared with.

  Left out is what lost by far on S05 (NOTES.md): XLA's convolutions in a loop, which are Keras's
  with XLA and several steps an execution, and JAX's scan without patches; torch.compile of forward
  and backward alone.
  """
  system = systems.system(workload.system)
  dense, adam = not system.convolutional, system.optimizer == "adam"
  result = []

  def add(family, variant, module, keep=False, **options):
    name = f"{family}, {variant}" if variant else family
    needs = "tensorflow" if module == "tfae" else module  # the checkout's own tfae is meant
    result.append(Row(name, name if keep else family, needs, f"contenders.{module}", options))

  add("tfae", "", "tfae")
  add("tfae", "log and checkpoints", "tfae", keep=True, whole=True)
  if workload.xla:
    other = "off" if dense else "on"
    add("tfae", f"XLA {other}", "tfae", keep=dense, jit_compile=other)
  add("tfae", "bfloat16", "tfae", keep=True, compute_dtype="bfloat16")
  most = workload.chunks[-1]
  for jit in (False, True) if workload.xla else (False,):
    for each in workload.chunks if dense or not jit else (1,):
      add("Keras fit", f"{each} step{'s'[:each - 1]} an execution{', XLA' * jit}", "keras",
          steps_per_execution=each, jit=jit)
  add("Keras fit", f"{most} steps an execution, tf.data", "keras", steps_per_execution=most,
      jit=False, dataset=True)
  for last in (False,) if dense else (False, True):
    suffix = ", channels last" * last
    # Only Adam has a fused kernel on a CPU.
    for how in ("fused", "foreach") if adam and dense else ("fused",) if adam else ("foreach",):
      add("PyTorch eager", f"{how} {system.optimizer}{suffix}", "torch", optimizer=how,
          channels_last=last)
    if dense:
      add("torch.compile", "forward and backward", "torch", mode="compile")
    add("torch.compile", f"whole step{suffix}", "torch", mode="whole", channels_last=last)
  add("JAX", "jit", "jax")
  add("JAX", f"scan of {most} steps" + " of patches" * (not dense), "jax", scan=most,
      model=None if dense else "patches")
  return result
