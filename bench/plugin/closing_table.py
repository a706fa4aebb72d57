"""The table at the end of a run: speed-ups with intervals and verdicts, strongest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.knobs import COMMUNICATION, IMPLEMENTATION, NAMES
from torchduet.bench.record.marks import by_id, of_comparison
from torchduet.bench.record.schema import QUIET, NoiseRecord, Record, SpeedupRecord
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.statistics import half_width
from torchduet.bench.record.units import MARK, MAX_ROWS, factor

# The knobs that users set first, then the implementations that a workload's author wrote.
ORDER = (*(knob for knob in NAMES if knob != IMPLEMENTATION), IMPLEMENTATION, COMMUNICATION, "reference")

MAX_COMMUNICATION = 12  # cases whose communication is listed


def rows(records: Sequence[Record]) -> list[tuple[str, SpeedupRecord]]:
    """(case id, speed-up) of all cases: knob by knob, the fastest first."""
    unordered = [(record["case"]["id"], speedup) for record in records for speedup in counted(record)]
    return sorted(unordered, key=lambda row: (ORDER.index(row[1]["knob"]), -row[1]["ratio"]))


def communication(records: Sequence[Record]) -> list[str]:
    """A line for each case that was held against the same step without its communication, the largest shares first.

    A case's share is 1 − t_without / t_case: what communication takes beside computation, the wrapper's overhead
    included.
    """
    found = [
        (record["case"]["id"], speedup)
        for record in records
        for speedup in record["speedups"]
        if speedup["knob"] == COMMUNICATION
    ]
    if not found:
        return []
    shown = sorted(found, key=lambda row: row[1]["ratio"])[:MAX_COMMUNICATION]
    width = max(len(case) for case, _ in shown)
    lines = [f"{'communication, as a share of the step':<{width}}  share  99 % interval"]
    for case, speedup in shown:
        low, high = speedup["low"], speedup["high"]
        interval = "none" if low is None or high is None else f"{1 - high:.0%} to {1 - low:.0%}"
        lines.append(f"{case:<{width}}  {1 - speedup['ratio']:>5.0%}  {interval}")
    if (more := len(found) - len(shown)) > 0:
        lines.append(f"… and {more} more; the report has all of them")
    return lines


def noise_of(run: NoiseRecord | None) -> list[str]:
    """The machine's noise, its causes and what would help; empty if it was quiet."""
    if run is None or run["grade"] == QUIET:
        return []
    lines = [
        f"the machine was {run['grade']}: {run['causes'][0] if run['causes'] else 'the times of its pilots changed'}"
    ]
    lines += [f"  {cause}" for cause in run["causes"][1:]]
    return [*lines, f"  what would help: {run['remedy']}"] if "remedy" in run else lines


def unclear(records: Sequence[Record], run: NoiseRecord | None = None) -> list[str]:
    """One line on the speed-ups that stayed unclear, and what would settle them; empty if there are none."""
    all_rows = rows(records)
    unclear_rows = [(case, speedup) for case, speedup in all_rows if speedup["verdict"] == "unclear"]
    if not unclear_rows:
        return []
    case, widest = max(unclear_rows, key=lambda row: half_width(row[1]["low"], row[1]["high"]))
    stops = Counter(record["timing"]["stop"] for record in records)
    width = half_width(widest["low"], widest["high"])
    width_words = f"±{width:.0%}" if math.isfinite(width) else "too few placements for an interval"
    line = f"{len(unclear_rows)} of {len(all_rows)} speed-ups stayed unclear (widest: {case}, {width_words}); "
    remedy = "a longer --budget" if stops["budget"] or run is not None else "a quieter machine, or fewer --threads"
    noisy = {record["case"]["id"] for record in records if record.get("noise", {}).get("grade", QUIET) != QUIET}
    too_noisy = sum(case in noisy for case, _ in unclear_rows)
    if too_noisy and noise_of(run):
        all_of_them = "it" if len(unclear_rows) == 1 else "them"
        which = all_of_them if too_noisy == len(unclear_rows) else f"{too_noisy} of them"
        line += f"the machine was too noisy to settle {which} within this budget (see above for what would help)"
        return [line if which == all_of_them else f"{line}; {remedy} would settle more of the others"]
    return [f"{line}{remedy} would settle more of them"]


def table(records: Sequence[Record], max_rows: int = MAX_ROWS) -> list[str]:
    """The table's lines; empty if nothing was compared. It shows the largest effects if not all of them fit."""
    all_rows, measured = rows(records), by_id(records)
    if not all_rows:
        return []
    largest = sorted(all_rows, key=lambda row: -abs(math.log(row[1]["ratio"])))[:max_rows]
    width = max(len(case) for case, _ in largest)
    against = max(len(speedup["baseline"]) for _, speedup in largest)
    lines, knob = [], ""
    for case, speedup in all_rows:
        if (case, speedup) not in largest:
            continue
        if speedup["knob"] != knob:
            knob = speedup["knob"]
            lines.append(f"{knob:<{width}}  {'against':<{against}}  {'speed-up':>8}  99 % interval      verdict")
        interval = f"{factor(speedup['low'])} to {factor(speedup['high'])}"
        lines.append(
            f"{case:<{width}}  {speedup['baseline']:<{against}}  {factor(speedup['ratio']):>8}  {interval:<17}  "
            f"{MARK[speedup['verdict']]} {speedup['verdict']}"
        )
        if marks := of_comparison(measured[case], measured.get(speedup["against"])):
            lines[-1] = f"{lines[-1]:<{len(lines[-1]) + 7 - len(speedup['verdict'])}}  {marks}"
    if (smaller := len(all_rows) - len(largest)) > 0:
        lines.append(f"… and {smaller} smaller effect{'s' if smaller > 1 else ''}; the report has all of them")
    return lines
