"""Mistakes on the command line: one line, exit code 2, no folder, and TensorFlow never imported."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for whatever import mode pytest runs in
import runs

# Runs one binary, NAME FLAG..., in which importing TensorFlow is fatal.
ONE = """
import importlib, os, sys
class Refuse:
  def find_spec(self, name, *rest):
    if name.split(".")[0] == "tensorflow":
      os._exit(99)
sys.meta_path.insert(0, Refuse())
importlib.import_module("tfae.bin." + sys.argv.pop(1)).run()
"""

CONFIGS = {
    "good": "",
    "syntax": "config.epochs = = 3",
    "raises": "raise RuntimeError('my own\\n  fault')",
    "exits": "raise KeyError('nothing')",
    "unlocked": "config.batch_sise = 3",
    "import": "import no_such_module",
    "file": "open('/no/such/file')",
    "type": "config.batch_size = 'many'",
    "stack": "config.model.encoder = (tfae.Flatten(), tfae.Dense(3), tfae.MaxPool(2))",
    "empty_stack": "config.model.encoder = ()",
    "layer": "config.model.encoder = (tfae.Flatten(), tfae.Dense(0))",
    "window": "config.model.encoder = (tfae.Conv2D(2, 9, padding='valid'),)",
    "decoder": "config.model.tied = False; config.model.decoder = (tfae.Dense(63),)",
    "none": "return None",
    "dict": "return {'epochs': 3}",
}

CONFIG = "--config={tmp}/good.py"
WORKDIR = "--workdir={tmp}/run"
TRAIN = ["train", CONFIG, WORKDIR]


def train_with(config):
  return ["train", f"--config={{tmp}}/{config}.py", WORKDIR]


# name: (arguments, texts that the one line must hold)
MISTAKES = {
    "no flags": (["train"], ["--config is missing", "--config=configs/quickstart.py"]),
    "no config": (["train", WORKDIR], ["--config is missing"]),
    "no workdir": (["train", CONFIG], ["--workdir is missing", "--workdir=runs/NAME"]),
    "empty workdir": (["train", CONFIG, "--workdir="], ["--workdir is missing"]),
    "workdir without value": (["train", CONFIG, "--workdir"], ["workdir"]),
    "workdir that swallows a flag": (["train", CONFIG, "--workdir", "--config.epochs=3"],
                                     ["--workdir is missing"]),
    "empty workdir apart": (["train", CONFIG, "--workdir", "", "--config.epochs=3"],
                            ["--workdir is missing"]),
    "unknown flag": (["train", CONFIG, "--worddir={tmp}/run"],
                     ["unknown flag --worddir", "Did you mean 'workdir'?"]),
    "no such config": (["train", "--config={tmp}/nowhere.py", WORKDIR],
                       ["nowhere.py: no such file", "found by their name"]),
    "no such config, apart": (["train", "--config", "{tmp}/nowhere.py", WORKDIR],
                              ["nowhere.py: no such file"]),
    "nearest config": (["train", "--config=configs/quikstart.py", WORKDIR],
                       ["Did you mean 'quickstart.py'?"]),
    "a packaged name in a wrong folder": (["train", "--config={tmp}/quickstart.py", WORKDIR],
                                          ["quickstart.py: no such file"]),
    "a folder as config": (["train", "--config={tmp}", WORKDIR], ["no such file"]),
    "empty config": (["train", "--config=", WORKDIR], ["--config is empty"]),
    "config without value": (["train", WORKDIR, "--config"], ["--config is empty"]),
    "unknown field": ([*TRAIN, "--config.batch_sise=3"],
                      ["--config.batch_sise", "Did you mean 'batch_size'?"]),
    "unknown field, apart": ([*TRAIN, "--config.batch_sise", "3"], ["Did you mean 'batch_size'?"]),
    "unknown inner field": ([*TRAIN, "--config.data.nane=digits"], ["Did you mean 'data.name'?"]),
    "unknown section": ([*TRAIN, "--config.no.such=1"], ["--config.no.such"]),
    "field before config": (["train", "--config.epochs=3", CONFIG, WORKDIR], ["--config"]),
    "wrong type": ([*TRAIN, "--config.batch_size=many"], ["--config.batch_size=many"]),
    "fraction": ([*TRAIN, "--config.epochs=1.5"], ["--config.epochs=1.5"]),
    "no number": ([*TRAIN, "--config.epochs="], ["--config.epochs="]),
    "no value": ([*TRAIN, "--config.epochs"], ["--config.epochs"]),
    "no boolean": ([*TRAIN, "--config.model.tied=maybe"], ["--config.model.tied=maybe"]),
    "two configs, the last counts": (["train", CONFIG, "--config={tmp}/stack.py", WORKDIR],
                                     ["model.encoder[2]: MaxPool"]),
    "whole section": ([*TRAIN, "--config.data=digits"], ["--config.data=digits"]),
    "nan": ([*TRAIN, "--config.optimizer.learning_rate=nan"], ["learning_rate=nan"]),
    "negative": ([*TRAIN, "--config.seed=-1"], ["seed=-1"]),
    "huge": ([*TRAIN, f"--config.epochs={10**30}"], [f"epochs={10**30}"]),
    "unicode": ([*TRAIN, "--config.data.name=ｄｉｇｉｔｓ\n"], ["data.name="]),
    "unknown data": ([*TRAIN, "--config.data.name=minst"], ["Did you mean 'mnist'?"]),
    "idx without folder": ([*TRAIN, "--config.data.name=idx"], ["data_dir"]),
    "batch larger than data": ([*TRAIN, "--config.batch_size=1501"],
                               ["batch_size=1501", "1 to 1500"]),
    "all for validation": ([*TRAIN, "--config.data.validation=1500"], ["data.validation=1500"]),
    "thread count": ([*TRAIN, "--intra_op_threads=-1"], ["--intra_op_threads=-1"]),
    "argument": ([*TRAIN, "extra"], ["unexpected argument 'extra'"]),
    "syntax error": (train_with("syntax"), ["SyntaxError", "syntax.py, line 5"]),
    "exception": (train_with("raises"), ["line 5", "RuntimeError: my own fault"]),
    "key error": (train_with("exits"), ["line 5", "KeyError: nothing"]),
    "locked config": (train_with("unlocked"), ["line 5", 'Did you mean "batch_size"']),
    "missing module": (train_with("import"), ["line 5", "no_such_module"]),
    "missing file": (train_with("file"), ["--config=file.py, line 5", "/no/such/file"]),
    "type in the file": (train_with("type"), ["line 5", "batch_size"]),
    "impossible stack": (train_with("stack"), ["model.encoder[2]: MaxPool"]),
    "no stack": (train_with("empty_stack"), ["model.encoder=()"]),
    "impossible layer": (train_with("layer"), ["line 5: Dense.units=0"]),
    "window": (train_with("window"), ["model.encoder[0]", "does not fit into 8 pixels"]),
    "wrong decoder": (train_with("decoder"), ["model.decoder", "(63,)", "(8, 8, 1)"]),
    "config argument": (["train", "--config={tmp}/argument.py:many", WORKDIR],
                        ["--config=argument.py:many, line 3: ValueError: invalid literal",
                         "The config's argument is 'many': its docstring says"]),
    "config argument of a package's": (["train", "--config=s15_perceptron.py:abc", WORKDIR],
                                       ["--config=s15_perceptron.py:abc, line",
                                        "argument is 'abc'"]),
    "empty config argument": (["train", "--config={tmp}/argument.py:", WORKDIR],
                              ["--config=argument.py:, line 3: ValueError", "argument is ''"]),
    "argument of a config that takes none": (["train", CONFIG + ":3", WORKDIR],
                                             ["--config=good.py:3: TypeError: get_config() takes 0",
                                              "argument is '3'"]),
    "nothing returned": (train_with("none"), ["get_config() returned a NoneType"]),
    "dict returned": (train_with("dict"), ["get_config() returned a dict"]),
    "evaluate nothing": (["evaluate"], ["--workdir is missing"]),
    "evaluate a split": (["evaluate", WORKDIR, "--split=tests"], ["tests"]),
    "evaluate a flag": (["evaluate", WORKDIR, "--pac"], ["--pac", "Did you mean 'pca'?"]),
    "reproduce nothing known": (["reproduce", "--only=S04/beter", WORKDIR],
                                ["no such system or run", "Did you mean 'S04/better'?"]),
    "reproduce nothing at all": (["reproduce", "--only=", WORKDIR], ["--only=: names nothing"]),
    "reproduce a comma": (["reproduce", "--only=S07,", WORKDIR], ["--only=S07,: ", "a comma"]),
    "reproduce no seed": (["reproduce", "--seeds=0", WORKDIR], ["--seeds=0"]),
    "reproduce into no folder": (["reproduce", WORKDIR, "--out={tmp}/nowhere/RESULTS.md"],
                                 ["--out=", "RESULTS.md"]),
    "reproduce an argument": (["reproduce", WORKDIR, "S04"], ["unexpected argument 'S04'"]),
    "evaluate a config": (["evaluate", "--config.epochs=3", WORKDIR], ["--config.epochs"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with the config files of CONFIGS; nobody may add to it."""
  tmp = tmp_path_factory.mktemp("cli")
  for name, statement in CONFIGS.items():
    (tmp / f"{name}.py").write_text(f"""import tfae
def get_config():
  config = tfae.default_config()
  config.model.encoder = (tfae.Flatten(), tfae.Dense(3))
  {statement or "config.batch_size = 10"}
  return config
""")
  (tmp / "argument.py").write_text("import tfae\ndef get_config(units):\n  int(units)\n")
  before = sorted(tmp.iterdir())
  yield tmp
  made = [path.name for path in set(tmp.iterdir()) - set(before) if path.name != "__pycache__"]
  assert not made, made


def placed(arguments, folder):
  return [text.replace("{tmp}", str(folder)) for text in arguments]


@pytest.fixture(scope="module")
def outcomes(folder, tmp_path_factory):
  """{name: (exit code, stdout, stderr)} of all mistakes."""
  cases = [placed(arguments, folder) for arguments, _ in MISTAKES.values()]
  return dict(zip(MISTAKES, runs.many(cases, tmp_path_factory.mktemp("said"),
                                      ["sklearn.datasets", "tfae.bin.cli"])))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_exit_code_2_and_without_tensorflow(outcomes, name):
  code, out, err = outcomes[name]
  assert (code, out) == (2, ""), err
  assert err.startswith("error: ") and err.count("\n") == 1, err
  assert len(err) < 600
  for text in MISTAKES[name][1]:
    assert text in err


@pytest.mark.parametrize("name", ["unknown field", "no such config, apart"])
def test_a_process_of_its_own_says_the_same(folder, outcomes, name):
  process = runs.python("-c", ONE, *placed(MISTAKES[name][0], folder), cwd=folder)
  assert runs.finish(process) == outcomes[name]


def test_the_guard_against_tensorflow_would_show(folder, tmp_path):
  code, _, _ = runs.finish(runs.python(
      "-c", ONE, "train", f"--config={folder}/good.py", f"--workdir={tmp_path}/run"))
  assert code == 99


@pytest.mark.parametrize("binary", ["train", "evaluate", "reproduce", "inspect_model", "predict",
                                    "anomaly"])
def test_help_lists_the_flags_and_ends(binary):
  code, out, err = runs.finish(runs.python("-c", ONE, binary, "--help"))
  assert code in (0, 1) and err == ""
  assert "--workdir" in out and "tfae-" + binary.removesuffix("_model") in out


def test_a_binary_may_be_started_by_its_path_too():
  # Its folder is the first on the path of modules then, and must hide none of Python's own.
  for path in (runs.ROOT / "tfae" / "bin").glob("*.py"):
    assert path.stem not in sys.stdlib_module_names
  code, out, err = runs.finish(runs.python(runs.ROOT / "tfae" / "bin" / "train.py", "--help"))
  assert code == 0 and "--workdir" in out, err
