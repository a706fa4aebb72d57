"""Two profiles held against each other: what compiling, or another run, did to where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord
from torchduet.reports.profile.categories import COMPILED, FUSED, GEMM, PYTHON
from torchduet.reports.profile.summary import Summary
from torchduet.reports.text import units

WORTH_NAMING = 0.05  # of the longer call
EAGER = "eager"


@dataclass(frozen=True)
class Shift:
    """A category's seconds per call on both sides."""

    category: str
    before: float
    after: float


def shifts(before: Summary, after: Summary) -> list[Shift]:
    """Every category of either side, the largest change first."""
    names = dict.fromkeys((*before.categories, *after.categories))
    found = [Shift(name, before.categories.get(name, 0.0), after.categories.get(name, 0.0)) for name in names]
    return sorted(found, key=lambda one: -abs(one.after - one.before))


def sentences(before: Summary, after: Summary, first: str, second: str) -> Iterator[str]:
    """What became of one profile in another, in words; both sides are called by name."""
    fused = f", {_number(after.fused)} of them fused by the compiler" if after.fused else ""
    yield (
        f"{second} runs {_number(after.dispatched)} operators and kernels per call instead of the "
        f"{_number(before.dispatched)} of {first}{fused}."
    )
    least = WORTH_NAMING * max(before.seconds, after.seconds)
    named = [one for one in shifts(before, after) if abs(one.after - one.before) >= least]
    if named:
        changes = [f"{one.category} {_seconds(one.before)} → {_seconds(one.after)}" for one in named]
        yield f"By category, under the profiler: {'; '.join(changes)}."
    gemm = next((one for one in shifts(before, after) if one.category == GEMM and one.before), None)
    if gemm and abs(gemm.after - gemm.before) < least:
        yield f"The {GEMM} stay what they were ({_seconds(gemm.before)} and {_seconds(gemm.after)})."
    was, became = _without_operator(before), _without_operator(after)
    if max(was, became) >= WORTH_NAMING:
        compiled = ", entering compiled code" if before.share(COMPILED) or after.share(COMPILED) else ""
        went = "fell" if became < was else "rose"
        yield (
            f"The share in which no operator ran (Python, launching{compiled}) {went} from "
            f"{units.percent(was)} to {units.percent(became)}: {_seconds(was * before.seconds)} → "
            f"{_seconds(became * after.seconds)}."
        )
    kernels = [one.name for one in after.operators if one.category == FUSED]
    if kernels:
        yield f"The longest fused kernel: `{kernels[0]}`."


def partner(case: CaseRecord, cases: Mapping[str, CaseRecord]) -> str | None:
    """The id of the case that differs from a compiled one in being eager alone; None where it is not among them."""
    if case["mode"] == EAGER:
        return None
    alike = {**case, "mode": EAGER, "id": "", "reference": False}
    return next(
        (name for name, other in cases.items() if {**other, "id": "", "reference": False} == alike),
        None,
    )


def _without_operator(one: Summary) -> float:
    """A share of the time: what is compiled is entered from Python, too, by guards and wrappers."""
    return one.share(PYTHON) + one.share(COMPILED)


def _seconds(value: float) -> str:
    return units.seconds(value) if value else "none"


def _number(value: float) -> str:
    return f"{round(value):,}" if value >= 1 or not value else f"{value:.1f}"
