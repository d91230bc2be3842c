"""Runs an export in every runtime that is installed, compares and times them, writes PARITY.md.

  python export/parity.py --saved_model=D/1 --examples=W/examples.npy [--artefacts=DIR]
      [--require=tf,tf1,onnx,litert] [--out=PARITY.md] [--calls=300]

DIR is what convert_saved_model.py wrote from this export; what is not in it is converted into a
temporary folder. Needs tensorflow and numpy; other runtimes are listed as not installed where they
are not. Exit code: 0 all is well, 1 a difference is over its bound or a required runtime did not
run, 2 a mistake.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tempfile

import check_saved_model as checker
from check_saved_model import UserError
from converters import artefact
from converters.targets import TARGETS
import convert_saved_model as converting
from runtimes import compare, examples, floor, process, report
from runtimes.table import RUNTIMES


@dataclasses.dataclass
class Row:
  """One runtime: what it answered and the Verdict, or the reason why it did not run."""
  runtime: object
  reason: str | None = None
  answer: object = None
  verdict: object = None
  bytes: int = 0


def parse(arguments):
  parser = checker.Parser(description=__doc__, allow_abbrev=False,
                          formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--saved_model", required=True, metavar="D/1", help="the exported version")
  parser.add_argument("--examples", action="append", default=[], metavar="FILE",
                      help="images of the data set, .npy or PNG, such as W/examples.npy of the run")
  parser.add_argument("--allow_ops", default="", metavar="OP,...",
                      help="ops that are run though they can do more than compute")
  parser.add_argument("--artefacts", metavar="DIR", help="the --out of convert_saved_model.py")
  parser.add_argument("--require", default="tf,tf1,onnx,litert", metavar="RUNTIME,...",
                      help="those that must have run")
  parser.add_argument("--only", default=",".join(RUNTIMES), metavar="RUNTIME,...",
                      help=f"of {', '.join(RUNTIMES)}")
  parser.add_argument("--out", default="PARITY.md", metavar="FILE")
  parser.add_argument("--calls", type=int, default=300, help="timed calls at batch 1")
  args = parser.parse_args(arguments)
  args.require = converting.chosen("--require", args.require, RUNTIMES)
  args.only = converting.chosen("--only", args.only, RUNTIMES)
  if args.calls < 1:
    raise UserError(f"--calls={args.calls}: expected 1 or more.")
  args.out = pathlib.Path(args.out)
  if not args.out.parent.is_dir() or args.out.is_dir():
    raise UserError(f"--out={args.out}: expected a file in a folder that exists.")
  return args


def artefact_of(runtime, reference, given, scratch):
  """Returns the folder that the runtime loads; UserError for one that is of another export."""
  if runtime.target is None:
    return reference.directory
  if given and (given / runtime.target).is_dir():
    folder = given / runtime.target
    try:
      found = json.loads((folder / artefact.SIGNATURE_FILE).read_text())["converted_from_sha256"]
    except (OSError, ValueError, KeyError) as error:
      raise UserError(f"--artefacts={given}: {folder} has no whole signature.json "
                      f"({type(error).__name__}); convert the export again.") from error
    if found != reference.description["saved_model_sha256"]:
      raise UserError(f"--artefacts={given}: {folder} was converted from another export than "
                      f"{reference.directory}; convert this one into another folder.")
    return folder
  target = TARGETS[runtime.target]
  if target.missing():
    raise process.Failed(target.missing())
  converting.convert(target, reference, scratch)
  return scratch / runtime.target


def run_one(runtime, reference, given, scratch, calls):
  if runtime.missing():
    return Row(runtime, runtime.missing())
  try:
    folder = artefact_of(runtime, reference, given, scratch)
    feeds = converting.feeds_of(reference if runtime.strings
                                else reference.without(reference.encoded), folder)
    answer = process.run(runtime, folder, feeds, reference.timed, calls)
  except process.Failed as error:
    return Row(runtime, f"failed: {error}")
  return Row(runtime, None, answer, compare.judge(reference, runtime, answer.outputs),
             artefact.size(folder))


def run(arguments):
  args = parse(arguments)
  given = pathlib.Path(args.artefacts) if args.artefacts else None
  if given and not given.is_dir():
    raise UserError(f"--artefacts={given}: no such directory.")
  reference = examples.read(args.saved_model, args.examples, args.allow_ops)
  with tempfile.TemporaryDirectory() as scratch:
    rows = []
    for name in args.only:
      rows.append(run_one(RUNTIMES[name], reference, given, pathlib.Path(scratch), args.calls))
      print("  ".join(cell for cell in report.cells(rows[-1]) if cell), flush=True)
  least = floor.measure(reference.products, process.call) if reference.products else None
  if least and any(row.answer for row in rows):
    print(report.beside_floor(rows, reference, least))
  temporary = args.out.with_name(f".{args.out.name}.tmp-{os.getpid()}")
  temporary.write_text(report.text(rows, reference, args.calls, least), encoding="utf-8")
  temporary.replace(args.out)
  faults = faults_of(rows, args.require)
  for fault in faults:
    print(f"FAIL: {fault}")
  print(f"{'FAIL' if faults else 'PASS'}: {args.out}")
  return 1 if faults else 0


def faults_of(rows, required):
  """Returns what makes the exit code 1, in lines."""
  faults = [f"{row.runtime.name}: {fault}" for row in rows if row.verdict
            for fault in row.verdict.faults]
  faults += [f"{row.runtime.name}: {row.reason}" for row in rows
             if row.reason and row.reason.startswith("failed")]
  ran = {row.runtime.name for row in rows if not row.reason}
  return faults + [f"{name} is required and did not run" for name in required if name not in ran]


def main(arguments):
  try:
    return run(arguments)
  except (UserError, OSError) as error:
    print(f"parity.py: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("parity.py: interrupted; nothing half-written is left.", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
