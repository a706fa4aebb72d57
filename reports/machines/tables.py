"""The tables of the page, as texts: times, knobs, costs and energy of every case on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord
from torchduet.reports.machines import ratios
from torchduet.reports.machines.comparison import Comparison
from torchduet.reports.machines.knobs import Effect, Line
from torchduet.reports.machines.matrix import Row
from torchduet.reports.machines.measured import Measured
from torchduet.reports.machines.prices import per_million
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS, filter_values

SHOWN_FILTERS = tuple(name for name in FILTERS if name != "device")  # a row is on every device
FASTEST = "fastest"  # the filter by machine
BEST, CLOSE, GONE = "best", "close", "gone"  # kinds of cells beside the verdicts


@dataclass(frozen=True)
class Cell:
    """A cell: its text, a smaller one below it, the value to sort by, and its kind.

    Attributes:
        kind: ``best``, ``close`` (to the best), ``gone`` (no value), a verdict, or empty.
    """

    text: str = ""
    below: str = ""
    value: float | None = None
    kind: str = ""


@dataclass(frozen=True)
class Entry:
    """A row of a table; ``filters`` are its values for the filters."""

    name: str
    note: str
    filters: Mapping[str, str]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        best: what the marked cell of a row is, in a word.
        rows: what the rows are, in the plural.
    """

    key: str
    title: str
    about: str
    best: str
    entries: tuple[Entry, ...]
    rows: str = "cases"


def tables(of: Comparison) -> list[Table]:
    """The tables that have rows, in the order of the page."""
    made = [_times(of), _knobs(of), _costs(of), _energy(of)]
    return [table for table in made if table is not None and table.entries]


def _filters(of: Comparison, case: CaseRecord, fastest: tuple[int, ...]) -> dict[str, str]:
    values = filter_values(case)
    leads = of.columns[fastest[0]].name if len(fastest) == 1 else ""
    return {**{name: values[name] for name in SHOWN_FILTERS}, FASTEST: leads}


def _times(of: Comparison) -> Table:
    base = of.columns[of.base].name
    about = "Time per call on the fastest device of each machine."
    if len(of.columns) > 1:
        about += f" Below it: how many times as fast as {base}, or how many times as long."
    entries = tuple(
        Entry(row.work, "", _filters(of, row.case, row.fastest), tuple(_time_cells(of, row))) for row in of.rows
    )
    return Table("cases", "Every case", about, "fastest", entries)


def _time_cells(of: Comparison, row: Row) -> Iterator[Cell]:
    for at in range(len(of.columns)):
        time, missing = row.time(at), row.missing[at]
        if time is None:
            yield Cell(missing.short if missing else "", "", None, GONE)
            continue
        ratio = row.ratio(at, of.base) if at != of.base else None
        words = [ratios.as_fast_in_short(ratio) if ratio is not None else "", *_devices(row.cells[at])]
        yield Cell(units.seconds(time.seconds), "; ".join(filter(None, words)), time.seconds, _kind(row.fastest, at))


def _devices(measured: Sequence[Measured]) -> list[str]:
    """Where a machine has several devices: which is the fastest, and the times of the others."""
    if len(measured) < 2:
        return []
    first, *others = measured
    return [first.device, *(f"{other.device} {units.seconds(other.seconds)}" for other in others)]


def _kind(first: tuple[int, ...], at: int) -> str:
    if at not in first:
        return ""
    return BEST if len(first) == 1 else CLOSE


def _costs(of: Comparison) -> Table | None:
    """The cost of a million calls; None without prices."""
    if not any(of.per_hour):
        return None
    base = of.per_hour[of.base]
    about = "Cost of a million calls, one after the other, at the price of the machine’s hour."
    if base:
        name = of.columns[of.base].name
        about += f" Below it: how many times as much work as {name} for the same money, or how many times the cost."

    def cells(row: Row) -> Iterator[Cell]:
        first = row.cheapest(of.per_hour)
        for at, price in enumerate(of.per_hour):
            time, ratio = row.time(at), row.ratio(at, of.base)
            if time is None or not price:
                yield Cell(kind=GONE)
                continue
            cost = per_million(price, time.seconds)
            below = (
                ratios.work_for_money_in_short(ratio * base / price)
                if ratio is not None and base and at != of.base
                else ""
            )
            yield Cell(of.prices.amount(cost), below, cost, _kind(first, at))

    rows = [row for row in of.rows if any(row.time(at) and price for at, price in enumerate(of.per_hour))]
    return Table("cost", "Cost", about, "costs least", _entries(of, rows, cells, lambda row: row.cheapest(of.per_hour)))


def _energy(of: Comparison) -> Table | None:
    """The energy of a call, and the calls for a joule; None where no energy is known."""
    rows = [row for row in of.rows if any(row.joules(at) for at in range(len(of.columns)))]

    def cells(row: Row) -> Iterator[Cell]:
        for at in range(len(of.columns)):
            time, joules = row.time(at), row.joules(at)
            if time is None or not joules:
                yield Cell(kind=GONE)
                continue
            yield Cell(_joules(joules), _per_joule(time, joules), joules, _kind(row.thriftiest, at))

    about = (
        "Energy of a call of the whole device, idle power included. Below it: what one joule does. A GPU’s figure "
        "leaves its host out."
    )
    return Table("energy", "Energy", about, "least energy", _entries(of, rows, cells, lambda row: row.thriftiest))


def _joules(value: float) -> str:
    for scale, unit in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ")):
        if value >= scale * 0.9995:
            return f"{units.digits(value / scale)} {unit}"
    return f"{units.digits(value / 1e-9)} nJ"


def _per_joule(time: Measured, joules: float) -> str:
    if time.samples:
        return f"{units.digits(time.samples / joules)} {time.unit}/J"
    return f"{units.digits(1 / joules)} calls/J"


def _entries(
    of: Comparison,
    rows: Sequence[Row],
    cells: Callable[[Row], Iterator[Cell]],
    leads: Callable[[Row], tuple[int, ...]],
) -> tuple[Entry, ...]:
    """The rows as entries: those that can be compared come first."""
    ordered = sorted(rows, key=lambda row: not leads(row))
    return tuple(Entry(row.work, "", _filters(of, row.case, row.fastest), tuple(cells(row))) for row in ordered)


def _knobs(of: Comparison) -> Table:
    """Every comparison on every machine; those on which machines disagree come first."""
    fastest = {row.work: row.fastest for row in of.rows}
    entries = tuple(
        Entry(
            line.work,
            line.title,
            _filters(of, line.case, fastest.get(line.work, ())),
            tuple(_effect_cell(line, cell) for cell in line.cells),
        )
        for line in of.lines
    )
    differing = sum(line.disagreement > 0 for line in of.lines)
    settled = any(line.settled for line in of.lines)
    about = "How many times as fast the setting makes the case. Both sides were timed in alternation on each machine."
    if len(of.columns) > 1:
        if differing:
            about += f" The {differing:,} on which machines disagree come first."
        else:
            about += " No machines disagree." if settled else " None is settled on two machines."
    return Table("effects", "Every knob in every case", about, "", entries, "comparisons")


def _effect_cell(line: Line, effect: Effect | None) -> Cell:
    if effect is None:
        return Cell(kind=GONE)
    interval = units.ratio_interval(effect.low, effect.high)
    shown = [interval, effect.device if line.knob == "device" else ""]
    return Cell(units.ratio(effect.ratio), "; ".join(filter(None, shown)), effect.ratio, effect.verdict)
