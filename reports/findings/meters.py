"""Tables of what cases record about themselves beside their time: sizes, phases, accuracies, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames, each
from torchduet.reports.text import units

FIRST_CALL = "first call"
SET_UP = "set-up"
PEAK = "peak memory"


@dataclass(frozen=True)
class Cell:
    """A number in words, its spread over placements if there is one, and its value to sort by."""

    shown: str
    spread: str
    value: float


@dataclass(frozen=True)
class Table:
    """The meters of a suite's cases: a column per meter, a row per case that has any."""

    suite: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, str, tuple[Cell | None, ...]], ...]  # anchor, name, time per call, cells


def tables(run: Run, frames: Frames) -> list[Table]:
    """A table per suite in which some case has a meter or a peak of memory."""
    by_suite = []
    anchors = {row.id: row.anchor for row in each(frames.cases)}
    suites = dict.fromkeys(record["case"]["suite"] for record in run.records)
    for suite in suites:
        recorded = [
            (record, dict(cells(record)))
            for record in run.records
            if record["case"]["suite"] == suite and ("meters" in record or "peak_bytes" in record)
        ]
        if not recorded:
            continue
        columns = _columns(recorded)
        rows = tuple(
            (
                str(anchors[record["case"]["id"]]),
                record["case"]["id"].removeprefix(f"{suite}."),
                units.seconds(record["timing"]["seconds"]),
                tuple(by_column.get(column) for column in columns),
            )
            for record, by_column in recorded
        )
        by_suite.append(Table(suite, columns, rows))
    return by_suite


def _columns(recorded: list[tuple[Record, dict[str, Cell]]]) -> tuple[str, ...]:
    """Start-up first, then meters, then memory; start-up only if some case is set up."""
    present = dict.fromkeys(name for _, by_column in recorded for name in by_column)
    edges = (SET_UP, FIRST_CALL, PEAK)
    first = [name for name in edges[:2] if SET_UP in present]
    return (*first, *(name for name in present if name not in edges), *((PEAK,) if PEAK in present else ()))


def cells(record: Record) -> Iterator[tuple[str, Cell]]:
    """A record's start-up, meters and peak of memory, by their column."""
    first = record["first_call"]
    if "setup" in first:
        yield SET_UP, Cell(units.seconds(first["setup"]), "", first["setup"])
    yield FIRST_CALL, Cell(units.seconds(first["seconds"]), "", first["seconds"])
    for name, meter in record.get("meters", {}).items():
        unit = meter["unit"]
        spread = ""
        if meter["low"] != meter["high"]:
            spread = f"{units.quantity(meter['low'], unit)} to {units.quantity(meter['high'], unit)}"
        yield name, Cell(units.quantity(meter["median"], unit), spread, meter["median"])
    if "peak_bytes" in record:
        yield PEAK, Cell(units.size(record["peak_bytes"]), "", record["peak_bytes"])
