"""The comparison as one self-contained HTML page in the look of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.charts.model import MAX_ROWS, Bar, Chart
from torchduet.reports.compare import quietness
from torchduet.reports.compare.details import embedded, last_cell, numbered, ordered, width
from torchduet.reports.compare.match import VERDICTS, Change, Comparison
from torchduet.reports.compare.matrix import SYMBOLS, matrix, what_differs
from torchduet.reports.compare.profiles import whys
from torchduet.reports.compare.settings import common_facts
from torchduet.reports.compare.text import expectation, guard, headline, speedups_moved, title_of, why_unclear
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.html.helper_process import Helper, both_forests
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS, filter_values

MAX_TABLE_ROWS = 400  # of all tables together that are written out; of more, the script makes those that are looked at
FIRST_ROWS = 100
MAX_LISTED = 60  # in an answer
MAX_GAPS = 200
FEW_DRAWN, MANY_DRAWN = 16, 24  # where there are more cases than a chart can hold
TONES = {"slower": "no", "faster": "yes"}


def render(comparisons: Sequence[Comparison], threshold: float, helper: Helper | None = None) -> str:
    """The page on all comparisons with one base, as HTML.

    Args:
        threshold: the one that cases have unless set otherwise.
        helper: draws the charts (default: this process).
    """
    second = helper or Helper()
    charts = [_chart(one, threshold, f"run-{place + 1}", second) for place, one in enumerate(comparisons)]
    data = embedded(comparisons)  # while the charts are drawn, if somewhere else
    base = comparisons[0].base
    lines = [line for line in matrix(comparisons) if line.measured] if len(comparisons) > 1 else []
    rows = len(lines) + sum(one.judged for one in comparisons)
    window = FIRST_ROWS if rows > MAX_TABLE_ROWS else 0
    templates = environment()
    templates.globals.update(
        symbols=SYMBOLS, noise_of=quietness.of_case, last_cell=last_cell, width=width, filter_values=filter_values
    )
    facts = common_facts(base)
    return templates.get_template("compare.html.j2").render(
        base=base,
        title=headline(comparisons[0]) if len(comparisons) == 1 else f"{len(comparisons)} runs against {base.name}",
        **fixed("compare.js", "case.js", "report.js"),
        started=date(base.about["started"]),
        machine=" · ".join(f"PyTorch {value}" if name == "PyTorch" else value for name, value in facts.items()),
        entries=[
            _entry(one, place, chart() if chart else None, window)
            for place, (one, chart) in enumerate(zip(comparisons, charts, strict=True))
        ],
        lines=lines[:window] if window else lines,
        number_of_lines=len(lines),
        window=window,
        numbers=numbered(comparisons),
        data=data,
        most_listed=MAX_LISTED,
        most_gaps=MAX_GAPS,
        choices=_choices(comparisons),
        confidence=units.percent(CONFIDENCE),
        threshold=units.percent(threshold),
    )


def _entry(one: Comparison, place: int, chart: Chart | None, window: int) -> dict[str, Any]:
    counted = Counter(change.verdict for change in one.changes)
    moved = {verdict.capitalize(): one.of(verdict) for verdict in ("slower", "faster")}
    moved[title_of("speed-up alone")] = speedups_moved(one)
    return {
        "comparison": one,
        "anchor": f"run-{place + 1}",
        "tone": next(
            (tone for verdict, tone in TONES.items() if counted[verdict]), "same" if counted["same"] else "unclear"
        ),
        "started": date(one.new.about["started"]),
        "slower": counted["slower"],
        "counts": [(verdict, counted[verdict]) for verdict in VERDICTS if counted[verdict]],
        "headline": headline(one),
        "unclear": f"Unclear: {'; '.join(reasons)}." if (reasons := why_unclear(one)) else "",
        "noise": " ".join(quietness.of_runs(one)),
        "guard": guard(one),
        "expectation": expectation(one),
        "moved": [(name, rows) for name, rows in moved.items() if rows],
        "whys": whys(one),
        "chart": chart,
        "drawn": len(_drawn(one)),
        "rows": ordered(one)[: window or None],
        "differs": what_differs(one),
        "gaps": [(title_of(verdict), rows) for verdict in ("failed", "missing", "new") if (rows := one.of(verdict))],
    }


def _drawn(one: Comparison) -> list[Change]:
    """What the forest shows: all, or where they are many those that changed, and the furthest of the others."""
    found = ordered(one)
    changed = sum(change.verdict in TONES for change in found)
    return found[: MAX_ROWS if len(found) <= MAX_ROWS else min(max(changed, FEW_DRAWN), MANY_DRAWN)]


def _chart(one: Comparison, threshold: float, prefix: str, helper: Helper) -> Callable[[], Chart] | None:
    """What gives the forest of a comparison once it is needed; None without a case."""
    bars = [
        Bar(change.verdict, change.case["id"], change.time.ratio, change.time.low, change.time.high, change.verdict)
        for change in _drawn(one)
        if change.time
    ]
    if not bars:
        return None
    forests = helper.begin(both_forests, bars, threshold, prefix)

    def chart() -> Chart:
        least, most = (pick(bars, key=lambda bar: bar.ratio) for pick in (min, max))
        left = one.judged - len(bars)
        wide, narrow = forests()
        return Chart(
            svg=Markup(wide),
            narrow=Markup(narrow),
            title=f"Base over new, {one.new.name}",
            alternative=f"Forest plot of {len(bars)} cases, from {units.ratio(least.ratio)} ({least.label}) "
            f"to {units.ratio(most.ratio)} ({most.label}).",
            note=f"{left} others that moved less are in the table." if left else "",
        )

    return chart


def _choices(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    """What the tables can be filtered by; empty without a case in any."""
    judged = [change for one in comparisons for change in one.changes if change.time]
    cases = [filter_values(change.case) for change in judged]
    found = {name: [value for value in dict.fromkeys(case[name] for case in cases) if value] for name in FILTERS}
    verdicts = {change.verdict for change in judged}
    found["verdict"] = [verdict for verdict in VERDICTS if verdict in verdicts]
    return found if judged else {}
