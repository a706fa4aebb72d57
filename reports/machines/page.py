"""Renders which machine is for what as one self-contained HTML page in the style of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.record.machines.facts import OTHER, SETTING, SOFTWARE, facts_of, in_words, kind_of, name_of
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.compare.thresholds import DEFAULT
from torchduet.reports.findings.advice import STANDINGS
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.machines.cautions import TOO_LONG
from torchduet.reports.machines.comparison import Comparison, comparison
from torchduet.reports.machines.leaders import UNKNOWN
from torchduet.reports.machines.matrix import ENERGY_THRESHOLD, nowhere
from torchduet.reports.machines.packed import packed, window
from torchduet.reports.machines.prices import Prices
from torchduet.reports.machines.sentences import answers, headline
from torchduet.reports.machines.tables import BEST, CLOSE, FASTEST, GONE, SHOWN_FILTERS, Table, tables
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

MAX_GAPS = 60  # reasons that are listed of a machine
MAX_NAMED = 3  # cases that are named beside a reason
EVERYWHERE = "On every machine"
MAX_FACTS_COLUMNS = 12  # machines in the table of facts


@dataclass(frozen=True)
class Summary:
    """A machine in the table of machines, in words; an empty text is unknown."""

    name: str
    key: str
    details: str
    measured: int
    failed: int
    fastest: str
    ratio: str
    price: str
    cheapest: str
    per_price: str
    thriftiest: str
    started: str


@dataclass(frozen=True)
class Gap:
    """Cases of a machine that have one reason in common."""

    why: str
    number: int
    cases: tuple[str, ...]


def page(runs: Sequence[Run], prices: Prices | None = None, base: str | None = None) -> str:
    """The page on runs of one machine or several, as HTML.

    Args:
        base: as for ``comparison``.

    Raises:
        ValueError: there is no run.
        NoSuchMachine: ``base`` is no machine of these runs, or several.
    """
    return render(comparison(runs, prices, base))


def render(of: Comparison) -> str:
    """The page, as HTML."""
    made = tables(of)
    templates = environment()
    templates.globals.update(standings=STANDINGS, BEST=BEST, CLOSE=CLOSE, GONE=GONE)
    return templates.get_template("machines.html.j2").render(
        of=of,
        **fixed("elements.js", "machines.js", "report.js"),
        title=headline(of),
        answers=answers(of),
        disturbed=of.disturbed.removesuffix(TOO_LONG),
        heat=of.heat,
        summaries=[_summary(of, at) for at in range(len(of.columns))],
        priced=any(of.per_hour),
        with_energy=of.energy.compared > 0,
        tables=[(table, window(table)) for table in made],
        data=packed(made),
        choices=_choices(made),
        gaps=_gaps(of),
        most_gaps=MAX_GAPS,
        facts=_facts(of),
        notes=of.notes(),
        version=of.columns[0].runs[0].about["version"],
        confidence=units.percent(CONFIDENCE),
        threshold=units.percent(DEFAULT),
        energy_threshold=units.percent(ENERGY_THRESHOLD),
        unknown=UNKNOWN,
    )


def _summary(of: Comparison, at: int) -> Summary:
    column, price = of.columns[at], of.per_hour[at]
    failed = {one["case"]["id"] for run in column.runs for one in run.about["failed"]}
    started = [date(run.about["started"]) for run in column.runs]
    return Summary(
        name=column.name,
        key=column.machine.key,
        details=column.details,
        measured=sum(bool(row.cells[at]) for row in of.rows),
        failed=len(failed),
        fastest=_share(of.time.wins[at], of.time.compared),
        ratio=of.speed(at),
        price=of.prices.price(price) if price else "",
        cheapest=_share(of.cost.wins[at], of.cost.compared) if of.cost and price else "",
        per_price=of.money(at),
        thriftiest=_share(of.energy.wins[at], of.energy.compared),
        started=started[0] if len(set(started)) == 1 else f"{started[0]}, and later",
    )


def _share(number: int, total: int) -> str:
    return f"{number:,} of {total:,}" if total else ""


def _choices(made: Sequence[Table]) -> dict[str, list[str]]:
    """The values that the tables can be filtered by."""
    entries = [entry for table in made for entry in table.entries]
    return {
        name: [value for value in dict.fromkeys(entry.filters[name] for entry in entries) if value]
        for name in (*SHOWN_FILTERS, FASTEST)
    }


def _gaps(of: Comparison) -> list[tuple[str, list[Gap]]]:
    """Why cases were not measured, by machine: its name → the reasons, the most frequent first.

    What no machine measured, each for the same reason, comes first, and once.
    """
    elsewhere: dict[str, dict[tuple[str, str], None]] = {column.name: {} for column in of.columns}
    for outcome, name in nowhere(of.columns, of.rows):
        case = outcome["case"]["id"]
        elsewhere[name][case, outcome["reason"].removeprefix(f"{case}: ")] = None
    first, *others = elsewhere.values()
    common = [one for one in first if all(one in listed for listed in others)] if others else []
    gaps = [(EVERYWHERE, common)]
    for at, column in enumerate(of.columns):
        lacking = [(row.work, missing.why) for row in of.rows if (missing := row.missing[at])]
        gaps.append((column.name, [*lacking, *(one for one in elsewhere[column.name] if one not in common)]))
    return [(name, _by_reason(listed)) for name, listed in gaps if listed]


def _by_reason(listed: Sequence[tuple[str, str]]) -> list[Gap]:
    groups: dict[str, list[str]] = {}
    for case, why in listed:
        groups.setdefault(why, []).append(case)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [Gap(why, len(cases), tuple(cases[:MAX_NAMED])) for why, cases in ordered]


def _facts(of: Comparison) -> list[tuple[str, list[str]]]:
    """The facts in which the machines differ, in words, each with the value of every machine: of its latest run."""
    shown = of.columns[:MAX_FACTS_COLUMNS]
    facts = [facts_of(column.runs[-1].about) for column in shown]
    names = [name for name in dict.fromkeys(name for one in facts for name in one) if kind_of(name) != OTHER]
    return list(_differing(names, [{name: in_words(name, one.get(name)) for name in names} for one in facts]))


def _differing(names: Sequence[str], words: Sequence[dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    def last(name: str) -> bool:
        return kind_of(name) in (SOFTWARE, SETTING)

    for name in sorted(names, key=last):
        values = [one[name] for one in words]
        if len(set(values)) > 1:
            yield name_of(name), values
