"""What cases note about themselves beside their time: sizes, phases, accuracies, memory; a table per suite."""

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
    """A number in words, with its spread over placements where it has one, and as a number to sort by."""

    shown: str
    spread: str
    value: float


@dataclass(frozen=True)
class Table:
    """What a suite's cases note: a column per meter, a row per case that has any."""

    suite: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, str, tuple[Cell | None, ...]], ...]  # anchor, name, time per call, cells


def tables(run: Run, frames: Frames) -> list[Table]:
    """A table per suite of which some case notes anything."""
    found = []
    anchors = {row.id: row.anchor for row in each(frames.cases)}
    suites = dict.fromkeys(record["case"]["suite"] for record in run.records)
    for suite in suites:
        noted = [
            (record, dict(cells(record)))
            for record in run.records
            if record["case"]["suite"] == suite and ("meters" in record or "peak_bytes" in record)
        ]
        if not noted:
            continue
        columns = _columns(noted)
        rows = tuple(
            (
                str(anchors[record["case"]["id"]]),
                record["case"]["id"].removeprefix(f"{suite}."),
                units.seconds(record["timing"]["seconds"]),
                tuple(its_cells.get(column) for column in columns),
            )
            for record, its_cells in noted
        )
        found.append(Table(suite, columns, rows))
    return found


def _columns(noted: list[tuple[Record, dict[str, Cell]]]) -> tuple[str, ...]:
    """Start-up first, then what is noted, then memory; start-up only where something is set up."""
    present = dict.fromkeys(name for _, its_cells in noted for name in its_cells)
    edges = (SET_UP, FIRST_CALL, PEAK)
    first = [name for name in edges[:2] if SET_UP in present]
    return (*first, *(name for name in present if name not in edges), *((PEAK,) if PEAK in present else ()))


def cells(record: Record) -> Iterator[tuple[str, Cell]]:
    """Everything that a record notes, by its column."""
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
