"""tfae-compare: runs beside each other: results, config fields that differ, curves.

    tfae-compare runs/a runs/b [more ...] [--out=compare.html]

Prints the two tables, the best of each result marked with *, and writes them with the curves as one
HTML file that opens offline.
"""

import sys

from absl import flags

from tfae import files
from tfae.bin import cli
from tfae.report import comparison

flags.DEFINE_string("out", "compare.html", "The HTML file.")


def main(workdirs):
  out = cli.html_file(flags.FLAGS.out)
  found = comparison.compare(workdirs)
  from tfae.report import comparison_page  # not before the input has been checked
  for why in found.damaged:
    print(f"left out: {why}", file=sys.stderr)
  print("\n".join([*comparison.tables(found), "", *found.notes]))
  files.write(out, comparison_page.page(found, comparison_page.draw(found)))
  print(f"written: {out}")
  return 0


def run():
  """The console script."""
  cli.run(main, positional=True)


if __name__ == "__main__":
  run()
