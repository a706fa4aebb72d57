"""Finds which arguments a case's calls change, and says so in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from torchduet.bench.inputs.changes import Changes
from torchduet.bench.inputs.graph import is_iterator, walk
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.timing.callables import SPECIAL
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.authoring.signatures import POSITIONAL, parameters_of
from torchduet.suites.workload import Workload

MIN_LATE_CALLS = 3


def argument_names(workload: Workload, count: int) -> tuple[str, ...]:
    """The names of the arguments, from the parameters of the first implementation; else "argument 2"."""
    first = next(iter(workload.implementations.values())).function
    names = [parameter.name for parameter in parameters_of(first) or () if parameter.kind in POSITIONAL]
    count -= len(workload.captured)
    names = [name for name in names if name not in SPECIAL][:count]
    return (*names, *(f"argument {position + 1}" for position in range(len(names), count)), *workload.captured)


def positions(workload: Workload, keyword: str, names: Sequence[str]) -> frozenset[int]:
    """The positions of the arguments that ``mutates=`` or ``scratch=`` names.

    Raises:
        CheckError: there is no such argument.
    """
    wanted: tuple[str, ...] = getattr(workload, keyword)
    for name in wanted:
        if name not in names:
            raise CheckError(f"{keyword}= names {name!r}, which is no argument; the arguments are {', '.join(names)}")
    return frozenset(map(list(names).index, wanted))


def refuse_iterators(inputs: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse inputs that the first call uses up.

    Raises:
        CheckError: an input is an iterator, or holds one.
    """
    for name, value in zip(names, inputs, strict=True):
        for item in walk(value):
            if is_iterator(item):
                where = name if item is value else f"{name} (within it)"
                raise CheckError(
                    f"{where} is an iterator ({type(item).__name__}), which the first call uses up: return a list, "
                    "make the iterator within the call, or pass fresh=True, which makes the inputs anew for each call"
                )


def refuse_no_items(each: str, inputs: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse an argument named by ``each=`` that has no items in an order; an iterator is refused elsewhere.

    Raises:
        CheckError: it is no list and nothing like one, or it is empty.
    """
    for name, value in zip(names, inputs, strict=True):
        if name != each or is_iterator(value):
            continue
        unordered = isinstance(value, str | bytes | Mapping | Set)
        if unordered or not hasattr(value, "__len__") or not _iterable(value):
            raise CheckError(
                f"each={each!r}: inputs= returns {type(value).__name__} for it; return a list of its items"
            )
        if not len(value):
            raise CheckError(
                f"each={each!r}: inputs= returns an empty {type(value).__name__}; return one item at least"
            )


def _iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:  # a tensor without dimensions, too
        return False
    return True


def changed_by_a_call(
    placements: Placements,
    again: Callable[[], object],
    ignored: frozenset[int],
    agreed: Callable[[bool], bool] = bool,
) -> Changes:
    """What the first call has changed, after it.

    What it has only filled, such as a table that is computed once, stays filled, unless a second call changes it again.

    Args:
        again: makes a second call.
        ignored: positions of arguments whose changes do not matter.
        agreed: whether a condition holds in any of the processes that make the same calls.
    """
    changes = placements.changes(ignored)
    filled = changes.only_filled
    if agreed(filled):
        if filled:
            placements.keep(changes)
        again()
        changes = placements.changes(ignored) if filled else changes
    return changes


def changed_while_timed(
    runs: Sequence[TimedCase], placements: Placements, ignored: frozenset[int]
) -> list[tuple[TimedCase, Changes]]:
    """After the timing, the cases whose calls change their inputs later than in the first call, and what they change.

    All cases where it cannot be found out which one does. Makes calls only where something has changed.
    """
    overall = placements.changes(ignored)
    if not runs or not overall:
        return []
    late = []
    for run in runs:
        placements.restore()
        with run.unmetered(), run.in_its_state():
            for _ in range(max(MIN_LATE_CALLS, run.calls)):
                run.prepared.call(*run.prepared.args)
        if changes := placements.changes(ignored):
            late.append((run, changes))
    placements.restore()
    return late or [(run, overall) for run in runs]


def restored_note(changes: Changes, names: Sequence[str]) -> str:
    """The note of a case whose inputs are put back before each call."""
    return f"a call changes its input {changes.words(names)}; put back, untimed, before every call of this family"


def unrestored_note(changes: Changes, names: Sequence[str], restoring: float, call: float) -> str:
    """The note of a case whose inputs cannot be put back so often."""
    return (
        f"repeated calls do different work: a call changes its input {changes.words(names)}, and putting that back "
        f"takes {restoring / max(call, 1e-9):.0f} times as long as the call, so that it is done for each placement only"
    )


def late_note(changes: Changes, names: Sequence[str]) -> str:
    """The note of a case whose inputs had changed after its timing, but not after its first call."""
    return (
        f"repeated calls do different work: its input {changes.words(names)} had changed after the timing, but not "
        "after the first call; name it in mutates= to have it put back before every call"
    )
