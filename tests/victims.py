"""Training processes that are killed on purpose, and what must hold once they go on.

`python tests/victims.py` is the nursery: it has imported TensorFlow and run no op, which is safe
to fork, and starts a training process a request. So a kill costs a second or two, not five.
"""

import collections
import contextlib
import dataclasses
import functools
import json
import mmap
import os
import pathlib
import random
import resource
import signal
import sys
import time
import traceback

sys.path.append(str(pathlib.Path(__file__).parent))  # for whatever import mode pytest runs in
import runs
from tfae import checkpoint, files
from tfae import workdir as workdirs

# The points that a save passes, in their order; `tfae.files.reached` names them.
SAVE = ("before data", "after data", "before rename of data-", "after rename of data-",
        "before rename of index", "after rename of index", "before checkpoint", "after checkpoint",
        "pruning")
# The other points of a run at which something on the disk has just changed, or is about to.
OTHER = ("before examples.npy", "after examples.npy", "before config.json", "after config.json",
         "before metrics.jsonl", "after metrics.jsonl", "metrics line")
_ROOM = 512


@dataclasses.dataclass(frozen=True)
class Life:
  """How a process ended: exit code or -signal, where, after how many seconds, what it said."""
  code: int
  where: str
  seconds: float
  out: str
  err: str

  @property
  def killed(self):
    return self.code in (-signal.SIGKILL, -signal.SIGXFSZ)


class Nursery:
  """The parent's side: starts processes one at a time and says how they ended."""

  def __init__(self, folder, **config):
    """Takes an empty folder, and fields of the config of `runs.CONFIG` to change."""
    self.folder = pathlib.Path(folder)
    (self.folder / "config.py").write_text(runs.CONFIG)
    config = {"epochs": 2, "checkpoints.keep": 2, "logging.tensorboard": "true", **config}
    self._flags = [f"--config={self.folder / 'config.py'}",
                   *(f"--config.{name}={value}" for name, value in config.items())]
    # Its own session: a Ctrl-C is for the one who asks for kills, not for the victims.
    self._process = runs.python(__file__, start_new_session=True)

  def live(self, workdir, fault=None, *flags):
    """Trains in a process that `fault` may end, with more flags if given; returns a Life.

    A fault is a dict: {"point": of SAVE or OTHER, "passing": n} kills at the n-th passing of a
    point; {"line": n} before the n-th line of tfae that is executed; {"seconds": s} after so
    long, wherever that is; {"bytes": n, "passing": m}: in the middle of the write that makes a
    file of the m-th save larger than n bytes (by the kernel, SIGXFSZ). {"step": n}: once step n is
    taken, not yet saved. {"signal": number, "epoch": n}: sends itself a signal when it is about to
    tell of its progress in that epoch.
    """
    said = {name: str(self.folder / name) for name in ("out", "err")}
    request = {"flags": [*self._flags, f"--workdir={workdir}", *flags], "fault": fault or {},
               **said}
    self._process.stdin.write(json.dumps(request) + "\n")
    self._process.stdin.flush()
    answer = self._process.stdout.readline()
    assert answer, runs.finish(self._process)
    return Life(**json.loads(answer),
                **{name: pathlib.Path(path).read_text() for name, path in said.items()})

  def close(self):
    code, _, err = runs.finish(self._process)
    assert code == 0, err


@contextlib.contextmanager
def nursery(folder, **config):
  """Opens a Nursery and closes it."""
  opened = Nursery(folder, **config)
  try:
    yield opened
  finally:
    opened.close()


class Ordeal:
  """Kills runs and lets them go on, checking after each kill and each end.

  Attributes:
    tally: Counter of (kind of fault, place) of the kills.
    completed: number of runs that came to their end, all with the bits of the uninterrupted one.
  """

  def __init__(self, nursery_, seed):
    self._nursery, self._seed = nursery_, seed
    self.random = random.Random(seed)
    self.whole = nursery_.folder / "whole"
    life = nursery_.live(self.whole)
    assert life.code == 0, life.err
    self._seconds = life.seconds
    self._log = runs.lines(self.whole)
    self.tally = collections.Counter()
    self.completed = 0

  @property
  def kills(self):
    return sum(self.tally.values())

  @functools.cached_property
  def _lines(self):
    """How many lines of tfae an uninterrupted run executes."""
    workdir = self._nursery.folder / "counted"
    life = self._nursery.live(workdir, {"line": -1})
    assert life.code == 0, life.err
    runs.assert_same_bits(self.whole, workdir)
    return int(life.where)

  def random_fault(self, *kinds):
    """Returns a fault of one of the kinds, at a moment spread over the life of a process."""
    kind = self.random.choice(kinds)
    if kind == "seconds":
      return {kind: self.random.uniform(0, self._seconds)}
    if kind == "line":
      return {kind: self.random.randint(1, self._lines)}
    if kind == "bytes":
      return {kind: self.random.randint(0, 8000), "passing": self.random.randint(1, 4)}
    return {kind: self.random.choice(SAVE + OTHER), "passing": self.random.randint(1, 4)}

  def through(self, faults, workdir):
    """Starts the run in `workdir` with one fault after the other, then to its end.

    Ends with the run if that comes first. Raises AssertionError for whatever does not hold.
    """
    history = []
    for fault in faults:
      life = self._nursery.live(workdir, fault)
      history.append((fault, life.code, life.where))
      with self._named(workdir, history):
        assert "damaged" not in life.err, life.err
        if not life.killed:
          assert life.code == 0, life.err
          break
        self.tally[next(iter(fault)), life.where.split(":")[0] or "start"] += 1
        self._check_log(workdir)
    else:
      life = self._nursery.live(workdir)
      with self._named(workdir, history):
        assert "damaged" not in life.err and life.code == 0, life.err
    with self._named(workdir, history):
      self._check_end(workdir)
    self.completed += 1

  @contextlib.contextmanager
  def _named(self, workdir, history):
    try:
      yield
    except AssertionError as error:
      raise AssertionError(f"seed {self._seed}, folder {workdir}, kills {history}: "
                           f"{error}") from error

  def _check_log(self, workdir):
    """The log has every line that the newest checkpoint knows of."""
    steps = checkpoint.steps(workdir / "checkpoints")
    if not steps:
      return
    known = [line for line in self._log if line["step"] <= steps[0] and line["kind"] != "test"]
    found = workdirs.read_metrics(workdir)[:len(known)]
    for line in found:
      line.pop("timing", None)
    assert found == known, (found, known)

  def _check_end(self, workdir):
    """Same bits as the uninterrupted run, the best is there, and no litter."""
    runs.assert_same_bits(self.whole, workdir)
    steps = checkpoint.steps(workdir / "checkpoints")
    best = int(runs.tensors(workdir)["progress/best_step/.ATTRIBUTES/VARIABLE_VALUE"])
    assert set(steps) == {*steps[:2], best}, (best, steps)
    # Which step comes before the last depends on the clock: loops grow with the time they take.
    state = [f'model_checkpoint_path: "ckpt-{steps[0]}"',
             *(f'all_model_checkpoint_paths: "ckpt-{step}"' for step in reversed(steps))]
    found = (workdir / "checkpoints/checkpoint").read_text().splitlines()
    assert found == state, (found, state)
    def names(of):
      return {str(path.relative_to(of)) for path in of.rglob("*")
              if "tensorboard" not in path.parts and "damaged" not in path.parts
              and not path.name.startswith("ckpt-")}
    assert names(workdir) == names(self.whole), names(workdir) ^ names(self.whole)
    for path in (workdir / "checkpoints").glob("ckpt-*"):
      assert int(path.name[5:].split(".")[0]) in steps, path


# The nursery's side.


def _install(fault, where):
  """Makes this process end as the fault says; `where` is shared memory for the place."""
  def note(text):
    where[:] = text.encode()[:_ROOM].ljust(_ROOM, b"\0")

  def die(text):
    note(text)
    os.kill(os.getpid(), signal.SIGKILL)

  left = collections.Counter({fault.get("point", "before data"): fault.get("passing", 0)})

  def reached(point):
    note(point)
    if left[point] == 1 and "point" in fault:
      die(point)
    if left[point] == 1 and "bytes" in fault:
      note("during the data write")
      signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
      resource.setrlimit(resource.RLIMIT_FSIZE, (fault["bytes"], resource.RLIM_INFINITY))
    elif "bytes" in fault:
      resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    left[point] -= 1

  files.reached = reached
  if "step" in fault:
    _kill_after(fault["step"], die)
  if "signal" in fault:
    _signal_in(fault["epoch"], fault["signal"])
  if "line" not in fault:
    return
  library = str(runs.ROOT / "tfae")
  passed = 0

  def line(frame, event, argument):
    del argument
    nonlocal passed
    if event == "line":
      passed += 1
      if passed == fault["line"]:
        die(f"{os.path.relpath(frame.f_code.co_filename, runs.ROOT)}:{frame.f_lineno}")
      if fault["line"] < 0:
        note(str(passed))
    return line

  sys.settrace(lambda frame, *_: line if frame.f_code.co_filename.startswith(library) else None)


def _kill_after(step, die):
  """Cuts the loop at a step, and dies before anything but the loop knows of it."""
  from tfae import loop  # pylint: disable=import-outside-toplevel
  original = loop.Loop.run

  def run(self, first, count):
    if first < step < first + count:
      count = step - first
    result = original(self, first, count)
    if first + count == step:
      die(f"step {step}")
    return result

  loop.Loop.run = run


def _signal_in(epoch, number):
  from tfae import metrics  # pylint: disable=import-outside-toplevel
  original = metrics.Progress.say

  def say(self, text, always=False):
    if text.startswith(f"epoch {epoch} "):
      os.kill(os.getpid(), number)
    return original(self, text, always)

  metrics.Progress.say = say


def _live(request, where):
  """Trains, in a fork, and ends the process."""
  from tfae.bin import train  # pylint: disable=import-outside-toplevel
  signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
  os.dup2(os.open(os.devnull, os.O_RDWR), 0)
  for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(request[name], os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
  sys.argv = ["tfae-train", *request["flags"]]
  code = 1
  try:
    _install(request["fault"], where)
    train.run()
  except SystemExit as end:
    code = end.code or 0
  except BaseException:  # pylint: disable=broad-exception-caught
    traceback.print_exc()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


def serve():
  """Answers requests until stdin ends."""
  import sklearn.datasets  # pylint: disable=import-outside-toplevel, unused-import
  import tfae.training  # pylint: disable=import-outside-toplevel, unused-import
  import tfae.bin.train  # pylint: disable=import-outside-toplevel, unused-import
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # for sigtimedwait
  where = mmap.mmap(-1, _ROOM)
  for text in sys.stdin:
    request = json.loads(text)
    where[:] = bytes(_ROOM)
    began = time.monotonic()
    child = os.fork()
    if not child:
      _live(request, where)
    if "seconds" in request["fault"]:
      if signal.sigtimedwait({signal.SIGCHLD}, request["fault"]["seconds"]) is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - began
    signal.sigtimedwait({signal.SIGCHLD}, 0)
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "seconds": seconds,
                      "where": where[:].rstrip(b"\0").decode()}), flush=True)


if __name__ == "__main__":
  serve()
