"""The command line that the Python clients share: a signature, its inputs as files.

An input of numbers is a .npy file, one of encoded images a PNG or JPEG file, or several: a,b,c.
"""

import argparse
import json
import pathlib
import sys

import numpy as np


class UserError(Exception):
  """The command line, or a file that it names, is wrong."""


class Parser(argparse.ArgumentParser):
  """One line and exit code 2 instead of a page of usage."""

  def error(self, message):
    raise UserError(message)


def run(load, doc):
  """Ends the process with a client's exit code; `load` is the client's function of that name."""
  try:
    main(load, doc, sys.argv[1:])
  except (UserError, OSError) as error:
    print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
    sys.exit(2)


def main(load, doc, arguments):
  """Prints every output of one call; with --out, writes FOLDER/NAME.npy as well."""
  parser = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter,
                  allow_abbrev=False)
  parser.add_argument("model", help="an export, or what one was converted to")
  parser.add_argument("signature", help="such as serving_default")
  parser.add_argument("inputs", nargs="+", metavar="INPUT=FILE")
  parser.add_argument("--out", metavar="FOLDER", help="write the outputs there as .npy files")
  args = parser.parse_args(arguments)
  inputs = read_inputs(args.model, args.signature, args.inputs)
  try:
    outputs = load(args.model)[args.signature](**inputs)
  except Exception as error:  # a runtime's own, of a damaged model or an image that is none
    said = " ".join(str(error).split())[:300]
    raise UserError(f"{args.model} {args.signature} {' '.join(args.inputs)}: "
                    f"{type(error).__name__}: {said}") from error
  for name, value in sorted(outputs.items()):
    print(f"{name} {value.dtype} {list(value.shape)} {np.ravel(value)[:6]}")
    if args.out:
      pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
      np.save(pathlib.Path(args.out) / f"{name}.npy", value)


def read_inputs(directory, key, pairs):
  """Returns {input: array} of the dtypes and shapes that signature.json states."""
  path = pathlib.Path(directory) / "signature.json"
  if not path.is_file():
    raise UserError(f"{directory}: no signature.json, so neither an export nor made from one.")
  try:
    signatures = json.loads(path.read_text())["signatures"]
    entries = {name: signature["inputs"] for name, signature in signatures.items()}
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f"{path}: damaged ({type(error).__name__}: {error}).") from error
  if key not in signatures:
    raise UserError(f"signature={key!r}: expected one of {', '.join(sorted(signatures))}.")
  entries, files = entries[key], dict(pair.partition("=")[::2] for pair in pairs)
  if sorted(pair.partition("=")[0] for pair in pairs) != sorted(entries):
    raise UserError(f"signature {key} takes {', '.join(f'{n}=FILE' for n in sorted(entries))}:"
                    f" found {' '.join(pairs)}.")
  return {name: (read_files if entry["dtype"] == "string" else read_array)(
      name, files[name], entry) for name, entry in entries.items()}


def read_files(name, paths, _):
  """Returns the contents of files, separated by commas, as an array of bytes objects."""
  return np.array([pathlib.Path(path).read_bytes() for path in paths.split(",")], object)


def read_array(name, file, entry):
  try:
    value = np.load(file, allow_pickle=False)
    if not isinstance(value, np.ndarray):
      raise ValueError("it holds several arrays")
  except (ValueError, EOFError) as error:
    raise UserError(f"{name}={file}: not a .npy file of numbers ({error}).") from error
  if list(value.shape[1:]) != entry["shape"][1:] or not value.ndim:
    raise UserError(f"{name}={file}: shape {list(value.shape)}, expected "
                    f"[any number, {', '.join(map(str, entry['shape'][1:]))}].")
  wanted = np.dtype(entry["dtype"])
  if value.dtype.kind not in ("biu" if wanted.kind in "biu" else "biuf") or (
      wanted.kind in "biu" and not np.array_equal(value.astype(wanted), value)):
    raise UserError(f"{name}={file}: {value.dtype} values, which {wanted} does not hold: expected "
                    f"{wanted}.")
  return value.astype(wanted)
