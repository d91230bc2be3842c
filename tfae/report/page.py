"""The page of one run: from facts and pictures to HTML."""

import statistics

import tfae
from tfae.report import repeat, words
from tfae.report.markup import document, folded, join, pairs, picture, table, tag
from tfae.report.words import exact

_MOOD = {"complete": "good", "stopped early": "good", "in training": "warn", "just begun": "warn",
         "interrupted": "warn", "unknown": "warn", "diverged": "bad"}
_TASKS = {"reconstruct": "an autoencoder", "variational": "a variational autoencoder",
          "classify": "a classifier", "probe": "a classifier on the codes of a frozen encoder"}
_SECTIONS = {"data": "The data", "results": "What the model gives back", "codes": "The codes",
             "inside": "Inside the model", "anomaly": "Anomalies"}
_ROWS = 200  # of the table of epochs
_KINDS = ("train", "epoch", "validation", "test")


def page(facts, now, drawn=(), curves=(), exported=None, *, shown=None, notes=(),
         written=None):
  """Returns the HTML of a report, whole.

  Args:
    facts: `tfae.report.facts.Facts`.
    now: `tfae.sessions.versions()`.
    drawn: `tfae.report.pictures.Picture`s.
    curves: those of `tfae.report.curves`, likewise.
    exported: `tfae.report.export.Exported`, or None.
    shown: whose weights and images the pictures show, in a sentence; None: not said.
    notes: sentences on what could not be shown, and why.
    written: seconds since 1970, when it is written; None: not said.
  """
  sections = {
      "run": ("What was trained", _trained(facts)),
      "results": ("Results", _results(facts)),
      "training": ("Training", _training(facts, curves, drawn)),
      "pictures": ("Pictures", _pictures(drawn, shown)),
      "model": ("Model", _model(facts, drawn)),
      "repeat": ("How to repeat it", repeat.section(facts, now)),
      "files": ("Checkpoints and export", _files(facts, exported)),
      "missing": ("What is not shown", _missing(drawn)),
  }
  sections = {key: value for key, value in sections.items() if value[1]}
  head = tag("header", tag("p", "tfae run", class_="soft"), tag("h1", facts.name),
             tag("p", tag("span", facts.state.word, class_=f"state {_MOOD[facts.state.word]}"),
                 " ", facts.state.text),
             *(tag("p", note, class_="note") for note in notes),
             _key(facts),
             tag("nav", join([tag("a", title, href=f"#{key}")
                              for key, (title, _) in sections.items()]), aria_label="Sections"))
  body = (tag("section", tag("h2", title), content, id=key)
          for key, (title, content) in sections.items())
  foot = tag("footer", f"Written by tfae {tfae.__version__}"
             + (f" on {words.moment(written)}." if written else "."))
  return document(f"{facts.name}: a run of tfae", tag("main", head, *body, foot))


def _key(facts):
  """The handful of numbers that one asks for first."""
  kind = next((kind for kind in ("test", "validation", "epoch") if facts.last(kind)), None)
  cards = []
  if kind:
    of = {"epoch": "training, last epoch"}.get(kind, kind)
    shown = [name for name in facts.last(kind) if name != "last_batch_loss"][:3]
    cards += [(f"{words.metric(name)}, {of}", exact(facts.last(kind)[name])) for name in shown]
  cards += [("parameters", words.number(facts.parameters)) if facts.parameters else None,
            ("steps", f"{facts.step:,}"),
            ("of training", words.duration(facts.seconds[-1])) if facts.seconds else None]
  return tag("ul", *(tag("li", tag("b", value), tag("span", name))
                     for name, value in filter(None, cards)), class_="key")


def _trained(facts):
  data = facts.data
  what = (_TASKS.get(facts.task, facts.task) if facts.experiment
          else "a model built by hand (tfae.fit)")
  names = data.get("class_names") or ()
  classes = data.get("classes", 0)
  return pairs([
      ("Model", f"{what[0].upper()}{what[1:]}"
       + ("" if facts.parameters is None else f" of {facts.parameters:,} parameters")),
      ("Code", _code(facts)),
      ("Loss", facts.loss),
      ("Data", f"{data['name']}: {data['train']:,} images to train on, {data['validation']:,} for "
               f"validation, {data['test']:,} for testing"),
      ("Images", f"{words.shape(data['image_shape'])} (height x width x channels), values 0 to "
                 f"{data['max_value']:g}"),
      ("Classes", f"{classes}{': ' if names else ''}{', '.join(names)}" if classes else None),
      ("Length", f"{facts.total_steps:,} steps, {facts.steps_per_epoch:,} an epoch"),
      ("Folder", tag("code", facts.workdir))])


def _code(facts):
  shape = facts.code_shape
  return shape and f"{words.shape(shape)} numbers an image"


def _results(facts):
  """A metric a row, the splits beside each other; then what was evaluated besides."""
  validation = facts.of_kind("validation")
  losses = [line["loss"] for line in validation if isinstance(line.get("loss"), (int, float))]
  best = next((line for line in validation if losses and line.get("loss") == min(losses)), None)
  columns = {
      "training, mean of the last epoch": facts.last("epoch"),
      "validation, last": facts.last("validation"),
      f"validation, lowest loss (step {best['step']:,})" if best else "": best or {},
      "test": facts.last("test")}
  columns = {title: values for title, values in columns.items() if values}
  if not columns:
    return tag("p", "Nothing has been evaluated yet.")
  names = list(dict.fromkeys(name for values in columns.values() for name in values
                             if name in facts.metrics_of_splits))
  parts = [table(["metric", *columns],
                 [[words.metric(name), *(exact(values.get(name)) for values in columns.values())]
                  for name in names], range(1, 1 + len(columns)))]
  for kind in dict.fromkeys(line["kind"] for line in facts.lines):
    if kind not in _KINDS:
      lines = facts.of_kind(kind)
      fields = list(dict.fromkeys(name for line in lines for name in line
                                  if name not in ("kind", "timing", "closing")))
      parts.append(table(fields, [[_cell(line.get(name)) for name in fields] for line in lines],
                         range(len(fields)), caption=f"{words.metric(kind)} (added later)"))
  return join([*parts, _epochs(facts)])


def _cell(value):
  return exact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) \
      else "-" if value is None else value


def _epochs(facts):
  """Every epoch, or so many of them evenly spaced, with its validation."""
  epochs = facts.of_kind("epoch")
  if not epochs:
    return None
  validation = {line["step"]: line for line in facts.of_kind("validation")}
  names = list(dict.fromkeys(name for line in validation.values()
                             for name in line if name in facts.metrics_of_splits))
  every = -(-len(epochs) // _ROWS)
  shown = [line for index, line in enumerate(epochs, 1)
           if index % every == 0 or index == len(epochs)]
  rows = [[f"{line['epoch']:,}", f"{line['step']:,}", _cell(line.get("loss")),
           *(_cell(validation.get(line["step"], {}).get(name)) for name in names)]
          for line in shown]
  which = "Every epoch" if every == 1 else f"Every {every}th epoch and the last"
  return folded(f"{which}: {len(rows)} rows", table(
      ["epoch", "step", "training loss", *(f"validation {words.metric(n)}" for n in names)],
      rows, range(3 + len(names))))


def _training(facts, curves, drawn):
  shown = [p for p in drawn if p.section == "training"] + list(curves)
  _, rates = facts.series("train", "images_per_second")
  _, waits = facts.series("train", "input_wait")
  count = len(facts.sessions)
  timing = pairs([
      ("Training took", facts.seconds and words.duration(facts.seconds[-1]) + (
          f" in {count} process{'es' * (count != 1)}" if count else
          ", from its first line to its last, pauses included")),
      ("An epoch", facts.epoch_seconds is not None
       and f"{words.duration(facts.epoch_seconds)}, its evaluation included (median)"),
      ("Images a second", rates and f"{statistics.median(rates):,.0f} (median of {len(rates)} "
                                    f"lines), {rates[-1]:,.0f} at the end"),
      ("Waiting for input", f"{statistics.mean(waits):.2%} of the time" if waits else
       "never: the images lie on the device" if rates else None),
      ("XLA", facts.sessions[-1].jit if facts.sessions else None)])
  return join([_shown(shown), tag("h3", "Timing") if facts.lines else None,
               timing if facts.lines else tag("p", "No step has been logged yet.")])


def _pictures(drawn, of):
  parts = []
  for section, title in _SECTIONS.items():
    shown = _shown([p for p in drawn if p.section == section and p.name != "diagram"])
    parts += [tag("h3", title), shown] if shown else []
  return join([tag("p", of, class_="soft") if of else None, *parts]) if parts else ""


def _shown(pictures):
  """Returns what was drawn, and what failed with its reason; '' for nothing of either."""
  cells = []
  for p in pictures:
    title = p.title[0].upper() + p.title[1:]
    if p.content:
      cells.append(picture(p.content, title, title, wide=p.wide))
    elif p.error:
      cells.append(tag("p", tag("strong", f"{title}: "), p.error, class_="note bad"))
  return tag("div", *cells, class_="pictures") if cells else ""


def _model(facts, drawn):
  rows = [[tag("code", layer.name), layer.kind, layer.activation, words.shape(layer.shape),
           f"{layer.parameters:,}", tag("code", layer.tied_to) if layer.tied_to else ""]
          for layer in facts.layers]
  devices = facts.sessions[-1].devices if facts.sessions else {}
  return join([
      _shown([p for p in drawn if p.name == "diagram"]),
      tag("p", f"The layers can't be told: {facts.layers_missing}", class_="note")
      if facts.layers_missing else table(
          ["layer", "kind", "activation", "output", "parameters", "kernel shared with"], rows, (4,),
          caption=f"{facts.parameters:,} parameters, each counted once"),
      tag("h3", "Devices"),
      table(["component", "device"], [[name, device] for name, device in devices.items()])
      if devices else tag("p", "Not recorded: the run is of a tfae that did not. Its config asks "
                               "for: ", facts.placement_asked, ".")])


def _files(facts, exported):
  rows = [[f"ckpt-{c.step}", words.size(c.size), c.what] for c in facts.checkpoints]
  return join([
      table(["checkpoint", "size", ""], rows, (1,)) if rows else
      tag("p", "There is no checkpoint."),
      tag("h3", "Export"), _export(exported) if exported else tag(
          "p", "None was named. Exports lie elsewhere: --saved_model=D/1 shows one here.")])


def _export(exported):
  description = exported.description
  signatures = [[tag("code", name), ", ".join(_tensors(s["inputs"])),
                 ", ".join(_tensors(s["outputs"]))]
                for name, s in sorted(description["signatures"].items())]
  checks = (tag("p", f"Not compared with the run: {exported.unchecked}.", class_="note")
            if exported.unchecked else table(
                ["signature", "output", "largest difference", "bound", ""],
                [[c.signature, c.output, f"{c.difference:.3g}", f"{c.bound:.3g}", tag(
                    "span", "passed" if c.passed else "FAILED",
                    class_="good" if c.passed else "bad")] for c in exported.checks], (2, 3),
                caption=f"Compared with the run's checkpoint on {exported.images} of its images, "
                        "when this was written"))
  metadata = description["metadata"]
  return join([
      pairs([("Folder", tag("code", exported.path)),
             ("Of step", f"{metadata['step']:,}" if "step" in metadata else None),
             ("sha256", tag("code", description["saved_model_sha256"])),
             ("Files", ", ".join(f"{name} {words.size(n)}" for name, n in
                                 exported.sizes.items()))]),
      checks, table(["signature", "inputs", "outputs"], signatures)])


def _tensors(entries):
  sizes = lambda shape: ", ".join("n" if size is None else str(size) for size in shape)
  return [f"{name} {entry['dtype']} [{sizes(entry['shape'])}]" for name, entry in entries.items()]


def _missing(drawn):
  skipped = [[p.title, p.reason] for p in drawn if p.reason]
  return folded(f"Pictures that do not apply to this run: {len(skipped)}",
                table(["picture", "why not"], skipped)) if skipped else ""
