"""One piece of process state: how it is read, compared, named and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


def on_or_off(value: Any) -> str:
    """A switch in words."""
    return "on" if value else "off"


@dataclass(frozen=True, eq=False)
class Entry:
    """One piece of state that a call can change for all later calls in its process.

    Attributes:
        name: in words, as part of a sentence: ``"grad mode"``.
        read: returns its value; values are compared with ``==``.
        put_back: sets it to a value that was read before; it may raise where the system refuses.
        words: a value in words.
        differing: two values in words, where their difference says more.
        fast: it takes some ten nanoseconds to read, and is compared after every block.
        named: a case that changes it is named. The others are part of another entry's change.
        poisons: where it cannot be put back, later calls of other cases cannot be measured in this process.
    """

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object]
    words: Callable[[Any], str] = str
    differing: Callable[[Any, Any], str] | None = None
    fast: bool = False
    named: bool = True
    poisons: bool = False


@dataclass(frozen=True)
class Change:
    """A piece of state before and after something ran."""

    entry: Entry
    before: Any
    after: Any

    def __str__(self) -> str:
        words, differing = self.entry.words, self.entry.differing
        how = differing(self.before, self.after) if differing else f"{words(self.before)} → {words(self.after)}"
        return f"{self.entry.name} ({how})"


class LastingChangeError(Exception):
    """A change that cannot be put back and that other cases would be measured under; the message names it."""


def read(entries: Sequence[Entry]) -> list[Any]:
    """The value of each entry."""
    return [entry.read() for entry in entries]


def changes(entries: Sequence[Entry], before: Sequence[Any], after: Sequence[Any]) -> list[Change]:
    """The entries whose values differ."""
    return [
        Change(entry, old, new) for entry, old, new in zip(entries, before, after, strict=True) if not _same(old, new)
    ]


def _same(old: Any, new: Any) -> bool:
    return old is new or bool(old == new)


def put_back(changed: Iterable[Change]) -> list[Change]:
    """Undo changes; returns those that the system or PyTorch refuses to undo."""
    lasting = []
    for change in changed:
        try:
            change.entry.put_back(change.before)
        except (OSError, RuntimeError, ValueError):
            lasting.append(change)
            continue
        if not _same(change.entry.read(), change.before):
            lasting.append(change)
    return lasting


def listed(changed: Iterable[Change]) -> str:
    """The changes that are named, in words; empty where there are none."""
    named: dict[str, Change] = {}
    for change in changed:
        if change.entry.named:
            named.setdefault(change.entry.name, change)  # a stack and its depth have one name
    return ", ".join(map(str, named.values()))
