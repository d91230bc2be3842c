"""Says which of the published versions serve: lists, labels, promotes, rolls back, retires.

    python export/publish.py --export_dir=served/digits                  # what is there
    python export/publish.py --export_dir=served/digits --label=canary:4
    python export/publish.py --export_dir=served/digits --promote=canary # or a number
    python export/publish.py --export_dir=served/digits --roll_back
    python export/publish.py --export_dir=served/digits --unlabel=canary
    python export/publish.py --export_dir=served/digits --retire=2       # or --keep=3

Labels live in export_dir/serving.json; what TensorFlow Serving reads, in export_dir/serving/.
"""

from absl import flags

from tfae import labels, promotion, publish
from tfae.bin import cli
from tfae.errors import InputError

flags.DEFINE_string("export_dir", None, "Folder of the versions 1, 2, 3, ...")
flags.DEFINE_string("promote", None, "Version, or a label of one, that becomes stable.")
flags.DEFINE_bool("roll_back", False, "The version that was stable before becomes it again.")
flags.DEFINE_string("label", None, "LABEL:VERSION, such as canary:4.")
flags.DEFINE_string("unlabel", None, "A label to take away.")
flags.DEFINE_string("retire", None, "A version to remove that has no label.")
flags.DEFINE_integer("keep", None, "Remove all but so many of the newest, and the labelled ones.",
                     lower_bound=1)
flags.DEFINE_string("model_name", None, "What clients call the model. Default: the folder's name.")
flags.DEFINE_string("base_path", None, "Folder of the versions as the server sees it. Default: "
                    "/models/MODEL_NAME.")
flags.DEFINE_integer("max_batch_size", None, "Largest batch the server makes of waiting requests. "
                     f"Default: {labels.MAX_BATCH}.", lower_bound=1)

_ACTIONS = ("promote", "roll_back", "label", "unlabel", "retire", "keep")
_SETTINGS = ("model_name", "base_path", "max_batch_size")


def main():
  args = flags.FLAGS
  export_dir = cli.required("export_dir")
  actions = [name for name in _ACTIONS if args[name].value not in (None, False)]
  settings = {name: args[name].value for name in _SETTINGS if args[name].value is not None}
  if len(actions) + bool(settings) > 1:
    raise InputError(f"{' and '.join(f'--{name}' for name in [*actions, *settings])}: one change "
                     "at a time.")
  if settings:
    promotion.configure(export_dir, **settings)
  if actions:
    _act(export_dir, actions[0], args[actions[0]].value)
  _show(export_dir)
  return 0


def _act(export_dir, action, value):
  if action == "keep":
    publish.retire(export_dir, value)
  elif action == "roll_back":
    promotion.roll_back(export_dir)
  elif action == "label":
    label, colon, version = value.rpartition(":")
    if not colon:
      raise InputError(f"--label={value}: expected LABEL:VERSION, such as canary:4.")
    promotion.label(export_dir, label, version)
  else:
    getattr(promotion, action)(export_dir, value)


def _show(export_dir):
  found = promotion.versions(export_dir)
  print(f"{'version':>8} {'bytes':>14}  labels")
  for version in found:
    print(f"{version.number:8} {version.bytes:14,}  {', '.join(version.labels)}".rstrip())
  serving = labels.read(export_dir)
  if not found:
    print("nothing is published")
  elif serving is None or not serving.labels:
    print(f"no label: a server takes the highest version, {found[-1].number}")
  else:
    print(f"model {serving.model_name}, seen by the server at {serving.server_path}, batches of at "
          f"most {serving.max_batch_size}; {export_dir}/serving/models.config")


if __name__ == "__main__":
  cli.run(main)
