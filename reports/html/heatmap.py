"""The table of case × knob: what each setting does to each workload, at one glance.

A row is a workload at one size under one implementation; a column is what differs from the settings of its
family's reference. How it looks is left to the template.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import IMPLEMENTATION
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.text import units
from torchduet.reports.text.settings import KNOBS, settings, value_words

FEWEST = 4  # cells; fewer are read more quickly among the answers
DEEPEST = math.log(2)  # from twice or half as fast on a cell has its full shade


@dataclass(frozen=True)
class Cell:
    """One speed-up.

    Attributes:
        anchor: of the case's details within the page.
        shade: from 0, as fast as its baseline or not known to be otherwise, to 1, twice or half as fast and beyond.
        said: the whole of it in words.
    """

    anchor: str
    ratio: float
    verdict: str
    shade: float
    said: str


@dataclass(frozen=True)
class Row:
    """One workload at one size under one implementation; a cell per column, None where nothing was measured."""

    workload: str
    setting: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class HeatMap:
    """All rows by suite, and what the columns are called: (what differs, from what)."""

    columns: tuple[tuple[str, str], ...]
    suites: tuple[tuple[str, tuple[Row, ...]], ...]


def heatmap(run: Run) -> HeatMap | None:
    """The speed-ups that change the reference's settings; None where there are too few for a table.

    Those of several knobs at once are over the reference itself, so that they are known for its
    implementation alone.
    """
    references = {record["case"]["family"]: record for record in run.records if record["case"]["reference"]}
    found: dict[tuple[str, str, str], dict[tuple[str, ...], Cell]] = {}
    titles: dict[tuple[str, ...], dict[str, None]] = {}
    for index, record in enumerate(run.records):
        reference = references.get(record["case"]["family"])
        if reference is None:
            continue
        own, base = settings(record), settings(reference)
        for column, one in _held(record, own, base):
            case = record["case"]
            row = (case["suite"], f"{case['suite']}.{case['workload']}", _setting(record))
            found.setdefault(row, {})[column] = _cell(one, anchor(index))
            titles.setdefault(column, {})[_from(column, base)] = None
    if sum(map(len, found.values())) < FEWEST:
        return None
    columns = sorted(titles, key=_place)
    suites: dict[str, list[Row]] = {}
    for (suite, workload, setting), cells in found.items():
        suites.setdefault(suite, []).append(Row(workload, setting, tuple(map(cells.get, columns))))
    return HeatMap(
        tuple((_title(column), " or ".join(titles[column])) for column in columns),
        tuple((suite, tuple(rows)) for suite, rows in suites.items()),
    )


def _held(
    record: Record, own: Mapping[str, str], base: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], SpeedupRecord]]:
    """The record's comparison with the reference's settings, and the column where it belongs."""
    differing = [knob for knob in KNOBS if own[knob] != base[knob]]
    turned = [knob for knob in differing if knob != IMPLEMENTATION]
    for one in record["speedups"]:
        if one["knob"] == "reference":
            if differing == [IMPLEMENTATION]:
                yield (IMPLEMENTATION,), one
            elif differing == turned and turned:
                yield tuple(f"{knob}={own[knob]}" for knob in turned), one
        elif turned == [one["knob"]] and one["baseline"] == base[one["knob"]] and IMPLEMENTATION in differing:
            yield (f"{one['knob']}={own[one['knob']]}",), one


def _setting(record: Record) -> str:
    """The size, and the implementation where the workload has several."""
    case = record["case"]
    implementation = case["implementation"] if case["implementation"] != case["workload"] else ""
    return " · ".join(filter(None, (case["size_label"].replace(",", ", "), implementation)))


def _cell(one: SpeedupRecord, its_anchor: str) -> Cell:
    interval = units.ratio_interval(one["low"], one["high"])
    return Cell(
        its_anchor,
        one["ratio"],
        one["verdict"],
        min(1.0, abs(math.log(one["ratio"])) / DEEPEST) if one["verdict"] in ("faster", "slower") else 0.0,
        f"{units.ratio(one['ratio'])}{f' ({interval})' if interval else ''}, {one['verdict']}",
    )


def _place(column: Sequence[str]) -> tuple[int, list[int], list[str]]:
    """Other implementations first, then single knobs in their usual order, then several at once."""
    knobs = [part.partition("=")[0] for part in column]
    return len(column), [-1 if knob == IMPLEMENTATION else KNOBS.index(knob) for knob in knobs], list(column)


def _title(column: Sequence[str]) -> str:
    if column == (IMPLEMENTATION,):
        return "another implementation"
    return " + ".join(value_words(*part.split("=", 1)) for part in column)


def _from(column: Sequence[str], base: Mapping[str, str]) -> str:
    if column == (IMPLEMENTATION,):
        return "the reference"
    return " + ".join(value_words(knob, base[knob]) for knob in (part.partition("=")[0] for part in column))
