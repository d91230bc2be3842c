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
  for name, value in sorted(load(args.model)[args.signature](**inputs).items()):
    print(f"{name} {value.dtype} {list(value.shape)} {np.ravel(value)[:6]}")
    if args.out:
      pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
      np.save(pathlib.Path(args.out) / f"{name}.npy", value)


def read_inputs(directory, key, pairs):
  """Returns {input: array} of the dtypes and shapes that signature.json states."""
  path = pathlib.Path(directory) / "signature.json"
  if not path.is_file():
    raise UserError(f"{directory}: no signature.json, so neither an export nor made from one.")
  signatures = json.loads(path.read_text())["signatures"]
  if key not in signatures:
    raise UserError(f"signature={key!r}: expected one of {', '.join(sorted(signatures))}.")
  entries, files = signatures[key]["inputs"], dict(pair.partition("=")[::2] for pair in pairs)
  if set(files) != set(entries):
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
  return value.astype(entry["dtype"])
