"""Renders a comparison as a card for a notebook: self-contained, without scripts, apart from the styles around it."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup

from torchduet.reports.charts.forest import forest
from torchduet.reports.charts.model import MAX_ROWS, Bar, Chart
from torchduet.reports.html.environment import TEMPLATES, environment
from torchduet.reports.text import units

ROOT = ".torchduet.torchduet-card"  # twice, so that a notebook's own rules for tables do not win
LIGHT = (
    *('body[data-jp-theme-light="true"]', "body.vscode-light", "body.vscode-high-contrast-light"),
    *('html[data-theme="light"]', 'html[theme="light"]'),
)
DARK = (
    *('body[data-jp-theme-light="false"]', "body.vscode-dark", "body.vscode-high-contrast"),
    *('html[data-theme="dark"]', 'html[theme="dark"]'),
)


@dataclass(frozen=True)
class CardRow:
    """A case of the table.

    Attributes:
        name: of the function.
        settings: those that differ between cases, in words: ``n=1024``, ``compile``.
        values: of the same settings.
        seconds: per call; ``seconds_low`` and ``seconds_high`` are its interval, NaN without one.
        first_call: in seconds.
        against: the case that it is compared with, in words; empty for the baseline.
        speedup: over that case; ``low`` and ``high`` are its interval, NaN without one.
        verdict: empty for the baseline.
        size: in words, to group the rows of the chart by.
        marks: such as ``not checked``.
    """

    name: str
    settings: Sequence[str]
    values: Sequence[str]
    seconds: float
    seconds_low: float
    seconds_high: float
    first_call: float
    against: str
    speedup: float
    low: float
    high: float
    verdict: str
    size: str
    marks: str

    @property
    def label(self) -> str:
        """The function and its settings, apart from the size."""
        return " ".join([self.name, *(setting for setting in self.settings if setting not in self.size.split(" "))])


@dataclass(frozen=True)
class Card:
    """What a notebook shows of a comparison.

    Attributes:
        answer: in one sentence.
        emphasis: where in the answer its figure stands: start and end.
        verdict: of the answer; empty where it has several or none.
        settings: names of the settings that differ between cases.
        rows: of the table.
        threshold: up to this share a difference is the same.
        covers: what the intervals cover.
        gaps: what was not measured, and why the comparison ended early.
        notes, warnings: of the cases, and of the run.
    """

    answer: str
    emphasis: tuple[int, int]
    verdict: str
    settings: Sequence[str]
    rows: Sequence[CardRow]
    threshold: float
    covers: str
    gaps: Sequence[str]
    notes: Sequence[str]
    warnings: Sequence[str]


def render(card: Card) -> str:
    """The card as HTML. Its element ids are new each time, as a notebook may show it twice."""
    compared = [row for row in card.rows if row.verdict]
    opponents = list(dict.fromkeys(row.against for row in compared))
    start, end = card.emphasis
    compiled = any(row.first_call >= 100 * row.seconds and row.first_call >= 0.1 for row in card.rows)
    return (
        environment()
        .get_template("comparison_card.html.j2")
        .render(
            card=card,
            css=_style(),
            parts=(card.answer[:start], card.answer[start:end], card.answer[end:]),
            chart=_chart(card, compared, opponents) if compared else None,
            compared=bool(compared),
            opponents=opponents,
            compiled=compiled,
            dense=len(card.settings) + compiled + (len(opponents) > 1) >= 3,
            folded=_folded(card),
            threshold=units.percent(card.threshold),
        )
    )


def _chart(card: Card, compared: Sequence[CardRow], opponents: Sequence[str]) -> Chart:
    drawn = compared[:MAX_ROWS]
    over = f"over {opponents[0]}" if len(opponents) == 1 else ""
    bars = [
        Bar(
            row.size or f"speed-up {over}".strip(),
            row.label if over else f"{row.label} over {row.against}",
            row.speedup,
            _or_none(row.low),
            _or_none(row.high),
            row.verdict,
        )
        for row in drawn
    ]
    prefix = f"torchduet-{secrets.token_hex(4)}"
    said = "; ".join(
        f"{bar.label} {units.ratio(bar.ratio)}" + (f" ({bar.interval})" if bar.interval else "") + f", {bar.verdict}"
        for bar in bars[:8]
    )
    more = f"; and {len(bars) - 8} more in the table" if len(bars) > 8 else ""
    return Chart(
        svg=Markup(forest(bars, card.threshold, prefix)),
        narrow=Markup(forest(bars, card.threshold, f"{prefix}-n", narrow=True)),
        title=f"Chart of speed-ups {over}".strip(),
        alternative=f"Forest plot of {len(bars)} speed-up{'s' * (len(bars) != 1)} {over}".strip() + f": {said}{more}.",
        note=f"The first {MAX_ROWS} of {len(compared)}; all are in the table." if len(compared) > MAX_ROWS else "",
    )


def _folded(card: Card) -> str:
    """How many notes and warnings there are, in words."""
    counts = ((len(card.warnings), "warning"), (len(card.notes), "note"))
    return ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


@cache
def _style() -> Markup:
    """The report's colours and the card's rules, for the elements of cards only."""
    light, dark = palettes((TEMPLATES / "report.css").read_text("utf-8"))
    rules = (TEMPLATES / "comparison_card.css").read_text("utf-8").replace(".card", ROOT)
    return Markup(
        f"{ROOT} {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ {ROOT} {{ color-scheme: dark; {dark} }} }}\n"
        f"{_within(LIGHT)} {{ color-scheme: light; {light} }}\n"
        f"{_within(DARK)} {{ color-scheme: dark; {dark} }}\n{rules}"
    )


def _within(themes: Sequence[str]) -> str:
    return ", ".join(f"{theme} {ROOT}" for theme in themes)


def palettes(css: str) -> tuple[str, str]:
    """The report's colours for light and dark pages, as declarations."""
    light, dark = re.findall(r":root \{([^}]*--page[^}]*)\}", css)[:2]
    return tuple(" ".join(re.findall(r"--[\w-]+: [^;]+;", block)) for block in (light, dark))  # type: ignore[return-value]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
