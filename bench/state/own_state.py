"""The state of a case: what its setup and its calls leave changed is in force around its calls only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torchduet.bench.state import interpreter, operating_system, torch_flags, torch_stacks
from torchduet.bench.state.entry import Change, Entry, LastingChangeError, changes, listed, put_back, read
from torchduet.bench.state.threads import busy

CALLS, SETUP = "its calls", "its setup"
FOR_OTHERS = "put back before other cases are called"
# What libraries change when they are imported, too. It is named only where nothing was imported meanwhile: a library
# that the author's code imports may have been imported before in another process, and is no change of the author's.
OF_LIBRARIES = frozenset({"environment", "warnings filters", "root logger", "signal handlers"})


@cache
def everything() -> tuple[Entry, ...]:
    """Every entry, in the order in which they are put back."""
    return (
        *torch_flags.entries(),
        *torch_stacks.entries(),
        *interpreter.entries(),
        *operating_system.entries(),
    )


@cache
def fast() -> tuple[Entry, ...]:
    """The entries that are compared after every block: about a microsecond."""
    return tuple(entry for entry in everything() if entry.fast)


def differences(before: Sequence[Any], after: Sequence[Any]) -> list[Change]:
    """The changes between two readings of everything."""
    return changes(everything(), before, after)


@dataclass
class Restored:
    """What was changed within :func:`restored`, and has been put back.

    Attributes:
        changed: all changes.
        lasting: those that could not be undone.
        imported: whether a module was imported within it for the first time.
    """

    changed: list[Change] = field(default_factory=list)
    lasting: list[Change] = field(default_factory=list)
    imported: bool = False

    def note(self, who: str, outcome: str = FOR_OTHERS) -> list[str]:
        """One sentence about what ``who`` changed; none where nothing that is named was changed."""
        undone = listed(change for change in self.changed if change not in self.lasting and not self._of_import(change))
        notes = [f"{who} changed {undone}: {outcome}"] if undone else []
        return notes + ([f"{who} changed {kept}: cannot be put back"] if (kept := listed(self.lasting)) else [])

    def _of_import(self, change: Change) -> bool:
        return self.imported and change.entry.name in OF_LIBRARIES


@contextmanager
def restored() -> Iterator[Restored]:
    """Put every piece of state back at the end, whether or not an error is raised within."""
    outcome = Restored()
    before, modules = read(everything()), set(sys.modules)
    try:
        yield outcome
    finally:
        outcome.imported = not modules.issuperset(sys.modules)
        outcome.changed = differences(before, read(everything()))
        outcome.lasting = put_back(outcome.changed)


class OwnState:
    """What a case's setup and calls leave changed: set again around its own calls, and put back after them.

    Its calls run as they do one after another in a program of the author's, and all other cases without that.

    Attributes:
        notes: a sentence for each time that something else was changed.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._values: dict[Entry, Any] = {}

    def adopt(self, changed: Iterable[Change]) -> None:
        """From now on these are set around the case's calls."""
        for change in changed:
            self._values.setdefault(change.entry, change.after)

    @contextmanager
    def entered(self, *, thorough: bool = False) -> Iterator[None]:
        """The state for calls of this case; everything is as before at the end.

        Args:
            thorough: compare everything, which takes a tenth of a millisecond; else only what is fast to read, unless
                the case is known to change something.

        Raises:
            LastingChangeError: something was changed that other cases would be measured under, for ever.
        """
        entries = everything() if thorough or self._values else fast()
        before = read(entries)
        threads = set(threading.enumerate()) if thorough else set()
        modules = set(sys.modules) if thorough else set()
        for entry, value in self._values.items():
            entry.put_back(value)
        within = read(entries) if self._values else before
        try:
            yield
        finally:
            after = read(entries)
            if self._values or after != before:
                self._leave(entries, before, within, after, thorough and not modules.issuperset(sys.modules))
            if thorough:
                self._watch(threads)

    def _leave(
        self,
        entries: Sequence[Entry],
        before: Sequence[Any],
        within: Sequence[Any],
        after: Sequence[Any],
        imported: bool,
    ) -> None:
        new = [change for change in changes(entries, within, after) if change.entry not in self._values]
        lasting = put_back(changes(entries, before, after))
        outcome = Restored(
            new, [change for change in lasting if change.entry in {item.entry for item in new}], imported
        )
        self.notes += [note for note in outcome.note(CALLS) if note not in self.notes]
        self.adopt(new)
        poison = [change for change in lasting if change.entry.poisons]
        if poison:
            raise LastingChangeError(
                f"{CALLS} changed {listed(poison)}, which cannot be put back for other cases; "
                "change it for all, at the start of the suite's file, or outside the suite"
            )

    def _watch(self, before: set[threading.Thread]) -> None:
        """Refuse a thread that goes on working: it takes a core from whatever is timed after it."""
        started = [thread for thread in threading.enumerate() if thread not in before]
        if started and (working := busy(started)):
            names = ", ".join(thread.name for thread in working)
            raise LastingChangeError(
                f"{CALLS} leave a thread running that keeps a core busy ({names}); end it before the call returns"
            )
