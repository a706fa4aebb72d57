"""Which cases of a family are timed in the time that is left: the reference first, as the others are compared with it.

A worker asks before the first call of each case, and again before the timing. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torchduet.bench.record.statistics import MIN_PLACEMENTS

OVERDRAFT = 2.0  # shares that timing a family in the fewest placements may take
LONG_SHARE = 0.1  # of a family's share: a case whose fewest calls take less is not what makes the family slow
NAMED_SECONDS = 0.1
ALIKE = 1.25  # cases that differ by less are left out by their order, the last first, and not by chance
AFTER_CALLS = 3  # after the timing: is the result still right, and what is it with changed and with other values
FEWEST_CALLS = 3 + AFTER_CALLS  # of a case in a first visit of three placements
FEWEST_ALONE = 1 + AFTER_CALLS  # of a reference for which there is no time for more
STAGE_WORDS = {
    "importing": "the import of its file",
    "compiling": "compiling",
    "checking": "its inputs and the check in float64",
    "warming": "first calls and warming up",
}
REMEDY = "raise --budget or select fewer cases with -k"


class Place(Protocol):
    """What a case runs on."""

    name: str


class Paced(Protocol):
    """What is timed, such as a :class:`torchduet.bench.timing.timed_case.TimedCase`."""

    calls: int  # per block
    seconds: float  # per call, as of the warm-up
    skip: str | None
    too_slow: float | None  # seconds of one call, where that is why it is skipped

    @property
    def device(self) -> Place:
        """What it runs on."""


P = TypeVar("P", bound=Paced)


@dataclass(frozen=True)
class TimeLeft:
    """The seconds that are left for a family in its first visit.

    Attributes:
        budget: of the run's budget; 0 or less where it is used up.
        visit: that the visit is to time.
        grace: beyond the budget; infinite as long as nothing of the run is measured.
    """

    budget: float
    visit: float = 0.0
    grace: float = 0.0

    @property
    def named(self) -> float:
        """Seconds of the run's budget, as reasons name them."""
        return max(0.0, self.budget)

    @property
    def for_reference(self) -> float:
        """Seconds for the reference alone."""
        return max(0.0, self.budget + self.grace)

    @property
    def for_all(self) -> float:
        """Seconds for all cases. What fits into one visit's timing is no reason to leave a case out."""
        return max(0.0, self.budget, min(self.visit, self.for_reference))


def too_slow(seconds: float, family: float, share: float, cases: int = 1, *, of: str = "") -> str:
    """Why a case is skipped: the seconds of one call, of timing its family, and of its share of the budget.

    Where one call is short, the number of cases is the reason.

    Args:
        of: whose call it is, if not its own.
    """
    cause = (
        f"its family has {cases} cases"
        if cases > 1 and is_short(seconds, share)
        else f"one call{of} takes {seconds:.2g} s"
    )
    return f"{cause}, so timing its family takes {family:.1f} s and its share of the budget is {share:.1f} s; {REMEDY}"


def is_short(seconds: float, share: float) -> bool:
    """Whether a call of so many seconds is not what makes its family slow."""
    return MIN_PLACEMENTS * seconds < LONG_SHARE * share


def out_of_time(stages: Mapping[str, float], left: float) -> str:
    """Why a case is skipped that has no time left: what took the time, by stage (seconds), the longest first."""
    return f"{left:.1f} s of the run's budget are left for its timing{_after(stages)}; {REMEDY}"


def not_begun(stages: Mapping[str, float], left: float, expected: float, reserved: float) -> str:
    """Why a case's first call is not made.

    Args:
        stages: the stages of the family so far, and the seconds of each.
        left: seconds for the family.
        expected: seconds of its first call.
        reserved: seconds for the timing of the cases before it.
    """
    needs = " and ".join(
        words
        for seconds, words in (
            (expected, f"its first call (about {expected:.1f} s)"),
            (reserved, f"the timing of the cases before it (about {reserved:.1f} s)"),
        )
        if seconds >= NAMED_SECONDS
    )
    return (
        f"{left:.1f} s of the run's budget are left{_after(stages)}, too little for {needs or 'another case'}; {REMEDY}"
    )


def _after(stages: Mapping[str, float]) -> str:
    longest = sorted((pair for pair in stages.items() if pair[0] in STAGE_WORDS), key=lambda pair: -pair[1])
    words = [f"{STAGE_WORDS[stage]} took {seconds:.1f} s" for stage, seconds in longest if seconds >= NAMED_SECONDS]
    return f" after {' and '.join(words[:2])}" if words else ""


def leave_out_too_slow(
    runs: Sequence[P],
    seconds: float,
    left: TimeLeft | None = None,
    stages: Mapping[str, float] | None = None,
    references: Sequence[P] = (),
) -> list[P]:
    """The cases that can be timed: in 8 placements within twice ``seconds``, and in 3 within what is left.

    The slowest are skipped, of those that take about as long the last; the reason says how long one call takes, or what
    else took the time. The reference on the device of the slowest stays as long as another case is left there. Where it
    is all that is left, it may have fewer placements; where there is no time for even one, none on its device is timed.

    Args:
        seconds: the family's share.
        left: for the family; None: there is no limit.
        stages: the stages of the family so far, and the seconds of each.
        references: which of the runs the others on the same device are compared with, at most one on each.
    """
    left, stages = left or TimeLeft(math.inf), stages or {}
    kept, limit, share = list(runs), OVERDRAFT * seconds, min(seconds, left.for_all)
    for reference in references:
        if why := _reference_too_slow(reference, limit, share, left, stages):
            for run in _beside(reference, kept):
                run.skip = why
            kept = [run for run in kept if run.skip is None]
    while kept and not (MIN_PLACEMENTS * _once(kept) <= limit and FEWEST_CALLS * _once(kept) <= left.for_all):
        beside = _beside(max(kept, key=lambda run: run.seconds), kept)
        compared_with = next((run for run in beside if any(run is one for one in references)), None)
        if compared_with is not None and len(kept) == 1:
            break
        others = [run for run in beside if run is not compared_with] or beside
        slowest = max(run.seconds for run in others)
        out = [run for run in others if run.seconds * ALIKE >= slowest][-1]
        needed = MIN_PLACEMENTS * _once(kept)
        if needed <= limit:  # its calls are not too long: too little is left of the budget
            out.skip = out_of_time(stages, left.named)
        elif compared_with is not None and compared_with.seconds > ALIKE * out.seconds:
            out.skip = too_slow(compared_with.seconds, needed, share, len(kept), of=" of its reference")
        else:
            out.skip = too_slow(out.seconds, needed, share, len(kept))
            out.too_slow = None if is_short(out.seconds, share) else out.seconds
        kept = [run for run in kept if run is not out]
    return kept


def _beside(run: P, runs: Sequence[P]) -> list[P]:
    """Those on the same device."""
    return [other for other in runs if other.device.name == run.device.name]


def _once(runs: Sequence[Paced]) -> float:
    """Seconds of one block of each."""
    return sum(run.seconds * run.calls for run in runs)


def _reference_too_slow(
    reference: Paced, limit: float, share: float, left: TimeLeft, stages: Mapping[str, float]
) -> str | None:
    """Why nothing on a device is timed: there is no time for one placement of the reference there."""
    least = FEWEST_ALONE * _once([reference])
    if least > limit and not is_short(reference.seconds, share):
        reference.too_slow = reference.seconds
        return too_slow(reference.seconds, MIN_PLACEMENTS * _once([reference]), share, of=" of its reference")
    return out_of_time(stages, left.named) if least > left.for_reference else None
