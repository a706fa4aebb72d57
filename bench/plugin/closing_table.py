"""The table at the end of a run: speed-ups with intervals, verdicts and times, strongest first; or the times alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from torchduet.bench.record.duets.words import wide_words
from torchduet.bench.record.knobs import COMMUNICATION, IMPLEMENTATION, NAMES
from torchduet.bench.record.marks import by_id, of_comparison, short_marks
from torchduet.bench.record.schema import QUIET, NoiseRecord, Record, SpeedupRecord
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.statistics import half_width
from torchduet.bench.record.units import MARK, MAX_ROWS, factor, ratio, ratio_interval, seconds
from torchduet.bench.record.units import half_width as half_width_words
from torchduet.bench.record.words.counting import plural
from torchduet.bench.record.words.times import time_of

# The knobs that users set first, then the implementations that a workload's author wrote.
ORDER = (*(knob for knob in NAMES if knob != IMPLEMENTATION), IMPLEMENTATION, COMMUNICATION, "reference")

MIN_NAME = 24  # columns: a terminal with less room for a name wraps its lines
COLOURS = {"faster": "green", "slower": "red", "unclear": "yellow"}
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
    width_words = half_width_words(width) if math.isfinite(width) else "too few placements for an interval"
    width_words = wide_words(widest["low"], widest["high"]) or width_words
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


def table(records: Sequence[Record], max_rows: int = MAX_ROWS, width: int | None = None) -> list[str]:
    """The table's lines; empty if nothing was compared. It shows the largest effects if not all of them fit.

    Args:
        width: columns of the terminal; names are shortened to fit. None: there is no terminal, and nothing is cut.
    """
    all_rows, measured = rows(records), by_id(records)
    if not all_rows:
        return []
    largest = sorted(all_rows, key=lambda row: -abs(math.log(row[1]["ratio"])))[:max_rows]
    shown = [row for row in all_rows if row in largest]
    cells = [(case, *_cells(measured[case], speedup, measured)) for case, speedup in shown]
    heads = ("baseline", "speed-up", "99 % interval", "time", "baseline time")
    wide = [max(map(len, column)) for column in zip(heads, *(row[1:6] for row in cells), strict=True)]
    after = 11 + max(len(marks) + 2 if marks else 0 for *_, marks in cells)  # the verdict and the marks
    names = _names([case for case, *_ in cells], None if width is None else width - sum(wide) - 2 * len(wide) - after)
    first = max(map(len, (*names.values(), *(speedup["knob"] for _, speedup in shown))))
    lines, knob = [], ""
    for (case, speedup), (_, *texts, marks) in zip(shown, cells, strict=True):
        if speedup["knob"] != knob:
            knob = speedup["knob"]
            lines.append(f"{_line(knob, first, heads, wide)}  verdict")
        verdict = f"{MARK[speedup['verdict']]} {speedup['verdict']}"
        lines.append(f"{_line(names[case], first, texts, wide)}  {verdict:<9}  {marks}".rstrip())
    if (smaller := len(all_rows) - len(largest)) > 0:
        lines.append(f"… and {plural(smaller, 'smaller effect')}; the report has all of them")
    return lines


def alone(records: Sequence[Record]) -> list[Record]:
    """The cases in no comparison: neither compared with another nor the baseline of one."""
    pairs = [(record["case"]["id"], speedup["against"]) for record in records for speedup in counted(record)]
    compared = {case for pair in pairs for case in pair}
    return [record for record in records if record["case"]["id"] not in compared]


def times(records: Sequence[Record], max_rows: int = MAX_ROWS) -> list[str]:
    """Time per call, interval and first call of each case, the slowest first; for cases in no comparison."""
    slowest = sorted(records, key=lambda record: -record["timing"]["seconds"])
    cells = [
        (record["case"]["id"], *time_of(record), seconds(record["first_call"]["seconds"]), short_marks(record))
        for record in slowest[:max_rows]
    ]
    heads = ("case", "time per call", "99 % interval", "first call")
    wide = [max(map(len, column)) for column in zip(heads, *(row[:4] for row in cells), strict=True)]
    lines = [f"{_line(row[0], wide[0], row[1:4], wide[1:])}  {row[4]}".rstrip() for row in ((*heads, ""), *cells)]
    if (more := len(records) - max_rows) > 0:
        lines.append(f"… and {plural(more, 'faster case')}; the report has all of them")
    return lines


def coloured(line: str, markup: Callable[..., str]) -> str:
    """A line of the table with its verdict in colour, if ``markup``, the terminal writer's, has any."""
    for verdict, colour in COLOURS.items():
        words = f"  {MARK[verdict]} {verdict}"
        if words in line:
            return line.replace(words, f"  {markup(words.strip(), **{colour: True})}")
    return line


def _cells(record: Record, speedup: SpeedupRecord, measured: Mapping[str, Record]) -> tuple[str, ...]:
    """Baseline, speed-up, interval, both times and the marks of a comparison."""
    other = measured.get(speedup["against"])
    base = other["timing"]["seconds"] if other is not None else speedup.get("baseline_seconds")
    low, high = speedup["low"], speedup["high"]
    return (
        speedup["baseline"],
        _ratio(speedup["ratio"]),
        wide_words(low, high) or ratio_interval(low, high) or "none",
        seconds(record["timing"]["seconds"]),
        "" if base is None else seconds(base),
        of_comparison(record, other),
    )


def _ratio(value: float) -> str:
    """A speed-up; one of a thousand or a hundredth with fewer digits: ``1.31×``, ``1,620×``."""
    return factor(value) if 0.01 <= value < 1000 else ratio(value)


def _line(name: str, first: int, texts: Sequence[str], wide: Sequence[int]) -> str:
    """Names begin at the left, figures end at the right."""
    return "  ".join([f"{name:<{first}}", *(f"{text:>{width}}" for text, width in zip(texts, wide, strict=True))])


def _names(cases: Sequence[str], room: int | None) -> dict[str, str]:
    """Case → its name, shortened in its middle where the terminal is too narrow for it."""
    if room is None or room < MIN_NAME:
        return {case: case for case in cases}
    kept = room - 1
    return {
        case: case if len(case) <= room else f"{case[: kept // 3]}…{case[len(case) - (kept - kept // 3) :]}"
        for case in cases
    }
