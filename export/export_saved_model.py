"""Publishes a trained run as a frozen SavedModel, verified in a process that can't import tfae.

    python export/export_saved_model.py --workdir=runs/quickstart --export_dir=served/digits

If tfae-anomaly has chosen a threshold for that checkpoint, the signature `score` has a second
output, `is_anomaly`: 1 where the score is above it.
"""

import sys

from absl import flags

from tfae import labels, raw_inputs, thresholds
from tfae import workdir as workdirs
from tfae.bin import cli

flags.DEFINE_string("workdir", None, "Folder of the run.")
flags.DEFINE_string("export_dir", None, "Folder of the versions 1, 2, 3, ...")
flags.DEFINE_string("checkpoint", "latest", "latest, best or a step.")
flags.DEFINE_integer("keep", None, "How many versions stay, the newest always; 2 or more leave a "
                     "reader time to load; not set: all. What has a label stays.", lower_bound=1)
flags.DEFINE_integer("warmup", labels.MAX_BATCH, "Examples of the largest request that TensorFlow "
                     "Serving warms up with; 0: no warmup file.", lower_bound=0)
flags.DEFINE_list("raw_inputs", [], "Signatures beside those for floats, one or both: uint8 "
                  "(KEY_uint8 takes pixels of a byte), bytes (KEY_bytes: PNG and JPEG files).")


def main():
  args = flags.FLAGS
  workdir, export_dir = cli.required("workdir"), cli.required("export_dir")
  _, config = cli.run_of(workdir)
  data = config["data"]
  raw_inputs.check(args.raw_inputs, data["image_shape"], data["max_value"])
  examples = workdirs.read_examples(workdir)
  cli.import_tensorflow()  # not before the input has been checked
  from tfae import build, exporting, saved_model
  # The constants of a frozen graph have no device; a CPU is always there.
  model, _, _, step = build.load_model(workdir, args.checkpoint, "/CPU:0")
  threshold = thresholds.of_checkpoint(workdir, step)
  if threshold:
    print(f"is_anomaly: score > {threshold.value:.6g}, {threshold.words}, step {step}")
  try:
    export = exporting.export(
        model, export_dir, examples=examples, max_value=data["max_value"],
        metadata={**workdirs.export_metadata(config), "step": step},
        keep=args.keep, warmup=args.warmup, raw_inputs=args.raw_inputs,
        threshold=threshold)
  except saved_model.VerificationError as error:
    print(f"not published: {error}", file=sys.stderr)
    return 1
  print(f"{'signature':16} {'output':16} {'difference':>12} {'bound':>12}")
  for signature, output, difference, bound in export.differences:
    print(f"{signature:16} {output:16} {difference:12.3g} {bound:12.3g}")
  print(f"saved_model.pb: {export.bytes:,} bytes, {export.bytes / export.parameters:.3f} a "
        f"parameter ({export.parameters:,}), step {step}")
  for name, digest in sorted(export.sha256.items()):
    print(f"sha256 {digest}  {name}")
  print(f"published {export.path}")
  return 0


if __name__ == "__main__":
  cli.run(main)
