"""What was too slow at one size is not tried at a larger one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult


@dataclass
class TooSlow:
    """Remembers, for each workload and variant, the sizes at which a call did not fit the budget."""

    known: list[tuple[Case, float]] = field(default_factory=list)

    def note(self, results: Iterable[CaseResult]) -> None:
        """Remember what was left out for its slowness."""
        self.known += too_slow(results)

    def split(self, family: Family) -> tuple[Family, dict[Case, str]]:
        """The family without its hopeless cases, and these with their reasons. The reference stays."""
        hopeless = {
            case: reason
            for case in family.cases
            if case != family.reference and (reason := self._reason(case)) is not None
        }
        kept = Family(
            cases=tuple(case for case in family.cases if case not in hopeless),
            reported=tuple(case for case in family.reported if case not in hopeless),
        )
        return kept, {case: reason for case, reason in hopeless.items() if case in family.reported}

    def _reason(self, case: Case) -> str | None:
        for slow, seconds in self.known:
            if replace(slow, size=case.size) == case and _longer(case, slow):
                return (
                    f"not tried: one call takes {seconds:.2g} s at {slow.size_label} already, too long for its share "
                    "of the budget; raise --budget or select fewer cases with -k"
                )
        return None


def too_slow(results: Iterable[CaseResult]) -> tuple[tuple[Case, float], ...]:
    """What was left out for its slowness, and the seconds that one call takes."""
    return tuple((result.case, result.too_slow) for result in results if result.too_slow is not None)


def _longer(case: Case, other: Case) -> bool:
    """Whether no axis is smaller: numbers at least as large, words the same.

    Where data are loaded a larger batch makes an epoch shorter: there it must be the same.
    """
    return all(
        mine == theirs
        or (
            (isinstance(mine, int) and isinstance(theirs, int) and mine >= theirs)
            and not (axis == "batch" and case.workers is not None)
        )
        for (axis, mine), (_, theirs) in zip(case.size, other.size, strict=True)
    )
