"""The table at the end of a run: speed-ups with intervals and verdicts, strongest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.knobs import IMPLEMENTATION, NAMES
from torchduet.bench.record.schema import QUIET, NoiseRecord, Record, SpeedupRecord
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.statistics import half_width
from torchduet.bench.record.units import MARK, MAX_ROWS, factor

# The order in which people ask: what a workload's author wrote several ways comes after what was set.
ORDER = (*(knob for knob in NAMES if knob != IMPLEMENTATION), IMPLEMENTATION, "reference")


def rows(records: Sequence[Record]) -> list[tuple[str, SpeedupRecord]]:
    """(case id, speed-up) for each knob turned: knob by knob, the fastest first."""
    found = [(record["case"]["id"], speedup) for record in records for speedup in counted(record)]
    return sorted(found, key=lambda row: (ORDER.index(row[1]["knob"]), -row[1]["ratio"]))


def noise_of(run: NoiseRecord | None) -> list[str]:
    """How noisy the machine was, why and what would help; nothing of a quiet one."""
    if run is None or run["grade"] == QUIET:
        return []
    lines = [f"the machine was {run['grade']}: {run['causes'][0] if run['causes'] else 'its pilots moved'}"]
    lines += [f"  {cause}" for cause in run["causes"][1:]]
    return [*lines, f"  what would help: {run['remedy']}"] if "remedy" in run else lines


def unclear(records: Sequence[Record], run: NoiseRecord | None = None) -> list[str]:
    """One line on what stayed unclear, and what would make it clear; none where all is settled."""
    found = rows(records)
    open_ones = [(case, one) for case, one in found if one["verdict"] == "unclear"]
    if not open_ones:
        return []
    case, widest = max(open_ones, key=lambda row: half_width(row[1]["low"], row[1]["high"]))
    stops = Counter(record["timing"]["stop"] for record in records)
    width = half_width(widest["low"], widest["high"])
    by = f"±{width:.0%}" if math.isfinite(width) else "too few placements for an interval"
    line = f"{len(open_ones)} of {len(found)} speed-ups stayed unclear (widest: {case}, {by}); "
    remedy = "a longer --budget" if stops["budget"] or run is not None else "a quieter machine, or fewer --threads"
    noisy = {record["case"]["id"] for record in records if record.get("noise", {}).get("grade", QUIET) != QUIET}
    too_noisy = sum(case in noisy for case, _ in open_ones)
    if too_noisy and noise_of(run):
        all_of_them = "it" if len(open_ones) == 1 else "them"
        which = all_of_them if too_noisy == len(open_ones) else f"{too_noisy} of them"
        line += f"the machine was too noisy to settle {which} within this budget: what would help is said above"
        return [line if which == all_of_them else f"{line}; {remedy} would settle more of the others"]
    return [f"{line}{remedy} would settle more of them"]


def table(records: Sequence[Record], most: int = MAX_ROWS) -> list[str]:
    """The table's lines; empty when nothing was compared. The largest effects where not all fit."""
    found = rows(records)
    if not found:
        return []
    largest = sorted(found, key=lambda row: -abs(math.log(row[1]["ratio"])))[:most]
    width = max(len(case) for case, _ in largest)
    against = max(len(speedup["baseline"]) for _, speedup in largest)
    lines, knob = [], ""
    for case, speedup in found:
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
    if len(largest) < len(found):
        lines.append(f"… and {len(found) - len(largest)} smaller effects; the report has them all")
    return lines
