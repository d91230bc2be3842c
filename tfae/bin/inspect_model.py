"""tfae-inspect: what is inside a run's model, or inside an exported one.

    tfae-inspect --workdir=W [--summary] [--ops] [--variables] [--signatures]
    tfae-inspect --saved_model=D/1 [--summary] [--ops] [--signatures]
    tfae-inspect --workdir=W --tensor=encoder/layer_1/Relu:0 --image=x.png [--out=y.npy]

Without a question: the summary. A tensor's name is that of --ops, with or without its signature.
"""

import pathlib

from absl import flags
import numpy as np

from tfae import images, inspection
from tfae.bin import cli
from tfae.errors import InputError, shown

cli.define_subject()
flags.DEFINE_bool("summary", False, "Layers, shapes, parameters; of an export its weights.")
flags.DEFINE_bool("signatures", False, "Inputs and outputs: name, dtype, shape, meaning.")
flags.DEFINE_bool("ops", False, "Every op of the inference graph: name, type, device.")
flags.DEFINE_bool("variables", False, "Name, shape, dtype, device, trainable.")
flags.DEFINE_string("tensor", None, "Name of a tensor to fetch.")
flags.DEFINE_string("image", None, "For the input `images`: PNG, JPEG, or .npy in the data set's "
                    "units.")
flags.DEFINE_multi_string("feed", [], "For another input: NAME=FILE.npy, such as codes=z.npy.")
flags.DEFINE_string("out", None, "The .npy file for the tensor; not set: it is described only.")
flags.DEFINE_string("device", "auto", "Where a run's model is restored to.")


def main():
  args = flags.FLAGS
  subject = cli.subject(args.device)
  of_run = isinstance(subject, inspection.Run)
  if args.variables and not of_run:
    raise InputError("--variables: an exported model has none: its weights are constants, which "
                     "--summary lists.")
  for name in ("image", "feed", "out"):
    if getattr(args, name) and not args.tensor:
      raise InputError(f"--{name}: is for --tensor=NAME, which is missing. --ops lists all names.")
  out = args.out and pathlib.Path(args.out)
  if out and (out.suffix != ".npy" or not out.absolute().parent.is_dir()):
    raise InputError(f"--out={args.out}: expected a .npy file in a folder that is there.")
  feeds = _feeds(subject, args)
  cli.import_tensorflow()  # not before the input has been checked
  nothing = not (args.signatures or args.ops or args.variables or args.tensor)
  frozen = subject.frozen()
  if args.summary or nothing:
    if of_run:
      subject.model.summary()
    else:
      _print_weights(frozen)
  if args.signatures or nothing:
    _print_signatures(frozen)
  if args.variables:
    _print_variables(subject.model)
  if args.ops:
    from tfae import graph
    _print_table(("op", "type", "device"),
                 [(name, op, device or "-") for name, op, device in
                  sorted(graph.list_ops(frozen.graph_def))])
  if args.tensor:
    _fetch(frozen, args.tensor, feeds, out)
  return 0


def _feeds(subject, args):
  feeds = {}
  if args.image:
    (feeds["images"], notes), = cli.read_images([args.image], cli.wanted(subject))
    cli.say_notes(args.image, notes)
  for text in args.feed:
    name, equals, path = text.partition("=")
    if not equals or not path:
      raise InputError(f"--feed={shown(text)}: expected NAME=FILE.npy, such as codes=z.npy.")
    feeds[name] = images.read_array(path)
  return feeds


def _fetch(frozen, name, feeds, out):
  from tfae import files, graph
  known = {n: info for infos in frozen.inputs.values() for n, info in infos.items()}
  for given, value in feeds.items():
    if given not in known:
      raise InputError(f"--feed={given}: the model has no such input; it has "
                       f"{', '.join(sorted(known))}.")
    info = known[given]
    if value.ndim != len(info.shape) or value.shape[1:] != tuple(info.shape[1:]):
      raise InputError(f"--feed={given}: has shape {value.shape}; expected (n, "
                       f"{', '.join(map(str, info.shape[1:]))}).")
    feeds[given] = value.astype(info.dtype.as_numpy_dtype)
  tensor = inspection.find_tensor(frozen, name, feeds)
  value = np.asarray(graph.fetch(frozen.graph_def, tensor, feeds))
  numbers = value.astype(np.float64) if value.dtype.kind in "biufV" and value.size else None
  print(f"{tensor}: {value.dtype.name} {value.shape}" + (
      "" if numbers is None else f", from {numbers.min():.6g} to {numbers.max():.6g}, mean "
      f"{numbers.mean():.6g}"))
  if out:
    # numpy can't name bfloat16 in a file.
    files.write(out, images.npy(value if value.dtype.kind in "biuf" else
                                value.astype(np.float32)))
    print(f"written to {out}")


def _print_table(header, rows):
  widths = [max(map(len, column)) for column in zip(header, *rows)]
  for row in (header, *rows):
    print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _shape(shape):
  return "[" + ", ".join("batch" if size is None else str(size) for size in shape) + "]"


def _print_signatures(frozen):
  rows = [(key, side, name, info.name, info.dtype.name, _shape(info.shape), info.meaning)
          for key in sorted(frozen.inputs)
          for side, infos in (("input", frozen.inputs[key]), ("output", frozen.outputs[key]))
          for name, info in infos.items()]
  _print_table(("signature", "side", "name", "tensor", "dtype", "shape", "meaning"), rows)


def _print_variables(model):
  from tfae import placement
  trainable = {v.ref() for v in model.trainable}
  variables = {v.ref(): v for v in model.variables}.values()
  _print_table(("variable", "shape", "dtype", "device", "trainable"), [
      (v.name.split(":")[0], _shape(v.shape), v.dtype.name, placement.short(v.device),
       "yes" if v.ref() in trainable else "no") for v in variables])


def _print_weights(frozen):
  """The constants that hold the model's weights: those outside the scopes of signatures, inputs."""
  import tensorflow as tf
  scopes = {*frozen.outputs, *(name for inputs in frozen.inputs.values() for name in inputs)}
  rows, total = [], 0
  for node in frozen.graph_def.node:
    if node.op == "Const" and node.name.split("/")[0] not in scopes:
      shape = tf.TensorShape(node.attr["value"].tensor.tensor_shape).as_list()
      total += int(np.prod(shape))
      rows.append((node.name, _shape(shape), f"{int(np.prod(shape)):,}"))
  _print_table(("weight", "shape", "values"), rows)
  print(f"{total:,} values in {len(rows)} weights")


def run():
  """The console script."""
  cli.run(main)


if __name__ == "__main__":
  run()
