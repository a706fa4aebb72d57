"""Builds the heat map: the speed-up of each workload (rows) under each setting (columns).

A row is a workload at one size under one implementation. A column is what differs from the settings of the family's
reference. Colours are left to the template.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import IMPLEMENTATION
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.kernels import another, described
from torchduet.reports.tables.ranks import other_work
from torchduet.reports.tables.withheld import WAITED, is_withheld
from torchduet.reports.text import units
from torchduet.reports.text.settings import KNOBS, settings, value_words

MIN_CELLS = 4  # fewer are quicker to read in the answers
MAX_COLUMNS = 7  # of more, those of several settings at once are left to the answers
MAX_ROWS = 14  # of more, those without a difference are folded, so that the others stand on the first screen
FULL_SHADE = math.log(2)  # a cell that is twice or half as fast, or beyond, has the full shade


@dataclass(frozen=True)
class Cell:
    """One speed-up.

    Attributes:
        anchor: of the case's details within the page.
        shade: from 0 (verdict same or unclear) to 1 (twice or half as fast, or beyond).
        description: ratio, interval, verdict and times in words; those of the kernels alone, too, where they are known.
        kernels: the kernels' speed-up, where its verdict is another; else empty.
    """

    anchor: str
    ratio: float
    verdict: str
    shade: float
    description: str
    kernels: str = ""


@dataclass(frozen=True)
class Row:
    """One workload at one size under one implementation; a cell per column, None where nothing was measured.

    ``seconds`` is the time of a call of the family's reference.
    """

    workload: str
    setting: str
    seconds: float
    cells: tuple[Cell | None, ...]

    @property
    def differs(self) -> bool:
        """Whether any of its speed-ups is settled, and not the same."""
        return any(cell and cell.verdict in ("faster", "slower") for cell in self.cells)


Suites = tuple[tuple[str, tuple[Row, ...]], ...]


@dataclass(frozen=True)
class HeatMap:
    """All rows by suite.

    Attributes:
        columns: their titles: (the setting, the setting it replaces).
        settings: of each column: (knob, value) of a single knob; empty texts for several at once.
    """

    columns: tuple[tuple[str, str], ...]
    suites: Suites
    settings: tuple[tuple[str, str], ...] = ()

    def counted(self, column: int, verdict: str) -> tuple[int, int]:
        """How many cells of a column have a verdict, of how many."""
        cells = [cell for _, rows in self.suites for row in rows if (cell := row.cells[column])]
        return sum(cell.verdict == verdict for cell in cells), len(cells)

    def parts(self) -> tuple[Suites, Suites]:
        """The rows that are always shown, and those that are folded: of many rows those without a difference."""
        shown, folded = self._rows(differing=True), self._rows(differing=False)
        few = sum(len(rows) for _, rows in self.suites) <= MAX_ROWS
        return (self.suites, ()) if few or not shown else (shown, folded)

    def _rows(self, *, differing: bool) -> Suites:
        found = ((suite, tuple(row for row in rows if row.differs == differing)) for suite, rows in self.suites)
        return tuple((suite, rows) for suite, rows in found if rows)

    @property
    def kernels(self) -> bool:
        """Whether any cell has a speed-up of the kernels of its own."""
        return any(cell and cell.kernels for _, rows in self.suites for row in rows for cell in row.cells)


def heatmap(run: Run) -> HeatMap | None:
    """The speed-ups by what differs from the reference's settings; None where there are too few for a table.

    Several settings at once are compared with the reference itself, so these exist only for its implementation; they
    are left out where there are many columns.
    """
    references = {record["case"]["family"]: record for record in run.records if record["case"]["reference"]}
    cells_of: dict[tuple[str, str, str], dict[tuple[str, ...], Cell]] = {}
    seconds_of: dict[tuple[str, str, str], float] = {}
    titles: dict[tuple[str, ...], dict[str, None]] = {}
    by_id = {record["case"]["id"]: record for record in run.records}
    pairs: set[tuple[str, str]] = set()  # of implementations
    for index, record in enumerate(run.records):
        reference = references.get(record["case"]["family"])
        if reference is None:
            continue
        own, base = settings(record), settings(reference)
        for column, speedup in _speedups(record, own, base):
            if other_work(record, by_id.get(speedup["against"]), speedup):
                continue
            case = record["case"]
            row = (case["suite"], f"{case['suite']}.{case['workload']}", _setting(record))
            cells_of.setdefault(row, {})[column] = _cell(record, speedup, by_id.get(speedup["against"]), anchor(index))
            seconds_of.setdefault(row, reference["timing"]["seconds"])
            titles.setdefault(column, {})[_from(column, base)] = None
            if column == (IMPLEMENTATION,):
                pairs.add((own[IMPLEMENTATION], base[IMPLEMENTATION]))
    if sum(map(len, cells_of.values())) < MIN_CELLS:
        return None
    columns = sorted(titles, key=_order)
    if len(columns) > MAX_COLUMNS:
        columns = [column for column in columns if len(column) == 1] or columns
        cells_of = {row: cells for row, cells in cells_of.items() if any(column in cells for column in columns)}
    suites: dict[str, list[Row]] = {}
    for (suite, workload, setting), cells in cells_of.items():
        seconds = seconds_of[suite, workload, setting]
        suites.setdefault(suite, []).append(Row(workload, setting, seconds, tuple(map(cells.get, columns))))
    return HeatMap(
        tuple((_title(column, pairs), " or ".join(titles[column])) for column in columns),
        tuple((suite, tuple(rows)) for suite, rows in suites.items()),
        tuple(_single(column, pairs) for column in columns),
    )


def _speedups(
    record: Record, own: Mapping[str, str], base: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], SpeedupRecord]]:
    """The record's speed-ups over the reference's settings, each with its column."""
    differing = [knob for knob in KNOBS if own[knob] != base[knob]]
    knobs = [knob for knob in differing if knob != IMPLEMENTATION]
    for speedup in record["speedups"]:
        knob = speedup["knob"]
        if knob == "reference":
            if differing == [IMPLEMENTATION]:
                yield (IMPLEMENTATION,), speedup
            elif differing == knobs and knobs:
                yield tuple(f"{name}={own[name]}" for name in knobs), speedup
        elif knobs == [knob] and speedup["baseline"] == base[knob] and IMPLEMENTATION in differing:
            yield (f"{knob}={own[knob]}",), speedup


def _setting(record: Record) -> str:
    """The size, and the implementation where the workload has several."""
    case = record["case"]
    implementation = case["implementation"] if case["implementation"] != case["workload"] else ""
    return " · ".join(filter(None, (case["size_label"].replace(",", ", "), implementation)))


def _cell(record: Record, speedup: SpeedupRecord, baseline: Record | None, case_anchor: str) -> Cell:
    ratio, verdict = speedup["ratio"], speedup["verdict"]
    interval = units.ratio_interval(speedup["low"], speedup["high"])
    low, high, threshold = speedup["low"], speedup["high"], speedup["threshold"]
    withheld = f", its verdict withheld as {WAITED}" if is_withheld(verdict, low, high, threshold) else ""
    return Cell(
        case_anchor,
        ratio,
        verdict,
        min(1.0, abs(math.log(ratio)) / FULL_SHADE) if verdict in ("faster", "slower") else 0.0,
        "; ".join(
            filter(
                None,
                (
                    f"{units.ratio(ratio)}{f' ({interval})' if interval else ''}, {verdict}{withheld}",
                    ""
                    if baseline is None
                    else f"{units.seconds(record['timing']['seconds'])} instead of "
                    f"{units.seconds(baseline['timing']['seconds'])} per call",
                    described(speedup),
                ),
            )
        ),
        f"kernels {units.ratio(speedup['device_speedup']['ratio'])}" if another(speedup) else "",
    )


def _order(column: Sequence[str]) -> tuple[int, list[int], list[str]]:
    """Sort key of columns: single knobs in their usual order, then several at once."""
    knobs = [part.partition("=")[0] for part in column]
    return len(column), [KNOBS.index(knob) for knob in knobs], list(column)


def _single(column: Sequence[str], pairs: Collection[tuple[str, str]]) -> tuple[str, str]:
    if len(column) != 1:
        return "", ""
    knob, _, value = column[0].partition("=")
    if column == (IMPLEMENTATION,) and len(pairs) == 1:
        ((value, _),) = pairs
    return knob, value


def _title(column: Sequence[str], pairs: Collection[tuple[str, str]]) -> str:
    if column == (IMPLEMENTATION,):
        return " instead of ".join(*pairs) if len(pairs) == 1 else "another implementation"
    return " + ".join(value_words(*part.split("=", 1)) for part in column)


def _from(column: Sequence[str], base: Mapping[str, str]) -> str:
    if column == (IMPLEMENTATION,):
        return "the reference"
    return " + ".join(value_words(knob, base[knob]) for knob in (part.partition("=")[0] for part in column))
