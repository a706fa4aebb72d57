"""The comparison as compact data for the page's script: every row of the tables, and of each case what both runs say.

Names and texts that recur are numbered, and samples are whole ten-thousandths away from the base's time per call, so
that ten thousand cases with their placements fit into a page that a browser opens at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from markupsafe import Markup

from bench.engine.schema import QUIET, Record, SpeedupRecord
from reports import units
from reports.compare import quietness
from reports.compare.leave_out import Array
from reports.compare.match import Change, Comparison
from reports.compare.matrix import Line, matrix
from reports.compare.samples import log_times
from reports.compare.verdicts import Finding

STEPS = 10_000  # parts of the base's time per call in which samples are given
MOST_BLOCKS = 200_000  # numbers of all cases together, up to which single blocks are drawn as well


def embedded(comparisons: Sequence[Comparison]) -> Markup:
    """The data as JSON that can stand in a ``script`` element: nothing in it ends the element."""
    text = orjson.dumps(_data(comparisons)).decode()
    return Markup(text.replace("<", "\\u003c"))  # a less-than sign stands in texts only


class _Texts:
    """Texts with a number each, in the order in which they are first met."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


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
    bases = {change.case["id"]: change.base for one in comparisons for change in one.changes if change.time}
    measured = [record for case in numbers if (record := bases[case]) is not None]
    sides = [[one.new for one in changes if one.new] for changes in map(ordered, comparisons)]
    blocks = sum(len(rounds) for side in (measured, *sides) for one in side for rounds in one["timing"]["blocks"])
    give = blocks <= MOST_BLOCKS
    scales = [record["timing"]["seconds"] for record in measured]
    cases = [
        [case, *(texts(str(dict(record["case"])[name])) for name in ("suite", "device", "mode", "precision")), *side]
        for case, record, side in zip(numbers, measured, _sides(measured, scales, texts, give), strict=True)
    ]
    runs = []
    for one, records in zip(comparisons, sides, strict=True):
        places = [numbers[change.case["id"]] for change in ordered(one)]
        found = _sides(records, [scales[place] for place in places], texts, give)
        rows = [
            [place, *_row(change, texts), *side]
            for place, change, side in zip(places, ordered(one), found, strict=True)
        ]
        runs.append({"name": one.new.name, "rows": rows})
    lines = [_line(line, numbers, texts) for line in matrix(comparisons) if line.measured] if len(runs) > 1 else []
    base = comparisons[0].base.name
    return {"base": base, "texts": list(texts.numbers), "cases": cases, "runs": runs, "lines": lines}


def _line(line: Line, numbers: Mapping[str, int], texts: _Texts) -> list[Any]:
    """A line of the matrix: the case, the run that says most of it, and every run's verdict (-1: none)."""
    verdicts = [texts(one.verdict) if one else -1 for one in line.changes]
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


def _row(change: Change, texts: _Texts) -> Iterator[Any]:
    """Verdict, ratio, interval, threshold, speed-up, its verdict and interval, why: as texts, and numbers to sort by."""
    time, speedup = change.time, change.speedup
    assert time is not None
    yield texts(change.verdict)
    yield from (texts(units.ratio(time.ratio)), _short(time.ratio))
    yield from (texts(units.ratio_interval(time.low, time.high)), _short(width(time)))
    yield from (texts(f"±{units.percent(change.threshold)}"), change.threshold)
    if speedup:
        yield from (texts(units.ratio(speedup.ratio)), _short(speedup.ratio), texts(speedup.verdict))
        yield texts(units.ratio_interval(speedup.low, speedup.high))
    else:
        yield from (texts(""), None, texts("reference" if change.case["reference"] else ""), texts(""))
    yield texts(last_cell(change))


def _sides(records: Sequence[Record], scales: Sequence[float], texts: _Texts, give: bool) -> Iterator[list[Any]]:
    """For each record: its time as text and in seconds, placements, blocks (0: not given), and facts in words."""
    for record, logs, scale in zip(records, log_times(records), scales, strict=True):
        seconds = record["timing"]["seconds"]
        blocks = [_steps(np.array(rounds), scale) for rounds in record["timing"]["blocks"]] if give else 0
        facts = [texts(text) for pair in facts_of(record) for text in pair]
        yield [texts(units.seconds(seconds)), _short(seconds), _steps(np.exp(logs), scale), blocks, facts]


def _steps(seconds: Array, scale: float) -> list[int]:
    found: list[int] = np.rint((seconds / scale - 1) * STEPS).astype(np.int64).tolist()
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def facts_of(record: Record) -> Iterator[tuple[str, str]]:
    """What a record says of its case beside the samples, as far as it does: (what, in words)."""
    timing = record["timing"]
    interval = units.seconds_interval(timing["low"], timing["high"])
    yield "Time per call", f"{units.seconds(timing['seconds'])}{f' ({interval})' if interval else ''}"
    for one in record["speedups"]:
        if one["knob"] == "reference":
            yield "Speed-up over its reference", _speedup(one)
    number, rounds = len(timing["blocks"]), sum(map(len, timing["blocks"]))
    stop = {"precise": "precise enough", "budget": "time was up", "limit": "enough placements"}.get(timing["stop"], "")
    yield "Samples", f"{number} placements, {rounds} blocks of {timing['calls_per_block']:,} calls; ended: {stop}"
    yield from _noise(record)
    yield from _device(record)
    first = record["first_call"]
    yield "First call", units.seconds(first["seconds"])
    if compiled := record["compile"]:
        breaks = sum(one["count"] for one in compiled["graph_breaks"])
        yield "Compiled to", f"{compiled['graphs']} graphs, {breaks} graph breaks"
    for name, key in (("Peak memory", "peak_bytes"), ("Reserved on the device", "reserved_bytes")):
        if (size := dict(record).get(key)) is not None:
            yield name, units.size(float(str(size)))
    if (joules := record.get("energy", {}).get("joules")) is not None:
        yield "Energy per call", f"{units.digits(joules)} J"


def _speedup(one: SpeedupRecord) -> str:
    interval = units.ratio_interval(one["low"], one["high"])
    return f"{units.ratio(one['ratio'])}{f' ({interval})' if interval else ''}, {one['verdict']}"


def _noise(record: Record) -> Iterator[tuple[str, str]]:
    noise, timing = record.get("noise"), record["timing"]
    if noise:
        yield "Noise", f"{noise['grade']}: {'; '.join(noise['causes'])}" if noise["causes"] else noise["grade"]
        if noise["grade"] != QUIET:
            yield "Its figures", _figures(noise.get("figures", {}).items())
        elif clocks := [(name, value) for name, value in noise.get("figures", {}).items() if name.startswith("gpu ")]:
            yield "GPU clocks lowered", _figures(clocks)
    if number := sum(timing.get("disturbed", [])):
        yield "Interrupted blocks", f"{number:,}"


def _figures(figures: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in figures)


def _device(record: Record) -> Iterator[tuple[str, str]]:
    timing = record["timing"]
    if timing["clock"] != "perf_counter":
        yield "Clock", timing["clock"].replace("_", " ")
    for name, key in (("Until launched", "host_seconds"), ("Device work alone", "device_seconds")):
        if (seconds := dict(timing).get(key)) is not None:
            yield name, units.seconds(float(str(seconds)))
    if timing.get("launch_bound"):
        yield "Bound by", "launching"
    if "cache" in timing:
        yield "Cache", timing["cache"]
