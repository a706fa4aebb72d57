"""The comparison as compact data for the page's script: every row of the tables, and of each case what both runs say.

Names and texts that recur are numbered, and samples are whole ten-thousandths away from the base's time per call, so
that ten thousand cases with their placements fit into a page that a browser opens at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from torchduet.bench.record.schema import QUIET, Record
from torchduet.reports.compare import quietness
from torchduet.reports.compare.leave_out import Array
from torchduet.reports.compare.match import Change, Comparison
from torchduet.reports.compare.matrix import Line, matrix
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.text import units
from torchduet.reports.text.escaping import visible
from torchduet.reports.text.settings import FILTERS, filter_values

STEPS = 10_000  # parts of the base's time per call in which samples are given
MAX_BLOCKS = 200_000  # numbers of all cases together, up to which single blocks are drawn as well


def embedded(comparisons: Sequence[Comparison]) -> Markup:
    """The data as JSON that can stand in a ``script`` element: nothing in it ends the element."""
    text = msgspec.json.encode(_data(comparisons)).decode()
    return Markup(text.replace("<", "\\u003c"))  # a less-than sign stands in texts only


class _Texts(dict[str, int]):
    """Text → its number, in the order in which they are first met."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def numbered(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """Case → its number in the data, for every case that the base and any other run measured."""
    found: dict[str, int] = {}
    for one in comparisons:
        for change in one.changes:
            if change.time:
                found.setdefault(change.case["id"], len(found))
    return found


def _data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    texts, numbers = _Texts(), numbered(comparisons)
    first = {change.case["id"]: (change, one) for one in comparisons[::-1] for change in one.changes if change.time}
    measured = [(record, one) for change, one in map(first.__getitem__, numbers) if (record := change.base)]
    changes = [ordered(one) for one in comparisons]
    sides = [record for record, _ in measured] + [one.new for some in changes for one in some if one.new]
    give = sum(sum(map(len, record["timing"]["blocks"])) for record in sides) <= MAX_BLOCKS
    scales = {case: record["timing"]["seconds"] for case, (record, _) in zip(numbers, measured, strict=True)}
    before = _in_steps({case: one.before[case] for case, (_, one) in zip(numbers, measured, strict=True)}, scales)
    cases = [
        [
            visible(case, spaces=False),
            [texts[setting] for setting in filter_values(record["case"]).values()],
            *_side(record, before[case], scales[case], texts, give),
        ]
        for case, (record, _) in zip(numbers, measured, strict=True)
    ]
    runs = [
        {
            "name": visible(one.new.name),
            "rows": [
                [numbers[case], *_row(change, texts), *_side(change.new, after[case], scales[case], texts, give)]
                for change in some
                for case in (change.case["id"],)
                if change.new
            ],
        }
        for one, some in zip(comparisons, changes, strict=True)
        for after in (_in_steps(one.after, scales),)
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
    }


def _line(line: Line, numbers: Mapping[str, int], texts: _Texts) -> list[Any]:
    """A line of the matrix: the case, the run that says most of it, and every run's verdict (-1: none)."""
    verdicts = [texts[one.verdict] if one else -1 for one in line.changes]
    return [numbers[line.case["id"]], line.furthest, *verdicts]


def ordered(one: Comparison) -> list[Change]:
    """What both runs measured: what moved first, then what is unclear; of each the furthest first."""
    return [change for verdict in ("slower", "faster", "unclear", "same") for change in one.of(verdict)]


def last_cell(change: Change) -> str:
    """What keeps a verdict open, and noise."""
    return "; ".join(filter(None, (change.time.why if change.time else "", quietness.of_case(change))))


def width(finding: Finding | None) -> float | None:
    """How wide an interval is: its upper end over its lower one."""
    return finding.high / finding.low if finding and finding.low and finding.high else None


def _row(change: Change, texts: _Texts) -> list[Any]:
    """Verdict, ratio, interval, threshold, speed-up, its verdict and interval, why: texts, and numbers to sort by."""
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
        texts[last_cell(change)],
    ]


@lru_cache(maxsize=1024)
def _threshold(share: float) -> str:
    return f"±{units.percent(share)}"


def _side(record: Record, samples: list[int], scale: float, texts: _Texts, give: bool) -> list[Any]:
    """A record's time as text and in seconds, its placements, its blocks (0: not given), and what else it says."""
    seconds, blocks = record["timing"]["seconds"], record["timing"]["blocks"]
    drawn = [_steps(np.array(rounds), scale) for rounds in blocks] if give else 0
    return [texts[units.seconds(seconds)], _short(seconds), samples, drawn, _facts(record, texts)]


def _in_steps(logs: Mapping[str, Array], scales: Mapping[str, float]) -> dict[str, Any]:
    """Every case's placements in steps of its base; all in one go, as cases are many and samples few."""
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
    """What a record says of its case beside the samples, as far as it does; the script puts it into words."""
    timing, noise, compiled = record["timing"], record.get("noise"), record["compile"]
    calls = [sum(map(len, timing["blocks"])), timing["calls_per_block"]]
    found: dict[str, Any] = {
        "calls": calls,
        "stop": texts[timing["stop"]],
        "first": _short(record["first_call"]["seconds"]),
    }
    if timing["low"] is not None:
        found["time"] = [_short(timing["low"]), _short(timing["high"])]
    for one in record["speedups"]:
        if one["knob"] == "reference":
            found["speedup"] = [*map(_short, (one["ratio"], one["low"], one["high"])), texts[one["verdict"]]]
    if noise:
        found["noise"] = texts["; ".join((noise["grade"], *noise["causes"]))]
        figures = noise.get("figures", {}).items()
        if shown := [(name, value) for name, value in figures if noise["grade"] != QUIET or name.startswith("gpu ")]:
            found["figures"] = texts[", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in shown)]
    if number := sum(timing.get("disturbed", ())):
        found["interrupted"] = number
    if compiled:
        found["graphs"] = [compiled["graphs"], sum(one["count"] for one in compiled["graph_breaks"])]
    if timing["clock"] != "perf_counter":
        found["clock"] = texts[timing["clock"].replace("_", " ")]
    for name, key in (("peak", "peak_bytes"), ("reserved", "reserved_bytes")):
        if key in record:
            found[name] = dict(record)[key]
    if "energy" in record and "joules" in record["energy"]:
        found["joules"] = _short(record["energy"]["joules"])
    if "host_seconds" in timing:
        found["launched"] = _short(timing["host_seconds"])
    if "device_seconds" in timing:
        found["device"] = _short(timing["device_seconds"])
    if "cache" in timing:
        found["cache"] = texts[timing["cache"]]
    return found
