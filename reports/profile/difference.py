"""Compares two profiles: how compiling a case, or another run, changed where the time goes."""

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
    unsorted = [Shift(name, before.categories.get(name, 0.0), after.categories.get(name, 0.0)) for name in names]
    return sorted(unsorted, key=lambda shift: -abs(shift.after - shift.before))


def sentences(before: Summary, after: Summary, first: str, second: str) -> Iterator[str]:
    """How the second profile differs from the first, in sentences that call both by their names."""
    fused = f", {_number(after.fused)} of them fused by the compiler" if after.fused else ""
    yield (
        f"{second} runs {_number(after.dispatched)} operators and kernels per call instead of the "
        f"{_number(before.dispatched)} of {first}{fused}."
    )
    least = WORTH_NAMING * max(before.seconds, after.seconds)
    large = [shift for shift in shifts(before, after) if abs(shift.after - shift.before) >= least]
    if large:
        changes = [f"{shift.category} {_seconds(shift.before)} → {_seconds(shift.after)}" for shift in large]
        yield f"By category, under the profiler: {'; '.join(changes)}."
    gemm = next((shift for shift in shifts(before, after) if shift.category == GEMM and shift.before), None)
    if gemm and abs(gemm.after - gemm.before) < least:
        yield f"The {GEMM} did not change ({_seconds(gemm.before)} and {_seconds(gemm.after)})."
    share_before, share_after = _without_operator(before), _without_operator(after)
    if max(share_before, share_after) >= WORTH_NAMING:
        compiled = ", entering compiled code" if before.share(COMPILED) or after.share(COMPILED) else ""
        change = "fell" if share_after < share_before else "rose"
        yield (
            f"The share in which no operator ran (Python, launching{compiled}) {change} from "
            f"{units.percent(share_before)} to {units.percent(share_after)}: "
            f"{_seconds(share_before * before.seconds)} → {_seconds(share_after * after.seconds)}."
        )
    kernels = [operator.name for operator in after.operators if operator.category == FUSED]
    if kernels:
        yield f"The longest fused kernel: `{kernels[0]}`."


def partner(case: CaseRecord, cases: Mapping[str, CaseRecord]) -> str | None:
    """The id of the eager case that differs from a compiled one in nothing else; None where there is none."""
    if case["mode"] == EAGER:
        return None
    eager = {**case, "mode": EAGER, "id": "", "reference": False}
    return next(
        (name for name, candidate in cases.items() if {**candidate, "id": "", "reference": False} == eager),
        None,
    )


def _without_operator(summary: Summary) -> float:
    """The share of Python and of entering compiled code, which is Python's guards and wrappers."""
    return summary.share(PYTHON) + summary.share(COMPILED)


def _seconds(value: float) -> str:
    return units.seconds(value) if value else "none"


def _number(value: float) -> str:
    return f"{round(value):,}" if value >= 1 or not value else f"{value:.1f}"
