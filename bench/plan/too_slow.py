"""Skips larger sizes of cases that were too slow at a smaller size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult


@dataclass
class TooSlow:
    """The sizes, for each workload and variant, at which a call did not fit the budget.

    Attributes:
        cases: (case, seconds of one call) of each case that was too slow.
    """

    cases: list[tuple[Case, float]] = field(default_factory=list)

    def add(self, results: Iterable[CaseResult]) -> None:
        """Add the cases that were too slow."""
        self.cases += slow_cases(results)

    def split(self, family: Family) -> tuple[Family, dict[Case, str]]:
        """The family without the cases that would be too slow, and these with their reasons.

        The reference stays as long as cases on other devices are left. Those on its own are not compared without it.
        """
        reference = family.reference
        of_reference = self._reason(reference, " of its reference")
        reasons = {
            case: of_reference if of_reference and case.device == reference.device else self._reason(case)
            for case in family.cases
        }
        skipped = {case: reason for case, reason in reasons.items() if reason is not None}
        if len(skipped) < len(family.cases):
            skipped.pop(reference, None)
        kept = Family(
            cases=tuple(case for case in family.cases if case not in skipped),
            reported=tuple(case for case in family.reported if case not in skipped),
        )
        return kept, {case: reason for case, reason in skipped.items() if case in family.reported}

    def _reason(self, case: Case, of: str = "") -> str | None:
        for slow, seconds in self.cases:
            if replace(slow, size=case.size) == case and _longer(case, slow):
                return (
                    f"not measured: one call{of} takes {seconds:.2g} s at {slow.size_label} already, too long for its "
                    "share of the budget; raise --budget or select fewer cases with -k"
                )
        return None


def slow_cases(results: Iterable[CaseResult]) -> tuple[tuple[Case, float], ...]:
    """The cases that were too slow, with the seconds of one call."""
    return tuple((result.case, result.too_slow) for result in results if result.too_slow is not None)


def _longer(case: Case, other: Case) -> bool:
    """Whether no axis of ``case`` is smaller: numbers are at least as large, words and booleans the same.

    With DataLoader workers a larger batch makes an epoch shorter: then it must be the same.
    """
    return all(
        value == other_value
        or (
            (_is_number(value) and _is_number(other_value) and value >= other_value)
            and not (axis == "batch" and case.workers is not None)
        )
        for (axis, value), (_, other_value) in zip(case.size, other.size, strict=True)
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
