"""Groups changes that came with the same run, so that the run and its commit or versions can be looked up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchduet.reports.history.judged import Change
from torchduet.reports.history.series import History


@dataclass(frozen=True)
class Event:
    """All changes that came with the same run.

    Attributes:
        after: the first run with them.
        before: the latest run before it that any of them is compared with.
    """

    before: int
    after: int
    changes: tuple[Change, ...]

    @property
    def perhaps(self) -> tuple[int, ...]:
        """The runs with any of which all of them may have come; if they came in steps, all of these."""
        if self.gradual:
            ends = [change.perhaps[place] for change in self.changes for place in (0, -1)]
            return tuple(range(min(ends), max(ends) + 1))
        first, *others = (change.perhaps or (change.after,) for change in self.changes if not change.gradual)
        return tuple(run for run in first if all(run in other for other in others)) or (self.after,)

    @property
    def gradual(self) -> bool:
        """Whether all of them came in steps with several runs."""
        return all(change.gradual for change in self.changes)

    def of(self, what: str, verdict: str) -> list[Change]:
        """Its changes of that kind, the largest first."""
        matching = [change for change in self.changes if (change.what, change.verdict) == (what, verdict)]
        return sorted(matching, key=lambda change: -abs(change.height.point))


def events(changes: Sequence[Change]) -> list[Event]:
    """Changes by the run that they came with, the latest first.

    A change whose run is uncertain joins the nearest event that it may have come with, if that has none of the same
    series.
    """
    by_run: dict[int, list[Change]] = {}
    for change in sorted(changes, key=lambda change: (change.reach, -abs(change.height.point))):
        series = (change.case, change.what)
        near = [
            run
            for run, members in by_run.items()
            if (run in change.perhaps or abs(run - change.after) <= change.reach)
            and series not in [(member.case, member.what) for member in members]
        ]
        run = min(near, key=lambda run: abs(run - change.after), default=change.after)
        by_run.setdefault(run, []).append(change)
    return [
        Event(max((change.before for change in members if change.before < run), default=run - 1), run, tuple(members))
        for run, members in sorted(by_run.items(), reverse=True)
    ]


def commit_of(history: History, index: int) -> str:
    """A run in a word: its commit, else its file."""
    run = history.runs[index]
    return run.commit[:7] or run.path


def commits_of(history: History, change: Change, word: str = "with") -> str:
    """The run that a change came with; where the data do not tell it from its neighbours, all that it may have been.

    ``with 56a4906``, ``with c50b656 or 56a4906``, ``with one of c50b656 to 56a4906``; of a change that runs between
    both levels show to be none of one commit alone, ``in steps from c50b656 to 56a4906``.
    """
    return _among(change.perhaps or (change.after,), word, lambda run: commit_of(history, run), gradual=change.gradual)


def runs_of(event: Event, name: Callable[[int], str]) -> str:
    """The run that an event came with, or all that it may have been, as ``commits_of`` says it."""
    return _among(event.perhaps, "with", name, gradual=event.gradual)


def _among(runs: Sequence[int], word: str, name: Callable[[int], str], *, gradual: bool) -> str:
    names = list(dict.fromkeys(map(name, runs)))
    if gradual and len(names) > 1:
        return f"in steps from {names[0]} to {names[-1]}"
    return f"{word} {' or '.join(names) if len(names) <= 2 else f'one of {names[0]} to {names[-1]}'}"
