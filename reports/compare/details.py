"""Packs comparisons as compact data for the page's script: every row of the tables, and both runs' record of each case.

Names and texts that recur are numbered. Samples are differences from the base's time per call in ten-thousandths of it.
So ten thousand cases with their placements fit into a page that a browser opens at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from torchduet.bench.record.schema import QUIET, Record
from torchduet.reports.compare import commands, memory
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.listed import ordered
from torchduet.reports.compare.matrix import Line, matrix
from torchduet.reports.compare.text import noise_and_marks
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.shifts.leave_out import Array
from torchduet.reports.tables.visits import placements_by_visit
from torchduet.reports.text import units
from torchduet.reports.text.escaping import visible
from torchduet.reports.text.settings import FILTERS, filter_values

STEPS = 10_000  # the unit of samples: the base's time per call over this
LOPSIDED = 2.0  # an interval that reaches so many times as far to one side of its ratio is explained …
WORTH_SAYING = 0.01  # … if that is so far, in logarithms
MAX_BLOCKS = 200_000  # in all cases together; with more, the page has medians of placements but no single blocks


def embedded(comparisons: Sequence[Comparison]) -> Markup:
    """The data as JSON that is safe in a ``script`` element: nothing in it ends the element."""
    text = msgspec.json.encode(_data(comparisons)).decode()
    return Markup(text.replace("<", "\\u003c"))  # less-than signs occur only within texts


class _Texts(dict[str, int]):
    """Text → its number, in the order of first use."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def numbered(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """Case → its number in the data, for every case that the base and any other run measured."""
    numbers: dict[str, int] = {}
    for comparison in comparisons:
        for change in comparison.changes:
            if change.time:
                numbers.setdefault(change.case["id"], len(numbers))
    return numbers


def _data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    texts, numbers = _Texts(), numbered(comparisons)
    first = {
        change.case["id"]: (change, comparison)
        for comparison in comparisons[::-1]
        for change in comparison.changes
        if change.time
    }
    measured = [
        (record, comparison) for change, comparison in map(first.__getitem__, numbers) if (record := change.base)
    ]
    changes = [ordered(comparison) for comparison in comparisons]
    records = [record for record, _ in measured] + [change.new for run in changes for change in run if change.new]
    with_blocks = sum(sum(map(len, record["timing"]["blocks"])) for record in records) <= MAX_BLOCKS
    scales = {case: record["timing"]["seconds"] for case, (record, _) in zip(numbers, measured, strict=True)}
    before = _in_steps(
        {case: comparison.before[case] for case, (_, comparison) in zip(numbers, measured, strict=True)}, scales
    )
    cases = [
        [
            visible(case, spaces=False),
            [texts[setting] for setting in filter_values(record["case"]).values()],
            *_side(record, before[case], scales[case], texts, with_blocks),
        ]
        for case, (record, _) in zip(numbers, measured, strict=True)
    ]
    runs = [
        {
            "name": visible(comparison.new.name),
            "rows": [
                [numbers[case], *_row(change, texts), *_side(change.new, after[case], scales[case], texts, with_blocks)]
                for change in run
                for case in (change.case["id"],)
                if change.new
            ],
        }
        for comparison, run in zip(comparisons, changes, strict=True)
        for after in (_in_steps(comparison.after, scales),)
    ]
    lines = [_line(line, numbers, texts) for line in matrix(comparisons) if line.measured] if len(runs) > 1 else []
    base = comparisons[0].base.name
    return {
        "base": visible(base),
        "texts": list(map(visible, texts)),
        "filters": FILTERS,
        "cases": cases,
        "runs": runs,
        "lines": lines,
        "memory": any_memory(comparisons),
        "command": commands.measured(comparisons[0].base),
    }


def any_memory(comparisons: Sequence[Comparison]) -> bool:
    """Whether the tables have a column of peak memory: that of any case has changed."""
    return any(memory.words(change) for comparison in comparisons for change in comparison.changes)


def _line(line: Line, numbers: Mapping[str, int], texts: _Texts) -> list[Any]:
    """A line of the matrix: the case, the run to open it in, and every run's verdict (-1: none)."""
    verdicts = [texts[change.verdict] if change else -1 for change in line.changes]
    return [numbers[line.case["id"]], line.most_urgent, *verdicts]


def last_cell(change: Change) -> str:
    """Why the verdict is unclear or the interval lopsided, the noise of both runs, and the marks of the case."""
    why = change.time.why if change.time else ""
    return "; ".join(filter(None, (why or lopsided(change), noise_and_marks(change))))


def lopsided(change: Change) -> str:
    """Why an interval reaches much further to one side of its ratio; empty where it does not.

    That of visits is as far to either side (in logarithms) until it is extended by how the machine may have changed.
    """
    time = change.time
    if time is None or not time.low or not time.high or not (_visited(change.base) and _visited(change.new)):
        return ""
    below, above = math.log(time.ratio / time.low), math.log(time.high / time.ratio)
    if max(below, above) < max(LOPSIDED * min(below, above), WORTH_SAYING):
        return ""
    side = "down" if below > above else "up"
    return f"the interval reaches further {side}: by the pilots, the machine itself may have changed that way"


def _visited(record: Record | None) -> bool:
    return record is not None and "visits" in record["timing"]


def width(finding: Finding | None) -> float | None:
    """The width of an interval: its upper end over its lower end."""
    return finding.high / finding.low if finding and finding.low and finding.high else None


def _row(change: Change, texts: _Texts) -> list[Any]:
    """Verdict, ratio, interval, threshold, speed-up with verdict and interval, memory, reason: texts, sort keys."""
    time, speedup = change.time, change.speedup
    assert time is not None
    return [
        *(texts[change.verdict], texts[units.ratio(time.ratio)], _short(time.ratio)),
        *(texts[units.ratio_interval(time.low, time.high)], _short(width(time))),
        *(texts[_threshold(change.threshold)], change.threshold),
        *(
            (
                *(texts[units.ratio(speedup.ratio)], _short(speedup.ratio), texts[speedup.verdict]),
                texts[units.ratio_interval(speedup.low, speedup.high)],
            )
            if speedup
            else (texts[""], None, texts["reference" if change.case["reference"] else ""], texts[""])
        ),
        *(texts[memory.words(change)], memory.added(change)),
        texts[last_cell(change)],
    ]


@lru_cache(maxsize=1024)
def _threshold(share: float) -> str:
    return f"±{units.percent(share)}"


def _side(record: Record, samples: list[int], scale: float, texts: _Texts, with_blocks: bool) -> list[Any]:
    """A record's time as text and in seconds, its placements, its blocks (0: left out), and its other facts."""
    seconds, blocks = record["timing"]["seconds"], record["timing"]["blocks"]
    packed = [_steps(np.array(rounds), scale) for rounds in blocks] if with_blocks else 0
    return [texts[units.seconds(seconds)], _short(seconds), samples, packed, _facts(record, texts)]


def _in_steps(logs: Mapping[str, Array], scales: Mapping[str, float]) -> dict[str, Any]:
    """Every case's placements in steps of its base, computed together: cases are many and the samples of each few."""
    if not logs:
        return {}
    scale = np.repeat([scales[case] for case in logs], [len(values) for values in logs.values()])
    steps = iter(_steps(np.exp(np.concatenate(list(logs.values()))), scale))
    return {case: list(islice(steps, len(values))) for case, values in logs.items()}


def _steps(seconds: Array, scale: float | Array) -> Any:
    return np.rint((seconds / scale - 1) * STEPS).astype(np.int64).tolist()


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _facts(record: Record, texts: _Texts) -> dict[str, Any]:
    """The facts of a record beside its samples, as far as it has them; the page's script writes them in words."""
    timing, noise, compiled = record["timing"], record.get("noise"), record["compile"]
    calls = [sum(map(len, timing["blocks"])), timing["calls_per_block"]]
    facts: dict[str, Any] = {"visits": visits} if (visits := placements_by_visit(record)) else {}
    facts |= {
        "calls": calls,
        "stop": texts[timing["stop"]],
        "first": _short(record["first_call"]["seconds"]),
    }
    if timing["low"] is not None:
        facts["time"] = [_short(timing["low"]), _short(timing["high"])]
    for speedup in record["speedups"]:
        if speedup["knob"] == "reference":
            numbers = map(_short, (speedup["ratio"], speedup["low"], speedup["high"]))
            facts["speedup"] = [*numbers, texts[speedup["verdict"]]]
    if noise:
        facts["noise"] = texts["; ".join((noise["grade"], *noise["causes"]))]
        figures = noise.get("figures", {}).items()
        if shown := [(name, value) for name, value in figures if noise["grade"] != QUIET or name.startswith("gpu ")]:
            facts["figures"] = texts[", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in shown)]
    if number := sum(timing.get("disturbed", ())):
        facts["interrupted"] = number
    if compiled:
        facts["graphs"] = [compiled["graphs"], sum(graph_break["count"] for graph_break in compiled["graph_breaks"])]
    if timing["clock"] != "perf_counter":
        facts["clock"] = texts[timing["clock"].replace("_", " ")]
    for name, key in (("peak", "peak_bytes"), ("reserved", "reserved_bytes")):
        if key in record:
            facts[name] = dict(record)[key]
    if "energy" in record and "joules" in record["energy"]:
        facts["joules"] = _short(record["energy"]["joules"])
    if "host_seconds" in timing:
        facts["launched"] = _short(timing["host_seconds"])
    if "device_seconds" in timing:
        facts["device"] = _short(timing["device_seconds"])
    if "cache" in timing:
        facts["cache"] = texts[timing["cache"]]
    return facts
