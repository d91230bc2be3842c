"""How a run can be made again: its command, its config, versions, seed and data."""

import json

from tfae.report import settings, words
from tfae.report.markup import code, folded, join, pairs, table, tag


def section(facts, now):
  """Returns the section of a report.

  Args:
    facts: `tfae.report.facts.Facts`.
    now: `tfae.sessions.versions()` of who writes, for a run that did not record its own.
  """
  return join([_command(facts), _lengthened(facts), _processes(facts), _changed(facts),
               folded("The whole config", code(json.dumps(facts.config, indent=2))),
               tag("h3", "Versions, seed, data"), _versions(facts, now)])


def _command(facts):
  text, ours = words.command(facts.sessions[-1].command) if facts.sessions else ("", False)
  file = settings.config_file(facts.settings) if facts.experiment else None
  equal = folded("A config file that equals it", tag(
      "p", "Whatever the files of configs/ are by then: tfae-train --config=this.py "
      "--workdir=NEW trains the same."), code(file)) if file else None
  if ours:
    first = tag("p", "The command that trained it last:" if len(facts.sessions) > 1 else
                "The command that trained it:")
    return join([first, code(text), equal])
  if facts.sessions:
    return join([tag("p", "It was trained by a program of its own:"), code(text), equal])
  lost = "The command was not recorded: the run is of a tfae that did not."
  if not file:
    return tag("p", f"{lost} It called tfae.fit with a model built by hand.")
  return join([tag("p", f"{lost} This config file equals its own; tfae-train --config=this.py "
                        "--workdir=NEW trains the same:"), code(file)])


def _lengthened(facts):
  lengths = list(dict.fromkeys(f"{session.total_steps:,}" for session in facts.sessions))
  if len(lengths) < 2:
    return None
  return tag("p", f"Its length was changed on the way ({' -> '.join(lengths)} steps). Where the "
                  "learning rate follows the length, only the same commands one after the other "
                  "give the same run.", class_="note")


def _processes(facts):
  """Who trained when: of interest where there were several."""
  if not facts.sessions:
    return None
  rows = [[words.moment(s.began), f"{s.step:,}", "?" if s.end_step is None else f"{s.end_step:,}",
           " ".join(filter(None, [s.how or "no word of its end",
                                  f"({s.why})" if s.how == "signal" else ""])),
           words.duration(s.ended - s.began) if s.ended else "-",
           tag("code", words.command(s.command)[0])] for s in facts.sessions]
  return folded(f"{len(rows)} process{'es' * (len(rows) != 1)} trained it", table(
      ["began", "from step", "to step", "ended", "took", "command"], rows, (1, 2)))


def _changed(facts):
  rows = [[tag("code", s.name), tag("code", s.value),
           "-" if s.default is None else tag("code", s.default)]
          for s in facts.settings if s.changed]
  return join([tag("h3", "Config fields that differ from their defaults"),
               table(["field", "value", "default"], rows) if rows else tag("p", "None.")])


def _versions(facts, now):
  made_on = facts.sessions[-1].made_on if facts.sessions else {}
  versions = {**now, "tfae": facts.config["tfae"], **made_on}
  listed = ", ".join(f"{name} {versions[name]}" for name in now)
  when = "" if made_on else " (those of now: the run recorded that of tfae only)"
  seed = next(s.value for s in facts.settings if s.name == "seed")
  return pairs([
      ("Versions", f"{listed}{when}"), ("Machine", made_on.get("machine")), ("Seed", seed),
      ("Data, sha256", tag("code", facts.data["sha256"])),
      ("Config, sha256", "checksum" in facts.config and tag("code", facts.config["checksum"]))])
