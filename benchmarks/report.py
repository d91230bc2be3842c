"""The tables of training: one a workload, and one of all in the end."""

import dataclasses
import math
import statistics

import floors
from contest import spread, table

AGREE = 2e-2  # largest relative difference of losses in the end, and of bfloat16, not marked
HEADER = ["contender", "images/s", "tfae / it (lowest to highest)", "share of floor", "floor / it",
          "early loss, to tfae's", "loss in the end", "to tfae's"]


@dataclasses.dataclass(frozen=True)
class Standing:
  """How tfae stands in one workload; ratios are of each round.

  share: of the floor. peer: the name of its fastest peer, None: there is none. ahead: tfae's speed
  by that peer's. keras: by Keras's; none if there is no Keras.
  """
  name: str
  rate: float
  share: float
  peer: str | None
  ahead: list
  keras: list


def ratios(found, name, own="tfae"):
  return [ours / its for ours, its in zip(found["rates"][own], found["rates"][name])]


def share(workload, found, row):
  """Returns the median speed of a row as a share of the floor."""
  peak = found["peaks"][row.options.get("compute_dtype", "float32")]
  limit = workload.batch / floors.seconds(workload, peak, found["peaks"]["bytes"])
  return statistics.median(found["rates"][row.name]) / limit


def standing(workload, rows, found):
  """Returns the `Standing` after what `train_throughput.measure` found."""
  peers = {row.name: statistics.median(found["rates"][row.name]) for row in rows
           if row.name in found["rates"] and row.module != rows[0].module}
  keras = [row.name for row in rows if row.name in peers and row.family == "Keras fit"]
  best = max(peers, key=peers.get, default=None)
  own = rows[0]
  return Standing(workload.name, statistics.median(found["rates"][own.name]),
                  share(workload, found, own), best, ratios(found, best) if best else [],
                  ratios(found, keras[0]) if keras else [])


def cells(workload, rows, found):
  """Returns the lines of a workload's table, each a list of strings."""
  own, result = rows[0].name, []
  for row in rows:
    if row.name in found["absent"]:
      reason = found["absent"][row.name].splitlines()
      result.append([row.name, reason[0][:60]] + [""] * (len(HEADER) - 2))
    if row.name not in found["rates"]:
      continue
    rate, of_floor = statistics.median(found["rates"][row.name]), share(workload, found, row)
    late_bound = max(AGREE, workload.chance)
    exact = row.options.get("compute_dtype", "float32") == "float32"
    early, late = (f"{d:+.1e}" + ("" if abs(d) <= bound else " (!)") for d, bound in
                   ((found["early"][row.name] / found["early"][own] - 1,
                     workload.chance if exact else late_bound),
                    (found["losses"][row.name] / found["losses"][own] - 1, late_bound)))
    result.append([row.name, f"{rate:,.0f}", spread(ratios(found, row.name, own)),
                   f"{of_floor:.2f}", f"{1 / of_floor:.2f}", early,
                   f"{found['losses'][row.name]:.6f}", late])
  return result


def report(workload, rows, rounds, steps, found, markdown):
  """Returns the text of a workload's results."""
  peaks, stands = found["peaks"], standing(workload, rows, found)
  ended = [f"{name} {rate:,.0f}" for name, rate in found["screened"].items()
           if name not in found["rates"]]
  title = f"{workload.system}, batch {workload.batch}"
  ahead = f" The fastest peer is {stands.peer}: {spread(stands.ahead)}." if stands.peer else ""
  return "\n\n".join([
      f"### {title}" if markdown else f"\n{title}",
      f"{rounds} rounds of {steps} steps, {found['steps']} steps in all; the early loss is that "
      f"after {workload.warm_up}. "
      f"Peak {peaks['float32'] / 1e9:.0f} GFLOP/s in float32, {peaks['bfloat16'] / 1e9:.0f} in "
      f"bfloat16, {peaks['bytes'] / 1e9:.0f} GB/s; "
      f"{floors.flops(workload.system) / 1e6:.2f} MFLOP an image. An idle contender used at "
      f"most {found['idle']:.1%} of a core.{ahead}",
      table(HEADER, cells(workload, rows, found), markdown),
      "Left out after the short rounds, images/s in the better one, which is not that of the "
      f"rounds above: {'; '.join(ended) or 'none'}."]) + "\n"


def geometric_mean(values):
  return math.exp(statistics.fmean(map(math.log, values)))


def summary(standings, markdown):
  """Returns the text that closes a run: all workloads, and the geometric means of their medians."""
  lines, means = [], []
  for one in standings:
    lines.append([one.name, f"{one.rate:,.0f}", one.peer or "none",
                  spread(one.ahead) if one.ahead else "", spread(one.keras) if one.keras else "",
                  f"{one.share:.2f}"])
  for what, key in (("the best peer", "ahead"), ("Keras", "keras")):
    medians = {one.name: statistics.median(getattr(one, key)) for one in standings
               if getattr(one, key)}
    if medians:
      lowest = min(medians, key=medians.get)
      means.append(f"{geometric_mean(medians.values()):.2f} times {what} over {len(medians)} "
                   f"workloads (lowest {medians[lowest]:.2f}, {lowest})")
  return "\n\n".join([
      "### All workloads" if markdown else "\nAll workloads",
      table(["workload", "tfae, images/s", "best peer", "tfae / best peer", "tfae / Keras",
             "tfae's share of floor"], lines, markdown),
      f"Geometric means: {'; '.join(means) or 'no peer took part'}."]) + "\n"
