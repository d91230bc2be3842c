"""Changes of labels that are killed at each of their lines, and what holds then; as a program.

    promoters.py FOLDER STEP

Kills at every STEP-th line. Prints {change: [kills, how many left the labels as before, how many as
after]}. It imports no TensorFlow, and fsync does nothing here (a kill loses no written byte), so a
kill costs milliseconds.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import sys
import traceback

from tfae import files, labels, promotion, publish, server_configs

TRACED = tuple(module.__file__ for module in (files, labels, promotion, publish, server_configs))
# Each begins with 2 stable, 1 before it and 3 a canary, of versions 1 to 4.
CHANGES = {"promote": lambda folder: promotion.promote(folder, "canary"),
           "roll_back": promotion.roll_back,
           "retire": lambda folder: promotion.retire(folder, 1)}


def write(folder):
  (folder / "saved_model.pb").write_text("model")


def folder(path):
  """Makes and returns a folder with versions 1 to 4."""
  for number in "1234":
    (path / number).mkdir(parents=True)
    write(path / number)
  return path


def told_to_server(path):
  """{label: version} of models.config."""
  text = (path / "serving" / "models.config").read_text()
  found = dict(re.findall(r'key: "(.*)"\n +value: (\d+)', text))
  loaded = set(re.findall(r"versions: (\d+)", text))
  assert loaded == set(found.values()), text
  return {label: int(version) for label, version in found.items()}


def killed(run, limit):
  """Calls run() in a fork that dies at line `limit` of TRACED; whether it died."""
  child = os.fork()
  if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0
  lines = 0

  def local(_, event, __):
    nonlocal lines
    lines += event == "line"
    if lines == limit:
      os.kill(os.getpid(), signal.SIGKILL)
    return local

  try:
    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename in TRACED else None)
    run()
    os._exit(0)
  except BaseException:  # pylint: disable=broad-exception-caught
    traceback.print_exc()
  finally:
    os._exit(1)


def state(path):
  """(labels, names of the whole versions), after asserting that all that is seen is whole."""
  numbers = [name for name in os.listdir(path) if name.isdecimal()]
  for number in numbers:
    assert (path / number / "saved_model.pb").read_text() == "model"
  found = labels.read(path).labels
  # Whichever of the two a reader follows, it finds what it names.
  for named in (found, told_to_server(path)):
    assert set(map(str, named.values())) <= set(numbers), (named, numbers)
  return found, sorted(numbers)


def ordeal(change, path, step):
  """Kills one change at a line, `step` lines further, and so on until it comes to its end."""
  start = folder(path / "start")
  promotion.promote(start, 1)
  promotion.promote(start, 2)
  promotion.label(start, "canary", 3)
  before = state(start)
  done = shutil.copytree(start, path / "done")
  change(done)
  after = state(done)
  assert before != after
  limit, seen = 1 - step, []
  while True:
    limit += step
    victim = shutil.copytree(start, path / "victim")
    died = killed(lambda: change(victim), limit)  # pylint: disable=cell-var-from-loop
    seen.append(state(victim)[0])
    assert seen[-1] in (before[0], after[0]), (limit, seen[-1])
    if not died:
      return [len(seen) - 1, seen.count(before[0]), seen.count(after[0])]
    # The same command, unless it was done: any change then clears what is left.
    if seen[-1] == before[0]:
      change(victim)
    promotion.configure(victim)
    publish.retire(victim, 4)
    assert state(victim) == after or state(victim) == (after[0], before[1]), limit
    assert told_to_server(victim) == after[0], limit
    assert not [name for name in os.listdir(victim) + os.listdir(victim / "serving")
                if name.startswith(".")], limit
    shutil.rmtree(victim)


def main(path, step):
  said = {}
  os.fsync = lambda descriptor: None
  for name, change in CHANGES.items():
    (path / name).mkdir()
    said[name] = ordeal(change, path / name, step)
  print(json.dumps(said))


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
