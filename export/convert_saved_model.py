"""Converts an exported SavedModel for other runtimes, each checked against it on real examples.

  python export/convert_saved_model.py --saved_model=D/1 --examples=W/examples.npy --out=DIR \\
      --to=onnx,litert,litert_int8,graphdef,openvino,aot

Writes DIR/TARGET: the model, and a signature.json that names its file, tensors, dtypes and shapes.
A target gets its name only after its runtime, in a process of its own, has answered every signature
as the SavedModel does. A target that is there already is refused. Needs tensorflow, numpy and what
the target's extra installs. Exit code: 0 all converted, 1 one was not, 2 a mistake.
"""

import argparse
import difflib
import json
import pathlib
import sys

import check_saved_model as checker
from check_saved_model import UserError
from converters import artefact
from converters.targets import TARGETS
from runtimes import compare, examples, process
from runtimes.table import RUNTIMES


def parse(arguments):
  parser = checker.Parser(description=__doc__, allow_abbrev=False,
                          formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--saved_model", required=True, metavar="D/1", help="the exported version")
  parser.add_argument("--to", required=True, metavar="TARGET,...",
                      help=f"of {', '.join(TARGETS)}")
  parser.add_argument("--out", required=True, metavar="DIR", help="gets a folder a target")
  parser.add_argument("--examples", action="append", default=[], metavar="FILE",
                      help="images of the data set, .npy or PNG, such as W/examples.npy of the run")
  parser.add_argument("--allow_ops", default="", metavar="OP,...",
                      help="ops that are run though they can do more than compute")
  args = parser.parse_args(arguments)
  args.to = chosen("--to", args.to, TARGETS)
  args.out = pathlib.Path(args.out)
  return args


def chosen(flag, value, allowed):
  """Returns the names in a comma-separated flag; UserError for one that is not `allowed`."""
  names = list(dict.fromkeys(name for name in value.split(",") if name))
  for name in names:
    if name not in allowed:
      close = difflib.get_close_matches(name, allowed, n=1)
      raise UserError(f"{flag}={value}: {name!r} is none of {', '.join(allowed)}."
                      + (f" Did you mean {close[0]}?" if close else ""))
  if not names:
    raise UserError(f"{flag}={value!r}: expected some of {', '.join(allowed)}.")
  return names


def check_targets(names, out):
  for name in names:
    missing = TARGETS[name].missing()
    if missing:
      raise UserError(f"--to={name}: {missing}")
    if (out / name).exists():
      raise UserError(f"--out={out}: there is a {name} already; remove {out / name}, or choose "
                      "another folder.")


def convert(target, reference, out):
  """Converts, checks, gives the name. Returns the Verdict; raises process.Failed if it is bad."""
  with artefact.whole(out / target.name) as folder:
    try:
      with checker.quiet():
        entries = target.convert(reference, folder)
    except Exception as error:  # whatever a converter raises, the other targets go on
      raise process.Failed(f"{type(error).__name__}: {_line(error)}") from error
    artefact.write_signatures(folder, target.name, reference.description, entries,
                              target.versions())
    runtime = RUNTIMES[target.name]
    answer = process.run(runtime, folder, feeds_of(reference, folder), reference.timed, calls=1)
    verdict = compare.judge(reference, runtime, answer.outputs)
    if verdict.faults:
      raise process.Failed("; ".join(verdict.faults[:3]))
  return verdict


def feeds_of(reference, folder):
  """Returns the feeds of the signatures that the model in a folder has."""
  kept = json.loads((folder / artefact.SIGNATURE_FILE).read_text())["signatures"]
  return {key: feeds for key, feeds in reference.feeds.items() if key in kept}


def _line(error):
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[0][:300] if lines else ""


def run(arguments):
  args = parse(arguments)
  check_targets(args.to, args.out)
  reference = examples.read(args.saved_model, args.examples, args.allow_ops)
  failed = 0
  for name in args.to:
    try:
      verdict = convert(TARGETS[name], reference, args.out)
    except process.Failed as error:
      print(f"FAIL: {name}: {error}", flush=True)
      failed = 1
      continue
    loss = f", loss {verdict.loss[0]:.6g} against {verdict.loss[1]:.6g}" if verdict.loss else ""
    print(f"{args.out / name}: {artefact.size(args.out / name):,} bytes, largest difference "
          f"{verdict.absolute:.3g}{loss}", flush=True)
    left_out = artefact.left_out(args.out / name)
    for reason in dict.fromkeys(left_out.values()):
      keys = ", ".join(key for key in left_out if left_out[key] == reason)
      print(f"{args.out / name}: without {keys}: {reason}", flush=True)
  return failed


def main(arguments):
  try:
    return run(arguments)
  except (UserError, OSError) as error:
    print(f"convert_saved_model.py: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("convert_saved_model.py: interrupted; nothing half-written is left.", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
