"""What a run did not measure and what it warns of: counted for the top of the page, and grouped by reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torchduet.bench.record.schema import NotMeasured
from torchduet.reports.read.run_file import Run

STOPPED = "the run was stopped before their turn"


@dataclass(frozen=True)
class Reason:
    """Why some cases were not measured, and which."""

    words: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """One kind of what is missing: its place in the page, its title, and the cases by reason."""

    anchor: str
    title: str
    noun: str  # "failed": what its number is followed by in the line under the title
    reasons: tuple[Reason, ...]

    @property
    def number(self) -> int:
        """How many cases."""
        return sum(len(reason.cases) for reason in self.reasons)


def gaps(run: Run) -> list[Gap]:
    """What failed, what was skipped and what was not reached; only what there is."""
    about = run.about
    unreached = tuple(about.get("unreached", []))
    found = [
        Gap("gaps-failed", "Failed", "failed", _by_reason(about["failed"])),
        Gap("gaps-skipped", "Skipped", "skipped", _by_reason(about["skipped"])),
        Gap("gaps-unreached", "Not reached", "not reached", (Reason(STOPPED, unreached),) if unreached else ()),
    ]
    return [gap for gap in found if gap.number]


def warnings(run: Run) -> list[str]:
    """What the run warns of, and what else the file holds."""
    others = run.others
    are = "are" if others != 1 else "is"
    of_others = (
        [f"{others} other benchmark{'s' if others != 1 else ''} in the file {are} not Torchduet’s and left out here."]
        if others
        else []
    )
    resumed = run.about.get("resumed", [])
    of_pauses = [
        f"This run was cut short {one['at']:.0f} s into it, after {one['families']} families, and resumed "
        f"{one['started']}: what came after was measured in another process."
        for one in resumed
    ]
    return [*run.about["warnings"], *of_pauses, *of_others]


def stopped(run: Run) -> str:
    """That the run was stopped, and how much of it there is; empty for one that was not."""
    unreached = len(run.about.get("unreached", []))
    if not unreached:
        return ""
    measured = len(run.records)
    selected = measured + sum(gap.number for gap in gaps(run))
    were = "was" if measured == 1 else "were"
    why = run.about.get("stopped")
    return f"This run was stopped: {measured} of {selected} cases {were} measured" + (f" ({why})" if why else "")


def _by_reason(cases: Iterable[NotMeasured]) -> tuple[Reason, ...]:
    found: dict[str, list[str]] = {}
    for one in cases:
        case = one["case"]["id"]
        found.setdefault(one["reason"].removeprefix(f"{case}: "), []).append(case)
    return tuple(Reason(words, tuple(ids)) for words, ids in found.items())
